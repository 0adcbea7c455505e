"""Disguises that leave an image where a glance does not find it: in last digits, under noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch

from leakaudit.randomness import normal_like, uniform_like
from leakaudit.threat.disguises.base import Disguise, _deviation
from leakaudit.types import Levels


@final
@dataclass(frozen=True, kw_only=True)
class LowDigits(Disguise):
    """Hide each value in the last digits of a random number that is drawn afresh.

    What crosses is ``step * integer + share * step * sigmoid(level)``: modulo ``step`` it is the
    level, and by its size noise.

    Args:
        step: of the random numbers, in units of the activation.
        share: of a step that the level moves in, less than 1.
        most: the integers are uniform from 0 up to this, at most 2^24 times ``share``.
    """

    step: float = 0.01
    share: float = 0.1
    most: int = 256

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        """Uniform values."""
        return tuple(uniform_like(level, generator) for level in levels)

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        """Random numbers, and the levels in their last digits."""
        return tuple(
            self.step * (self.most * each).floor() + hidden
            for each, hidden in zip(drawn, super().apply(levels, ()), strict=True)
        )

    def disguised(self, level: torch.Tensor, number: int) -> torch.Tensor:
        """The level in the last digits of 0."""
        del number
        return self.share * self.step * level.sigmoid()

    def revealed(self, level: torch.Tensor, number: int) -> torch.Tensor:
        """The level out of the last digits."""
        del number
        part = level.double() % self.step / (self.share * self.step)
        return part.clamp(1e-6, 1 - 1e-6).logit().to(level)


@final
@dataclass(frozen=True, kw_only=True)
class FaintNoise(Disguise):
    """Add noise that is drawn afresh and hides nothing.

    Args:
        share: its standard deviation, in units of each channel's own.
    """

    share: float = 0.01

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        """Standard normal values."""
        return tuple(normal_like(level, generator) for level in levels)

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        """Every level with its noise."""
        return tuple(
            level + self.share * _deviation(level) * noise
            for level, noise in zip(levels, drawn, strict=True)
        )

    def disguised(self, level: torch.Tensor, number: int) -> torch.Tensor:
        """The level: its noise is left out."""
        del number
        return level

    def revealed(self, level: torch.Tensor, number: int) -> torch.Tensor:
        """The level, with its noise."""
        del number
        return level
