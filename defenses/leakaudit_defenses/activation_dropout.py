"""Dropout of released values or channels, in training and at inference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch

from leakaudit.api import ConfigError, Defense, Evidence, Levels, require_between, uniform_like
from leakaudit_defenses.papers import cited


@final
@dataclass(frozen=True, kw_only=True)
class ActivationDropout(Defense):
    """Set each released value to 0 with probability p, scale the rest by 1 / (1 - p).

    On at inference too, unlike dropout as a regulariser (Srivastava et al. 2014). Whole channels of
    a sample can be dropped instead (Tompson et al. 2015), which leaves no neighbours of a dropped
    value to guess it from. Hides what was dropped in one release. The zeros tell an adversary
    which that was, the kept values are exact, and another release drops others. Carries no
    guarantee.

    Args:
        p: probability of dropping, 0 to 0.99.
        unit: ``element``, or ``channel``: what is dropped together, of each sample on its own.
    """

    p: float = 0.5
    unit: str = "element"

    citations = cited("srivastava2014dropout", "tompson2015efficient")
    off: ClassVar[Mapping[str, Any] | None] = {"p": 0.0}

    def __post_init__(self) -> None:
        """Check the configuration.

        Raises:
            ConfigError: ``p`` is outside its range, or ``unit`` is unknown.
        """
        require_between(self, 0, 0.99, "p")
        if self.unit not in ("element", "channel"):
            raise ConfigError(f"ActivationDropout: unit is {self.unit!r}; it is element or channel")

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        """Uniform values on [0, 1): one for each value, or ``(B, C, 1, ...)``."""
        if self.unit == "channel":
            levels = tuple(level.new_empty(_per_channel(level)) for level in levels)
        return tuple(uniform_like(level, generator) for level in levels)

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        """Keep ``level / (1 - p)`` where the draw is at least ``p``."""
        return tuple(
            level * (coin >= self.p) / (1 - self.p)
            for level, coin in zip(levels, drawn, strict=True)
        )

    def evidence(self, released: Levels) -> Evidence:
        """Exact where a value survived, nothing where it was dropped.

        A channel was dropped if all of it is 0, a value if it is. A kept value that was 0 is taken
        for a dropped one.
        """
        return Evidence(
            values=tuple(level * (1 - self.p) for level in released),
            variances=tuple(
                torch.where(self._dropped(level), torch.inf, 0.0).to(level)
                if self.p > 0
                else torch.zeros_like(level)
                for level in released
            ),
        )

    def evidence_from(self, estimate: Evidence) -> Evidence:
        """Under a later noise no zero is seen: unbiased, with the variance of the dropping added.

        That variance is ``p / (1 - p)`` times the value's square, for which the mean square of its
        sample's level stands. Where the estimate is exact, as `evidence`.
        """
        exact = self.evidence(estimate.values)
        noisy = [
            error + self.p * mean_square(value, error).to(value)
            for value, error in zip(estimate.values, estimate.variances, strict=True)
        ]
        known = [error == 0 for error in estimate.variances]
        return Evidence(
            values=tuple(map(torch.where, known, exact.values, estimate.values)),
            variances=tuple(map(torch.where, known, exact.variances, noisy)),
        )

    def _dropped(self, level: torch.Tensor) -> torch.Tensor:
        zero = level == 0
        if self.unit == "channel":
            zero = zero.flatten(2).all(dim=2).view(_per_channel(level))
        return zero.expand_as(level)


def mean_square(value: torch.Tensor, error: torch.Tensor) -> torch.Tensor:
    """Mean square of each sample's signal behind noisy values, ``(B, 1, ...)``; at least 0."""
    seen = error.isfinite()
    squares = torch.where(seen, value.square() - torch.where(seen, error, 0.0), 0.0).flatten(1)
    mean = squares.sum(dim=1) / seen.flatten(1).sum(dim=1).clamp_min(1)
    return mean.clamp_min(0).view(-1, *(1,) * (value.ndim - 1))


def _per_channel(level: torch.Tensor) -> tuple[int, ...]:
    return (*level.shape[:2], *(1,) * (level.ndim - 2))
