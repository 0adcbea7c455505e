"""Gaussian noise of a fixed standard deviation on every released value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from leakaudit.api import Citation, Defense, Evidence, Levels, normal_like, require_between
from leakaudit_defenses.papers import TITCOMBE_2021


@final
@dataclass(frozen=True, kw_only=True)
class GaussianNoise(Defense):
    """Add independent Gaussian noise to every released value. Carries no guarantee.

    The noise is absolute: encoders learn to outgrow it, which is why the noise-to-signal ratio is
    recorded. Differentiable.

    Args:
        std: standard deviation in units of the activation, at least 0.

    Reference: Titcombe et al. 2021 (arXiv:2104.05743).
    """

    std: float = 1.0

    citations: ClassVar[tuple[Citation, ...]] = (TITCOMBE_2021,)

    def __post_init__(self) -> None:
        """Check the configuration.

        Raises:
            ConfigError: ``std`` is negative.
        """
        require_between(self, 0, 1e12, "std")

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        """Standard normal values of the levels' shapes."""
        return tuple(normal_like(level, generator) for level in levels)

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        """``level + std * drawn``."""
        return tuple(level + self.std * noise for level, noise in zip(levels, drawn, strict=True))

    def evidence(self, released: Levels) -> Evidence:
        """Unbiased, with the variance of the noise."""
        return Evidence(
            values=released,
            variances=tuple(level.new_full((), self.std**2).expand_as(level) for level in released),
        )
