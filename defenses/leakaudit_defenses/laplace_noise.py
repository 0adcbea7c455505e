"""Laplace noise on every released value, of a fixed or a relative scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch

from leakaudit.api import Defense, Evidence, Levels, laplace_like, require_between
from leakaudit_defenses.additive import noised, told_of_noise, told_of_noise_before
from leakaudit_defenses.papers import cited


@final
@dataclass(frozen=True, kw_only=True)
class LaplaceNoise(Defense):
    """Add independent Laplace noise to every released value. No guarantee is claimed here.

    The Laplace mechanism of local differential privacy without its clipping: nothing bounds what
    one patient changes, so there is no epsilon. Hides what Gaussian noise of standard deviation
    ``sqrt(2) scale`` hides, and as little of what is smooth or released repeatedly.

    Args:
        scale: b of the density ``exp(-|x| / b) / (2 b)``, in units of the activation, or of its
            own standard deviation; at least 0. The noise has variance ``2 b^2``.
        relative: whether the noise is scaled by the standard deviation of each sample's level,
            which is differentiated too.

    Reference: Dwork et al. 2006; Yang et al. 2020 (arXiv:2008.03686), a survey.
    """

    scale: float = 1.0
    relative: bool = False

    citations = cited("dwork2006calibrating", "yang2020local")
    off: ClassVar[Mapping[str, Any] | None] = {"scale": 0.0}

    def __post_init__(self) -> None:
        """Check the configuration.

        Raises:
            ConfigError: ``scale`` is negative.
        """
        require_between(self, 0, 1e12, "scale")

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        """Laplace values of scale 1 of the levels' shapes."""
        return tuple(laplace_like(level, generator) for level in levels)

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        """``level + scale * drawn``, times the level's standard deviation if ``relative``."""
        return noised(levels, drawn, self.scale, relative=self.relative)

    def evidence(self, released: Levels) -> Evidence:
        """Unbiased, with the variance of the noise; estimated from the release if ``relative``."""
        return told_of_noise(released, 2 * self.scale**2, relative=self.relative)

    def evidence_from(self, estimate: Evidence) -> Evidence:
        """Return evidence when only a noisy estimate of this release is known."""
        return told_of_noise_before(estimate, 2 * self.scale**2, relative=self.relative)
