"""Learned gradient inversion: regress images on the weight gradients of own patients."""

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
class LearnedGradientInversion(WeightRegression):
    """Recover training images from weight gradients alone, by a regression learned on own patients.

    The adversary sees no cut gradient and holds no label site's network. It has batches of its own
    patients' slices, varied in pose and brightness, trained on at the observed checkpoints with the
    defense on, divides each layer's gradient by its norm, and fits a kernel ridge regression from
    there to the images. How strong the ridge is and which checkpoint is read, one alone or all, is
    chosen by the error on own patients that were left out; where nothing is learned the choice is
    their mean. A weight gradient is a sum over its batch and does not say which slice is whose:
    what is learned, and returned, is the mean over the batch, where the victim is one of several.

    Args:
        batches: of own slices, to learn from.

    Reference: Wu et al. 2023 (arXiv:2210.10880), with a kernel ridge regression in place of their
    network, since there are few patients to learn from.
    """

    requires: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.WEIGHT_GRADIENTS, Capability.GRADIENT_QUERIES, Capability.AUXILIARY_PATIENTS}
    )
    citations = cited("wu2023learning")

    def received(self, observation: Observation) -> Sequence[GradientRelease]:
        """The weight gradients."""
        return observation.weight_gradients

    def asked(
        self, observation: Observation, images: Images, masks: Masks, generator: torch.Generator
    ) -> Sequence[Received]:
        """The weight gradients of own batches."""
        answers = observation.query_gradients(images, masks, generator)
        return [answer.weights for answer in answers]
