"""Disguises that change each value by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch

from leakaudit.randomness import normal_like, uniform_like
from leakaudit.threat.disguises.base import Disguise, _channels, _half


@dataclass(frozen=True, kw_only=True)
class _Elementwise(Disguise):
    """``factor * level + shift`` with both fixed."""

    def factor(self, level: torch.Tensor, number: int) -> torch.Tensor:
        """Return the factor of each value, in a shape that broadcasts to ``level``."""
        del number
        return level.new_ones(())

    def shift(self, level: torch.Tensor, number: int) -> torch.Tensor:
        """Return the summand of each value."""
        del number
        return level.new_zeros(())

    @final
    def disguised(self, level: torch.Tensor, number: int) -> torch.Tensor:
        """Multiply and add."""
        return self.factor(level, number) * level + self.shift(level, number)

    @final
    def revealed(self, level: torch.Tensor, number: int) -> torch.Tensor:
        """Subtract and divide."""
        return (level - self.shift(level, number)) / self.factor(level, number)


@final
@dataclass(frozen=True, kw_only=True)
class Scale(_Elementwise):
    """Multiply every value by one number.

    Args:
        by: the number, not 0.
    """

    by: float = 1e-6

    def factor(self, level: torch.Tensor, number: int) -> torch.Tensor:
        """Return one factor for all values."""
        del number
        return level.new_tensor(self.by)


@final
@dataclass(frozen=True, kw_only=True)
class ChannelScales(_Elementwise):
    """Multiply each channel by a number of its own, log-uniform.

    Args:
        decades: powers of ten between which the numbers lie, on either side of 1.
    """

    decades: float = 12.0

    def factor(self, level: torch.Tensor, number: int) -> torch.Tensor:
        """One for each channel."""
        drawn = uniform_like(_channels(level), self.fixed(number))
        factors: torch.Tensor = 10.0 ** (self.decades * (2 * drawn - 1))
        return factors


@final
@dataclass(frozen=True, kw_only=True)
class Signs(_Elementwise):
    """Turn the sign of one half of the channels, a random one."""

    def factor(self, level: torch.Tensor, number: int) -> torch.Tensor:
        """1 or -1 for each channel."""
        return torch.where(_half(level, self.fixed(number)), -1.0, 1.0).to(level)


@final
@dataclass(frozen=True, kw_only=True)
class Offset(_Elementwise):
    """Add a number of its own to each channel.

    Args:
        size: standard deviation of these numbers, in units of the activation.
    """

    size: float = 100.0

    def shift(self, level: torch.Tensor, number: int) -> torch.Tensor:
        """One for each channel."""
        return self.size * normal_like(_channels(level), self.fixed(number))


@final
@dataclass(frozen=True, kw_only=True)
class FixedNoise(_Elementwise):
    """Add noise that is the same every time.

    Args:
        std: standard deviation, in units of the activation.
    """

    std: float = 10.0

    def shift(self, level: torch.Tensor, number: int) -> torch.Tensor:
        """One for each value."""
        return self.std * normal_like(level[:1], self.fixed(number))


@final
@dataclass(frozen=True, kw_only=True)
class HalfPrecisionExtremes(_Elementwise):
    """Bring each channel to where float16 knows no number: above 65504, or below 6e-8."""

    def factor(self, level: torch.Tensor, number: int) -> torch.Tensor:
        """1e6 or 1e-8 for each channel."""
        return torch.where(_half(level, self.fixed(number)), 1e6, 1e-8).to(level)
