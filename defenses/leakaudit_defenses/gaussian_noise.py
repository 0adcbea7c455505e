"""Gaussian noise on every released value, of a fixed or a relative standard deviation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch

from leakaudit.api import Defense, Evidence, Levels, normal_like, require_between
from leakaudit_defenses.additive import noised, told_of_noise, told_of_noise_before
from leakaudit_defenses.papers import cited


@final
@dataclass(frozen=True, kw_only=True)
class GaussianNoise(Defense):
    """Add independent Gaussian noise to every released value. Carries no guarantee.

    Hides what is smaller than the noise in a single release. What is smooth shows through the
    average of its neighbours, and all does through the average of repeated releases.

    Absolute noise is outgrown: encoders learn larger activations, which is why the noise-to-signal
    ratio is recorded. Relative noise grows with them: it is ``std`` times the standard deviation of
    each sample's own level. That is differentiated too, so the gradient is exact.

    Args:
        std: standard deviation in units of the activation, or of its own standard deviation; at
            least 0.
        relative: whether the noise is scaled by the standard deviation of each sample's level.

    Reference: Titcombe et al. 2021 (arXiv:2104.05743), absolute noise alone.
    """

    std: float = 1.0
    relative: bool = False

    citations = cited("titcombe2021practical")
    off: ClassVar[Mapping[str, Any] | None] = {"std": 0.0}

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
        """``level + std * drawn``, times the level's standard deviation if ``relative``."""
        return noised(levels, drawn, self.std, relative=self.relative)

    def evidence(self, released: Levels) -> Evidence:
        """Unbiased, with the variance of the noise; estimated from the release if ``relative``."""
        return told_of_noise(released, self.std**2, relative=self.relative)

    def evidence_from(self, estimate: Evidence) -> Evidence:
        """Return evidence when only a noisy estimate of this release is known."""
        return told_of_noise_before(estimate, self.std**2, relative=self.relative)
