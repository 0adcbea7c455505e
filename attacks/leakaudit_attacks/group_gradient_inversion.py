"""Group gradient inversion: restarts that hold each other to what they agree on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from leakaudit.api import Capability, Observation, Work, require_between
from leakaudit_attacks.gradients.misfit import GradientMatch, GradientMatching, gradient_device
from leakaudit_attacks.optimising.engine import Objective, weighted
from leakaudit_attacks.optimising.priors import (
    NormalisationStatistics,
    group_distance,
    mean_square,
    total_variation,
)
from leakaudit_attacks.optimising.starts import auxiliary_mean, disturbed, middle_slices
from leakaudit_attacks.papers import cited


@final
@dataclass(frozen=True, kw_only=True)
class GroupGradientInversion(GradientMatching):
    """Recover images by matching weight gradients, several restarts held to their common mean.

    Adds to the squared distance total variation, an L2 prior, the statistics before every
    normalisation (from the auxiliary patients) and the distance to the mean over the restarts,
    which start from the auxiliary mean with noise of standard deviation ``noise``.

    Args:
        restarts: candidates per victim.
        noise: on the starts, in units of image intensity; the first has none.
        tv: weight of total variation.
        l2: weight of the mean square.
        statistics: weight of the normalisation statistics.
        group: weight of the distance to the restarts' mean.

    Reference: Yin et al. 2021 (arXiv:2104.07586).
    """

    restarts: int = 3
    noise: float = 0.1
    tv: float = 2.0
    l2: float = 1e-3
    statistics: float = 0.01
    group: float = 0.1

    requires: ClassVar[frozenset[Capability]] = GradientMatching.requires | {
        Capability.AUXILIARY_PATIENTS
    }
    citations = cited("yin2021see", "rudin1992nonlinear")

    def __post_init__(self) -> None:
        """Check the configuration; ConfigError for a value outside its range."""
        super().__post_init__()
        require_between(self, 1, 1000, "restarts")
        require_between(self, 0, 1e6, "noise", "tv", "l2", "statistics", "group")

    def work(self) -> Work:
        """The work of one run."""
        return Work(passes=self.iterations * self.restarts)

    def objective(
        self, observation: Observation, checkpoint: int, generator: torch.Generator
    ) -> Objective:
        """The squared difference and the four priors."""
        encoders = observation.weight_gradients[checkpoint].encoders
        usual = NormalisationStatistics(
            encoders, observation.layout, middle_slices(observation.auxiliary)
        )
        victims = observation.layout.victims
        return weighted(
            (1.0, GradientMatch(observation, checkpoint, generator, "squared")),
            (self.tv, lambda images, step: total_variation(images)),
            (self.l2, lambda images, step: mean_square(images)),
            (self.statistics, lambda images, step: usual(images)),
            (self.group, lambda images, step: group_distance(images, victims)),
        )

    def starts(self, observation: Observation, generator: torch.Generator) -> torch.Tensor:
        """The auxiliary mean, with noise on all but the first."""
        mean = auxiliary_mean(observation.auxiliary, observation.layout.victims)
        mean = mean.to(gradient_device(observation))
        return disturbed(mean, self.restarts, self.noise, generator)
