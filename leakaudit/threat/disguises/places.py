"""Disguises that mix or move channels and positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch

from leakaudit.randomness import normal_like, uniform_like
from leakaudit.threat.disguises.base import Disguise, _channels, _hartley, _mixed, _order_of
from leakaudit.types import Levels


@final
@dataclass(frozen=True, kw_only=True)
class ChannelMix(Disguise):
    """Mix the channels by a fixed orthogonal matrix."""

    def disguised(self, level: torch.Tensor, number: int) -> torch.Tensor:
        """Mix at every position."""
        return _mixed(self._matrix(level, number), level)

    def revealed(self, level: torch.Tensor, number: int) -> torch.Tensor:
        """Mix by the transposed matrix."""
        return _mixed(self._matrix(level, number).T, level)

    def _matrix(self, level: torch.Tensor, number: int) -> torch.Tensor:
        channels = level.shape[1]
        square = normal_like(torch.empty(channels, channels), self.fixed(number))
        matrix: torch.Tensor = torch.linalg.qr(square)[0]
        return matrix.to(level)


@final
@dataclass(frozen=True, kw_only=True)
class PositionOrder(Disguise):
    """Put the positions of each level into a fixed order, all channels alike."""

    def disguised(self, level: torch.Tensor, number: int) -> torch.Tensor:
        """The level in that order."""
        return level.flatten(2)[:, :, self._order(level, number)].view_as(level)

    def revealed(self, level: torch.Tensor, number: int) -> torch.Tensor:
        """The level in its own order."""
        return level.flatten(2)[:, :, self._order(level, number).argsort()].view_as(level)

    def _order(self, level: torch.Tensor, number: int) -> torch.Tensor:
        return _order_of(level, self.fixed(number))


@final
@dataclass(frozen=True, kw_only=True)
class PositionMix(Disguise):
    """Mix the positions of each level by a fixed rotation, all channels alike.

    Signs, a Hartley transform, an order, signs and a Hartley transform: each value is spread over
    all of them, at the cost of a Fourier transform (Bracewell 1983).
    """

    def disguised(self, level: torch.Tensor, number: int) -> torch.Tensor:
        """Rotate."""
        first, order, second = self._steps(level, number)
        turned = _hartley(level.flatten(2) * first)[:, :, order]
        return _hartley(turned * second).view_as(level)

    def revealed(self, level: torch.Tensor, number: int) -> torch.Tensor:
        """Rotate back."""
        first, order, second = self._steps(level, number)
        turned = _hartley(level.flatten(2)) * second
        return (_hartley(turned[:, :, order.argsort()]) * first).view_as(level)

    def _steps(
        self, level: torch.Tensor, number: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        generator = self.fixed(number)
        flat = level[0, 0].flatten()
        first = 1.0 - 2.0 * (uniform_like(flat, generator) < 0.5).to(level)
        order = _order_of(level, generator)
        return first, order, 1.0 - 2.0 * (uniform_like(flat, generator) < 0.5).to(level)


@final
@dataclass(frozen=True, kw_only=True)
class OneChannel(Disguise):
    """Keep one fixed channel of each level; the others are constant, or noise made afresh.

    Args:
        scale: what the channel that is kept is multiplied by.
        noise: standard deviation of the other channels; 0 for zeros.
    """

    scale: float = 1.0
    noise: float = 0.0

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        """Standard normal values, if the other channels hold noise."""
        return tuple(normal_like(level, generator) for level in levels) if self.noise else ()

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        """The kept channels among the others."""
        kept = super().apply(levels, ())
        if not self.noise:
            return kept
        return tuple(
            torch.where(self._kept(level, number), level, self.noise * noise)
            for number, (level, noise) in enumerate(zip(kept, drawn, strict=True))
        )

    def disguised(self, level: torch.Tensor, number: int) -> torch.Tensor:
        """The kept channel beside zeros."""
        return torch.where(self._kept(level, number), self.scale * level, 0.0)

    def revealed(self, level: torch.Tensor, number: int) -> torch.Tensor:
        """The kept channel as it was beside zeros: all that is there to be read."""
        return torch.where(self._kept(level, number), level / self.scale, 0.0)

    def _kept(self, level: torch.Tensor, number: int) -> torch.Tensor:
        values = uniform_like(_channels(level), self.fixed(number))
        return values == values.amax()
