"""Medical gradient inversion: a prior image keeps the candidate anatomical."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, final

import torch

from leakaudit.api import Capability, Observation, require_between
from leakaudit_attacks.gradients.misfit import GradientMatch, GradientMatching, gradient_device
from leakaudit_attacks.optimising.engine import Objective, weighted
from leakaudit_attacks.optimising.priors import (
    NormalisationStatistics,
    distance_to,
    total_variation,
)
from leakaudit_attacks.optimising.starts import auxiliary_mean, middle_slices
from leakaudit_attacks.papers import cited


@final
@dataclass(frozen=True, kw_only=True)
class MedicalGradientInversion(GradientMatching):
    """Recover images by matching weight gradients near a prior image with usual statistics.

    The search starts from a prior image, the auxiliary patients' mean, and is held near it. The
    statistics before every normalisation are the auxiliary patients', since instance normalisation
    keeps none of its own (the paper takes those that a client's batch normalisation sends).

    Args:
        tv: weight of total variation.
        prior: weight of the distance to the prior image.
        statistics: weight of the normalisation statistics.

    Reference: Hatamizadeh et al. 2022 (arXiv:2202.06924).
    """

    tv: float = 2.0
    prior: float = 0.1
    statistics: float = 0.01

    requires: ClassVar[frozenset[Capability]] = GradientMatching.requires | {
        Capability.AUXILIARY_PATIENTS
    }
    citations = cited("hatamizadeh2022gradient", "rudin1992nonlinear")

    def __post_init__(self) -> None:
        """Check the configuration; ConfigError for a value outside its range."""
        super().__post_init__()
        require_between(self, 0, 1e6, "tv", "prior", "statistics")

    def objective(
        self, observation: Observation, checkpoint: int, generator: torch.Generator
    ) -> Objective:
        """The squared difference and the three priors."""
        encoders = observation.weight_gradients[checkpoint].encoders
        usual = NormalisationStatistics(
            encoders, observation.layout, middle_slices(observation.auxiliary)
        )
        near = partial(distance_to, self.starts(observation, generator)[0, :1])
        return weighted(
            (1.0, GradientMatch(observation, checkpoint, generator, "squared")),
            (self.tv, lambda images, step: total_variation(images)),
            (self.prior, lambda images, step: near(images)),
            (self.statistics, lambda images, step: usual(images)),
        )

    def starts(self, observation: Observation, generator: torch.Generator) -> torch.Tensor:
        """The prior image."""
        mean = auxiliary_mean(observation.auxiliary, observation.layout.victims)
        return mean.to(gradient_device(observation)).unsqueeze(0)
