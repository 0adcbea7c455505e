"""The largest released values alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, final

import torch

from leakaudit.api import Defense, Evidence, Levels, ReleaseSetting, require_between
from leakaudit_defenses.papers import cited

# Mean square over t^2 of values that are spread evenly between -t and t.
_EVEN = 1 / 3
# What is dropped is never stated as exact, though all that was dropped of the auxiliary were 0.
_LEAST = 1e-6


@final
@dataclass(frozen=True, kw_only=True)
class TopK(Defense):
    """Keep each sample's values of largest magnitude in every released level, zero the rest.

    Made to save traffic, and not random: what is released again is the same again. Hides the small
    values, except a bound on them; where the large ones are shows the image's edges, and they are
    exact. Carries no guarantee. Differentiable where a value was kept, no gradient elsewhere.

    Args:
        keep: share of a level's values that is kept, 1e-6 to 1; at least one value is. Of equal
            magnitudes the first is kept, in the order of channels and places.

    Reference: Zheng et al. 2023 (arXiv:2305.18469), top-k sparsification of the cut layer, here
    without their random choice; of gradients: Aji and Heafield 2017 (arXiv:1704.05021).
    """

    keep: float = 0.1
    # Set by `fit`, not by an audit file: per level the mean square of what is dropped over t^2.
    spread: tuple[float, ...] | None = field(default=None, repr=False, metadata={"fitted": True})

    citations = cited("aji2017sparse", "zheng2023reducing")
    off: ClassVar[Mapping[str, Any] | None] = {"keep": 1.0}

    def __post_init__(self) -> None:
        """Check the configuration.

        Raises:
            ConfigError: ``keep`` is outside its range.
        """
        require_between(self, 1e-6, 1, "keep")

    def fit(self, setting: ReleaseSetting) -> TopK:
        """See on auxiliary patients how small dropped values are, which the release does not say.

        Under the freshly initialised encoders: what these drop is about as small, in units of t, as
        what they drop when trained.
        """
        by_level = zip(*setting.auxiliary_levels, strict=True)
        return replace(self, spread=tuple(map(self._measured, by_level)))

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        """Nothing is random."""
        del levels, generator
        return ()

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        """The kept values at their places, 0 elsewhere."""
        del drawn
        return tuple(level * self._kept(level) for level in levels)

    def expected(self, levels: Levels) -> Levels:
        """The levels before any was dropped, which `evidence` is about."""
        return levels

    def evidence(self, released: Levels) -> Evidence:
        """Exact where a value was kept; 0 with a share of t^2 for variance where it was dropped.

        A dropped value lies within the smallest kept magnitude t of 0. How small it is on average
        was seen on auxiliary patients: most are far smaller than t, as activations are, so that the
        t^2 / 3 of an even spread would be several times too large. Per level the variance is that
        of a trained network within a factor of 3. What is estimated is the level before any was
        dropped, as `expected` says: a candidate is led by the bound on its small values, not only
        by its large ones.
        """
        variances = map(self._variance, released, self._spreads(released))
        return Evidence(values=released, variances=tuple(variances))

    def evidence_from(self, estimate: Evidence) -> Evidence:
        """Under a later noise no zero is seen: any value may have been dropped, most of them were.

        Where the estimate is exact, as `evidence`.
        """
        exact = self.evidence(estimate.values)
        noisy = [
            error + self._bound(value).square().to(value) * spread * (1 - self.keep)
            for value, error, spread in zip(
                estimate.values, estimate.variances, self._spreads(estimate.values), strict=True
            )
        ]
        known = [error == 0 for error in estimate.variances]
        return Evidence(
            values=estimate.values,
            variances=tuple(map(torch.where, known, exact.variances, noisy)),
        )

    def _measured(self, level_of_sites: Levels) -> float:
        """Mean square of what is dropped of one level, over all sites, in units of t^2; above 0."""
        squares = bounds = 0.0
        for level in level_of_sites:
            dropped = ~self._kept(level)
            bound = self._bound(level).double().square().expand_as(level)
            squares += float(level.detach().double().square()[dropped].sum())
            bounds += float(bound[dropped].sum())
        return max(squares / bounds, _LEAST) if bounds else _EVEN

    def _spreads(self, levels: Levels) -> tuple[float, ...]:
        """Return the fitted spreads; for other levels, as if values were spread evenly."""
        if self.spread is None or len(self.spread) != len(levels):
            return (_EVEN,) * len(levels)
        return self.spread

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

    def _variance(self, level: torch.Tensor, spread: float) -> torch.Tensor:
        magnitude = level.abs().flatten(1)
        kept = magnitude > 0
        smallest = torch.where(kept, magnitude, torch.inf).amin(dim=1)
        # With fewer than were to be kept, zeros were among the largest: all dropped ones are 0.
        bound = torch.where(kept.sum(dim=1) < self._count(level), 0.0, smallest)
        square = (bound.square() * spread).view(-1, *(1,) * (level.ndim - 1))
        return torch.where(level == 0, square, 0.0).to(level)

    def _count(self, level: torch.Tensor) -> int:
        return max(1, round(self.keep * level[0].numel()))
