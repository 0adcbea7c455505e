"""Gradient inversion: match the weight gradients that an aggregator receives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch

from leakaudit.api import Observation, require_between
from leakaudit_attacks.gradients.misfit import GradientMatch, GradientMatching, gradient_device
from leakaudit_attacks.optimising.engine import Objective, StepRule, weighted
from leakaudit_attacks.optimising.priors import anisotropic_total_variation, total_variation
from leakaudit_attacks.optimising.starts import start_image
from leakaudit_attacks.papers import cited


@final
@dataclass(frozen=True, kw_only=True)
class GradientInversion(GradientMatching):
    """Recover images by matching the encoders' weight gradients: cosine distance plus TV.

    From the auxiliary patients' mean, by Adam; or as its authors do, by the signs of the gradient
    and with anisotropic total variation. Not an attack on activations, and not known to work
    beyond small encoders: its positive control says whether it does in a given audit.

    Args:
        tv: weight of total variation beside the cosine distance (0 to 2).
        signed: follow the gradient's signs, with a learning rate that falls in stairs.
        anisotropic: sum the steps along the axes by themselves.

    Reference: Geiping et al. 2020 (arXiv:2003.14053), equation 4.
    """

    tv: float = 0.5
    signed: bool = False
    anisotropic: bool = False

    citations = cited("geiping2020inverting", "rudin1992nonlinear")

    def __post_init__(self) -> None:
        """Check the configuration; ConfigError for a value outside its range."""
        super().__post_init__()
        require_between(self, 0, 1e6, "tv")

    def objective(
        self, observation: Observation, checkpoint: int, generator: torch.Generator
    ) -> Objective:
        """1 - cosine + tv TV."""
        match = GradientMatch(observation, checkpoint, generator)
        variation = anisotropic_total_variation if self.anisotropic else total_variation
        return weighted((1.0, match), (self.tv, lambda images, step: variation(images)))

    def starts(self, observation: Observation, generator: torch.Generator) -> torch.Tensor:
        """The auxiliary mean, or mid-grey."""
        return start_image(observation, gradient_device(observation)).unsqueeze(0)

    def rule(self) -> StepRule:
        """Adam with a cosine schedule, or its signs in stairs."""
        if self.signed:
            return StepRule(kind="signed-adam", learning_rate=self.learning_rate, schedule="stairs")
        return super().rule()
