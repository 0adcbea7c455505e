"""The base of all disguises, and the parts that several of them are made of."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from re import sub
from typing import ClassVar

import torch

from leakaudit.contracts import Defense, Stage
from leakaudit.randomness import generator_for
from leakaudit.types import Levels


@dataclass(frozen=True, kw_only=True)
class Disguise(Defense):
    """A change of every level that can be undone, the same for every patient, site and release.

    Args:
        seed: of all that is fixed.
    """

    seed: int = 0
    acts_on: ClassVar[frozenset[Stage]] = frozenset({Stage.RELEASE})

    @property
    def words(self) -> str:
        """The disguise in words, such as ``channel mix``."""
        return sub("(?<!^)([A-Z])", r" \1", type(self).__name__).lower()

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        """Nothing: a disguise is fixed."""
        del levels, generator
        return ()

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        """Every level disguised."""
        del drawn
        return tuple(self.disguised(level, number) for number, level in enumerate(levels))

    def undone(self, released: Levels) -> Levels:
        """The levels behind a release, up to rounding."""
        return tuple(self.revealed(level, number) for number, level in enumerate(released))

    @abc.abstractmethod
    def disguised(self, level: torch.Tensor, number: int) -> torch.Tensor:
        """``level`` ``(B, C, *spatial)`` as it crosses; ``number`` counts from the shallowest."""

    @abc.abstractmethod
    def revealed(self, level: torch.Tensor, number: int) -> torch.Tensor:
        """Undo `disguised`."""

    def fixed(self, number: int, *labels: object) -> torch.Generator:
        """The source of what is fixed of one level."""
        return generator_for(self.seed, type(self).__name__, number, *labels)


def _between(low: float, high: float, seed: int, label: str) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator_for(seed, label)))


def _deviation(level: torch.Tensor) -> torch.Tensor:
    """Deviation of each sample's channels, shaped to broadcast to ``level``; 0 of one position."""
    flat = level.detach().flatten(2)
    found = flat.std(dim=-1, unbiased=False)
    return found.view(*found.shape, *(1,) * (level.ndim - 2))


def _channels(level: torch.Tensor) -> torch.Tensor:
    """A tensor of one value for each channel, in a shape that broadcasts to ``level``."""
    return level.new_empty((1, level.shape[1], *(1,) * (level.ndim - 2)))


def _half(level: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """True for one half of the channels, rounded up, in a shape that broadcasts to ``level``."""
    ranks = torch.randperm(level.shape[1], generator=generator).to(level.device)
    return (ranks < (level.shape[1] + 1) // 2).view(_channels(level).shape)


def _mixed(matrix: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
    return (matrix @ level.flatten(2)).view_as(level)


def _order_of(level: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    count = level.shape[2:].numel()
    return torch.randperm(count, generator=generator).to(level.device)


def _hartley(values: torch.Tensor) -> torch.Tensor:
    """The discrete Hartley transform of the last axis, which is its own inverse."""
    turned: torch.Tensor = torch.fft.fft(values, norm="ortho")
    return turned.real.sub(turned.imag)
