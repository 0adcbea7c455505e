"""Head mask inference: what returns from the last layer says of the masks beyond it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch

from leakaudit.api import (
    Capability,
    HeadMessages,
    Observation,
    Progress,
    Reconstruction,
    Recovers,
    SiteLevels,
)
from leakaudit_attacks.decoding.cut_gradients import LearnsFromExamples, examples, scaled
from leakaudit_attacks.decoding.decoder import fresh_decoder
from leakaudit_attacks.decoding.masks import mask_loss, tumour
from leakaudit_attacks.papers import cited


@final
@dataclass(frozen=True, kw_only=True)
class HeadMaskInference(LearnsFromExamples):
    """Recover the tumour masks that a U-shaped network keeps from its server.

    The server never sees a mask, but the gradient that the last layer returns is, at every voxel,
    that layer's weights times how wrong the prediction was. A network learns the mask from it and
    from the features that the server sent itself, on own patients that are enrolled in training.
    What it finds where every gradient is zero, from the features alone, is its floor: the server's
    features show the tumour by themselves. Recovers the whole tumour, not its parts.

    Args:
        steps: training steps.
        batch_size: own slices per step.
        width: channels of the network.
        learning_rate: peak of a one-cycle schedule.
        examples: own slices, mirrored ones included, that are enrolled at most.

    Reference: Erdogan et al. 2022 (arXiv:2108.09033), section 3.3, infer the label of a sample from
    the gradient that returns; that a network learns it (Wu et al. 2023, arXiv:2210.10880), and of
    every voxel, is ours.
    """

    requires: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.HEAD_MESSAGES, Capability.HEAD_QUERIES, Capability.AUXILIARY_PATIENTS}
    )
    recovers: ClassVar[Recovers] = "masks"
    nist: ClassVar[str] = "data reconstruction (labels)"
    citations = cited("erdogan2022unsplit", "wu2023learning")

    def run(
        self, observation: Observation, *, generator: torch.Generator, progress: Progress
    ) -> Reconstruction:
        """Enrol the own patients, learn, apply to what came back for the victims."""
        auxiliary = observation.auxiliary
        own = examples(
            auxiliary,
            self.examples,
            lambda image, mask: _levels(observation.query_head(image, mask, generator)),
            generator,
        )
        given = torch.cat(own.levels, dim=1)
        targets = tumour(own.masks, given)
        decoder = fresh_decoder(
            {0: given.shape[1]},
            self.width,
            auxiliary,
            generator,
            base=targets.mean(dim=0, keepdim=True),
            deepest=0,
        )
        first, last = self.learn(decoder, (given,), targets, generator, progress, mask_loss)
        shown = torch.cat(scaled(_levels(observation.head_messages)), dim=1)
        with torch.no_grad():
            found = decoder((shown,))
        return Reconstruction(
            images=found, objective_first=first, objective_last=last, iterations=self.steps
        )


def _levels(checkpoints: Sequence[HeadMessages]) -> list[SiteLevels]:
    """Features and gradients as two levels of one site."""
    return [((each.features, each.gradients),) for each in checkpoints]
