"""Learned update inversion: regress images on how a round of training moved the weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch

from leakaudit.api import Capability, GradientRelease, Images, Masks, Observation
from leakaudit_attacks.gradients.weight_regression import Received, WeightRegression
from leakaudit_attacks.papers import cited


@final
@dataclass(frozen=True, kw_only=True)
class LearnedUpdateInversion(WeightRegression):
    """Recover training images from weight updates of several steps, by a learned regression.

    As `learned-gradient-inversion`, from what federated averaging sends: how far a round of several
    optimizer steps moved the encoders. The adversary lets the same round be trained on batches of
    its own patients, the defense on, and so learns what the steps make of an image.

    Args:
        batches: of own slices, to learn from.

    Reference: Wu et al. 2023 (arXiv:2210.10880), with a kernel ridge regression in place of their
    network; McMahan et al. 2017 (arXiv:1602.05629) for the updates.
    """

    requires: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.WEIGHT_UPDATES, Capability.UPDATE_QUERIES, Capability.AUXILIARY_PATIENTS}
    )
    citations = cited("wu2023learning", "mcmahan2017communication")

    def received(self, observation: Observation) -> Sequence[GradientRelease]:
        """The weight updates."""
        return observation.weight_updates

    def asked(
        self, observation: Observation, images: Images, masks: Masks, generator: torch.Generator
    ) -> Sequence[Received]:
        """The weight updates of own batches."""
        return observation.query_updates(images, masks, generator)
