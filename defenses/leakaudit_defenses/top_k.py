"""The largest released values alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch

from leakaudit.api import Citation, Defense, Evidence, Levels, require_between
from leakaudit_defenses.papers import AJI_2017, ZHENG_2023


@final
@dataclass(frozen=True, kw_only=True)
class TopK(Defense):
    """Keep each sample's values of largest magnitude in every released level, zero the rest.

    Made to save traffic, and not random: what is released again is the same again. Hides the small
    values, but for a bound on them; where the large ones are shows the image's edges, and they are
    exact. Carries no guarantee. Differentiable where a value was kept, no gradient elsewhere.

    Args:
        keep: share of a level's values that is kept, 1e-6 to 1; at least one value is. Of equal
            magnitudes the first is kept, in the order of channels and places.

    Reference: Zheng et al. 2023 (arXiv:2305.18469), top-k sparsification of the cut layer, here
    without their random choice; of gradients: Aji and Heafield 2017 (arXiv:1704.05021).
    """

    keep: float = 0.1

    citations: ClassVar[tuple[Citation, ...]] = (AJI_2017, ZHENG_2023)
    off: ClassVar[Mapping[str, Any] | None] = {"keep": 1.0}

    def __post_init__(self) -> None:
        """Check the configuration.

        Raises:
            ConfigError: ``keep`` is outside its range.
        """
        require_between(self, 1e-6, 1, "keep")

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        """Nothing is random."""
        del levels, generator
        return ()

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        """The kept values at their places, 0 elsewhere."""
        del drawn
        return tuple(level * self._kept(level) for level in levels)

    def evidence(self, released: Levels) -> Evidence:
        """Exact where a value was kept; 0 with variance t^2 / 3 where it was dropped.

        A dropped value lies within the smallest kept magnitude t of 0, and is taken to be spread
        evenly there. What is estimated is the level before any was dropped, as `expected` says: a
        candidate is led by the bound on its small values, not only by its large ones.
        """
        return Evidence(values=released, variances=tuple(map(self._variance, released)))

    def evidence_from(self, estimate: Evidence) -> Evidence:
        """Under a later noise no zero is seen: what was dropped lies within the bound of the rest.

        Where the estimate is exact, as `evidence`.
        """
        exact = self.evidence(estimate.values)
        noisy = [
            error + self._bound(value).square().to(value) / 3
            for value, error in zip(estimate.values, estimate.variances, strict=True)
        ]
        known = [error == 0 for error in estimate.variances]
        return Evidence(
            values=estimate.values,
            variances=tuple(map(torch.where, known, exact.variances, noisy)),
        )

    def _bound(self, level: torch.Tensor) -> torch.Tensor:
        """The smallest of each sample's values that would be kept, ``(B, 1, ...)``."""
        magnitude = level.detach().abs().flatten(1)
        bound = magnitude.topk(self._count(level), dim=1, sorted=False).values.amin(dim=1)
        return bound.view(-1, *(1,) * (level.ndim - 1))

    def _kept(self, level: torch.Tensor) -> torch.Tensor:
        magnitude = level.detach().abs().flatten(1)
        count = self._count(level)
        bound = self._bound(level).view(-1, 1)
        # Which of equal values `topk` picks is not defined, so that it gives the bound alone.
        above, equal = magnitude > bound, magnitude == bound
        room = count - above.sum(dim=1, keepdim=True)
        return (above | (equal & (equal.cumsum(dim=1) <= room))).view_as(level)

    def _variance(self, level: torch.Tensor) -> torch.Tensor:
        magnitude = level.abs().flatten(1)
        kept = magnitude > 0
        smallest = torch.where(kept, magnitude, torch.inf).amin(dim=1)
        # With fewer than were to be kept, zeros were among the largest: all dropped ones are 0.
        bound = torch.where(kept.sum(dim=1) < self._count(level), 0.0, smallest)
        square = (bound.square() / 3).view(-1, *(1,) * (level.ndim - 1))
        return torch.where(level == 0, square, 0.0).to(level)

    def _count(self, level: torch.Tensor) -> int:
        return max(1, round(self.keep * level[0].numel()))
