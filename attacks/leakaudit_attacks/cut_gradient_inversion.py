"""Cut-gradient inversion: train a network from the gradients that return to the sites to images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from leakaudit.api import Capability, Observation, Progress, Reconstruction
from leakaudit_attacks.decoding.cut_gradients import LearnsFromExamples, examples, scaled
from leakaudit_attacks.decoding.decoder import fresh_decoder
from leakaudit_attacks.papers import cited


@final
@dataclass(frozen=True, kw_only=True)
class CutGradientInversion(LearnsFromExamples):
    """Recover training images from cut gradients, by a decoder trained on own patients' ones.

    A cut gradient is a map as large as the level it belongs to. On its way back through the label
    site's network it is multiplied by what every normalisation and activation was given on the way
    there, and so carries the image that caused it. The adversary computes the gradients that its
    own patients would cause at the observed checkpoints, with the defense on, and learns the way
    back from all checkpoints together. Each level is divided by its root mean square, so that the
    size of a gradient does not matter. Starts from the auxiliary patients' mean.

    In a batch of several slices the label site returns a gradient for each, so that the batch hides
    a slice only as far as it takes part in the others' gradients.

    Needs all that computes the gradients of its own patients: encoders, defense, the label site's
    network and masks of its own. Of the victims it sees the cut gradients alone, no weight gradient
    and no activation. The gradients of all examples are kept in memory.

    Args:
        steps: training steps.
        batch_size: auxiliary slices per step.
        width: channels of the decoder.
        learning_rate: peak of a one-cycle schedule.
        examples: auxiliary slices, mirrored ones included, whose gradients are computed; as many
            as there are, if there are fewer.

    Reference: Wu et al. 2023 (arXiv:2210.10880) for learning to invert gradients; He, Zhang, Lee
    2019, section 5, for the inverse network.
    """

    requires: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.CUT_GRADIENTS, Capability.GRADIENT_QUERIES, Capability.AUXILIARY_PATIENTS}
    )
    citations = cited("wu2023learning", "he2019model")

    def run(
        self, observation: Observation, *, generator: torch.Generator, progress: Progress
    ) -> Reconstruction:
        """Compute the own patients' gradients, train the decoder, apply it to the victims'."""
        layout = observation.layout
        # Of every batch the victim's own slice, which comes first.
        observed = tuple(
            level[:: layout.gradient_batch] for level in scaled(observation.cut_gradients)
        )
        entering = {
            level: tensor.shape[1] for level, tensor in zip(layout.crossing, observed, strict=True)
        }
        # A gradient lies where its image does, and few examples teach a small network best.
        decoder = fresh_decoder(
            entering, self.width, observation.auxiliary, generator, deepest=max(entering)
        )
        own = examples(
            observation.auxiliary,
            self.examples,
            lambda image, mask: [
                answer.cut for answer in observation.query_gradients(image, mask, generator)
            ],
            generator,
            batch=layout.gradient_batch,
        )
        first, last = self.learn(decoder, own.levels, own.images, generator, progress)
        with torch.no_grad():
            found = decoder(observed)
        return Reconstruction(
            images=found, objective_first=first, objective_last=last, iterations=self.steps
        )
