"""Dropout of released values, in training and at inference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from leakaudit.api import Citation, Defense, Evidence, Levels, require_between, uniform_like
from leakaudit_defenses.papers import SRIVASTAVA_2014


@final
@dataclass(frozen=True, kw_only=True)
class ActivationDropout(Defense):
    """Set each released value to 0 with probability p, scale the rest by 1 / (1 - p).

    On at inference too, unlike dropout as a regulariser (Srivastava et al. 2014). A zero tells an
    adversary which values were dropped, and the kept ones are exact. Carries no guarantee.
    Differentiable.

    Args:
        p: probability of dropping, 0 to 0.99.
    """

    p: float = 0.5

    citations: ClassVar[tuple[Citation, ...]] = (SRIVASTAVA_2014,)

    def __post_init__(self) -> None:
        """Check the configuration.

        Raises:
            ConfigError: ``p`` is outside its range.
        """
        require_between(self, 0, 0.99, "p")

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        """Uniform values on [0, 1) of the levels' shapes."""
        return tuple(uniform_like(level, generator) for level in levels)

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        """Keep ``level / (1 - p)`` where the draw is at least ``p``."""
        return tuple(
            level * (coin >= self.p) / (1 - self.p)
            for level, coin in zip(levels, drawn, strict=True)
        )

    def evidence(self, released: Levels) -> Evidence:
        """Exact where a value survived, nothing where it was dropped."""
        return Evidence(
            values=tuple(level * (1 - self.p) for level in released),
            variances=tuple(
                torch.where(level == 0, torch.inf, 0.0).to(level)
                if self.p > 0
                else torch.zeros_like(level)
                for level in released
            ),
        )
