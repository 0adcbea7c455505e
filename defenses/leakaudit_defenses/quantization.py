"""Released values rounded to a few."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, final

import torch

from leakaudit.api import Defense, Evidence, Levels, require_between
from leakaudit_defenses.papers import cited


@final
@dataclass(frozen=True, kw_only=True)
class Quantization(Defense):
    """Round every released value to one of 2^bits, evenly spaced from its level's least to its top.

    The range is that of each sample's own level. Made to save traffic, and not random: what is
    released again is the same again. Hides what is smaller than a step, and the order of values
    within one; which of them lie in another step is told without error. Carries no guarantee.

    The gradient is straight-through: it passes as if nothing were rounded.

    Args:
        bits: 1 to 16; None for no rounding.

    Reference: Zheng et al. 2023 (arXiv:2305.18469), quantization of the cut layer; Bengio et al.
    2013 (arXiv:1308.3432), the straight-through estimator.
    """

    bits: int | None = 4

    citations = cited("bengio2013estimating", "zheng2023reducing")
    off: ClassVar[Mapping[str, Any] | None] = {"bits": None}
    gradient: ClassVar[Literal["exact", "straight-through"]] = "straight-through"

    def __post_init__(self) -> None:
        """Check the configuration.

        Raises:
            ConfigError: ``bits`` is outside its range.
        """
        if self.bits is not None:
            require_between(self, 1, 16, "bits")

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        """Nothing is random."""
        del levels, generator
        return ()

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        """The nearest of the 2^bits values."""
        del drawn
        if self.bits is None:
            return levels
        # A difference of 0 carries the gradient, which leaves the rounded values as they are.
        return tuple(self._rounded(level.detach()) + (level - level.detach()) for level in levels)

    def expected(self, levels: Levels) -> Levels:
        """The levels before rounding, which can be followed downhill; `evidence` is about them."""
        return levels

    def evidence(self, released: Levels) -> Evidence:
        """The release, with the variance step^2 / 12 of values that are spread evenly in a step.

        At few bits that is rough: most values lie near the middle of their range, not evenly.
        The least and the largest value are released as they are and give the step. What is
        estimated is the level before rounding, as `expected` says, which can be followed downhill.
        """
        if self.bits is None:
            return super().evidence(released)
        return Evidence(
            values=released,
            variances=tuple(
                (self._grid(level)[1].square() / 12).expand_as(level) for level in released
            ),
        )

    def _rounded(self, level: torch.Tensor) -> torch.Tensor:
        least, step, top = self._grid(level)
        # A constant level has no step: all of it is its least value.
        counted = (level - least) / torch.where(step > 0, step, 1.0)
        return least + step * counted.round().clamp(0, top)

    def _grid(self, level: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, int]:
        """The least value and the step of each sample, ``(B, 1, ...)``, and the number of steps."""
        over = tuple(range(1, level.ndim))
        least, largest = level.amin(dim=over, keepdim=True), level.amax(dim=over, keepdim=True)
        steps = 2 ** (self.bits or 1) - 1
        return least, (largest - least) / steps, steps
