"""Cut-gradient inversion: train a network from the gradients that return to the sites to images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from leakaudit.api import (
    Attack,
    Capability,
    Citation,
    Observation,
    Progress,
    Reconstruction,
    require_between,
)
from leakaudit_attacks.cut_gradients import examples, scaled
from leakaudit_attacks.decoding import Pairs, fit, fresh_decoder, integer
from leakaudit_attacks.papers import HE_2019, WU_2023


@final
@dataclass(frozen=True, kw_only=True)
class CutGradientInversion(Attack):
    """Recover training images from cut gradients, by a decoder trained on own patients' ones.

    A cut gradient is a map as large as the level it belongs to. On its way back through the label
    site's network it is multiplied by what every normalisation and activation was given on the way
    there, and so carries the image that caused it. The adversary computes the gradients that its
    own patients would cause at the observed checkpoints, with the defence on, and learns the way
    back from all checkpoints together. Each level is divided by its root mean square, so that the
    size of a gradient does not matter. Starts from the auxiliary patients' mean.

    In a batch of several slices the label site returns a gradient for each, so that the batch hides
    a slice only as far as it takes part in the others' gradients.

    Needs whatever computes the gradients of its own patients: encoders, defence, the label site's
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

    steps: int = 150
    batch_size: int = 8
    width: int = 32
    learning_rate: float = 4e-3
    examples: int = 200

    requires: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.CUT_GRADIENTS, Capability.GRADIENT_QUERIES, Capability.AUXILIARY_PATIENTS}
    )
    citations: ClassVar[tuple[Citation, ...]] = (WU_2023, HE_2019)
    learns_from_queries: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check the configuration.

        Raises:
            ConfigError: a value is outside its range.
        """
        require_between(self, 1, 1_000_000, "steps", "batch_size", "width", "examples")
        require_between(self, 1e-12, 1e6, "learning_rate")

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
        decoder = fresh_decoder(entering, self.width, observation.auxiliary, generator)
        own = examples(
            observation.auxiliary,
            self.examples,
            lambda image, mask: [
                answer.cut for answer in observation.query_gradients(image, mask, generator)
            ],
            generator,
            batch=layout.gradient_batch,
        )
        levels, images = own.levels, own.images

        def at(index: torch.Tensor) -> Pairs:
            return tuple(level[index] for level in levels), images[index]

        def batch() -> Pairs:
            drawn = [integer(len(images), generator) for _ in range(self.batch_size)]
            return at(torch.tensor(drawn, device=images.device))

        few = torch.arange(min(len(images), self.batch_size), device=images.device)
        first, last = fit(
            decoder,
            batch,
            lambda: at(few),
            steps=self.steps,
            learning_rate=self.learning_rate,
            progress=progress,
        )
        with torch.no_grad():
            found = decoder(observed)
        return Reconstruction(
            images=found, objective_first=first, objective_last=last, iterations=self.steps
        )
