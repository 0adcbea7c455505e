"""A release that depends on the levels like a hash: it jumps where these hardly move."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import final

import torch

from leakaudit.contracts.defense import Defense
from leakaudit.contracts.measuring.telling import tells_much
from leakaudit.randomness import generator_for, normal_like
from leakaudit.types import Levels

# Steps of the way from one image to another; what moves a release much is halved so often, to see
# whether that lies within ever less of the way.
_STEPS, _HALVED = 32, 6
# A value jumps where it moves by this share of its variance on all of the way, in squares.
_JUMPS = 0.1
# So few values jump at once by chance, as where each is rounded.
_FEW = 16
# A larger share of the values jumps at one place of the way only where something decides for all.
_SHARE = 0.5
# Values of a level that are looked at.
_LOOKED = 2**14


def hashes_levels(defense: Defense, levels: Levels, seed: int = 0) -> bool:
    """Whether noise or an order comes out of the levels themselves, as out of a hash of these.

    Levels go in small steps from one sample to another, moved and shifted, under one draw. Where a
    release follows them, a small part of the way moves it little, and the less the smaller it is;
    where each value is rounded, kept or dropped, few values jump at the same place. Where a hash
    decides, most do; where a few numbers cross alone, as one for each channel, nothing is hidden.

    Args:
        defense: fitted.
        levels: of own samples at one site, each ``(N, C, *spatial)``.
        seed: of the draw and of the moves.
    """
    generator = generator_for(seed, "hash")
    start, end = (
        tuple(_sample(level, number, shift, generator) for level in levels)
        for number, shift in ((0, 0.0), (-1, 1.0))
    )
    way = _Way(defense, start, end, generator)
    with torch.no_grad():
        along = [way.released(step / _STEPS) for step in range(_STEPS + 1)]
        return any(
            _jumps(way, index, torch.cat([each[index] for each in along]))
            and tells_much(defense, start, way.drawn, partial(way.looked, index), seed)
            for index in range(len(start))
        )


@final
class _Way:
    """The releases on the way from one sample to another, under one draw.

    Args:
        defense: fitted.
        start: levels of one sample, each ``(1, C, *spatial)``.
        end: of the other.
        generator: of the draw and of the values that are looked at.
    """

    def __init__(
        self, defense: Defense, start: Levels, end: Levels, generator: torch.Generator
    ) -> None:
        self.defense, self.start, self.end = defense, start, end
        self.drawn = defense.draw(start, generator)
        self.places = [
            torch.randperm(level.numel(), generator=generator)[:_LOOKED] for level in start
        ]

    def released(self, part: float) -> Levels:
        """At a part of the way, 0 to 1. Alone, as what a batch changes is not a hash."""
        between = (
            (a.double() + part * (b.double() - a.double())).to(a)
            for a, b in zip(self.start, self.end, strict=True)
        )
        released = self.defense.apply(tuple(between), self.drawn)
        return tuple(self.looked(index, released) for index in range(len(released)))

    def looked(self, index: int, released: Levels) -> torch.Tensor:
        """The values of a level that are looked at, ``(1, values)``, float64."""
        return released[index].flatten(1)[:, self.places[index]].double()


def _jumps(way: _Way, index: int, level: torch.Tensor) -> bool:
    """Whether most values of a level jump at one place; ``level`` is ``(steps, values)``."""
    variance = level.var(dim=0)
    if int((variance > 0).sum()) < _FEW:
        return False
    shares = [_jumping(a, b, variance) for a, b in pairwise(level)]
    step = shares.index(max(shares))
    share, low, size = shares[step], step / _STEPS, 1 / _STEPS
    before, after = level[step], level[step + 1]
    for _ in range(_HALVED):
        if share <= _SHARE:
            return False
        size /= 2
        at = way.released(low + size)[index][0]
        first, second = _jumping(before, at, variance), _jumping(at, after, variance)
        if first >= second:
            after, share = at, first
        else:
            low, before, share = low + size, at, second
    return share > _SHARE


def _jumping(before: torch.Tensor, after: torch.Tensor, variance: torch.Tensor) -> float:
    """Share of the values that vary which differ by much."""
    jumps = (after - before).square() > _JUMPS * variance
    return float(jumps[variance > 0].double().mean())


def _sample(
    level: torch.Tensor, number: int, shift: float, generator: torch.Generator
) -> torch.Tensor:
    """A sample with noise of half a deviation, shifted by so many deviations.

    Moved, because many values that are the same, as a background, would jump together.
    """
    one = level[number][None].detach()
    size = torch.maximum(level.std(correction=0), 0.1 * level.square().mean().sqrt())
    return one + size * (shift + 0.5 * normal_like(one, generator))
