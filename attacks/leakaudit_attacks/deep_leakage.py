"""Deep leakage from gradients: match weight gradients from noise by L-BFGS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch

from leakaudit.api import Observation, Work, require_between
from leakaudit_attacks.gradients.misfit import GradientMatch, GradientMatching, gradient_device
from leakaudit_attacks.optimising.engine import Objective, StepRule
from leakaudit_attacks.optimising.starts import noise_images
from leakaudit_attacks.papers import cited


@final
@dataclass(frozen=True, kw_only=True)
class DeepLeakage(GradientMatching):
    """Recover images by matching the encoders' weight gradients in squares, from noise, by L-BFGS.

    Without any prior on what images look like. The paper guesses the labels as well; here the cut
    gradient is known, which makes that unnecessary.

    Args:
        restarts: noise images to start from, per victim.

    Reference: Zhu, Liu, Han 2019 (arXiv:1906.08935), algorithm 1.
    """

    learning_rate: float = 1.0
    restarts: int = 2

    citations = cited("zhu2019deep")

    def __post_init__(self) -> None:
        """Check the configuration; ConfigError for a value outside its range."""
        super().__post_init__()
        require_between(self, 1, 1000, "restarts")

    def work(self) -> Work:
        """The work of one run."""
        return Work(passes=self.iterations * self.restarts)

    def objective(
        self, observation: Observation, checkpoint: int, generator: torch.Generator
    ) -> Objective:
        """The squared difference alone."""
        return GradientMatch(observation, checkpoint, generator, "squared")

    def starts(self, observation: Observation, generator: torch.Generator) -> torch.Tensor:
        """Uniform noise."""
        return noise_images(observation, self.restarts, gradient_device(observation), generator)

    def rule(self) -> StepRule:
        """L-BFGS with a line search."""
        return StepRule(kind="lbfgs", learning_rate=self.learning_rate, schedule="constant")
