"""Releases that recur: out of thousands of drawn numbers comes one of few patterns all the same."""

from __future__ import annotations

from functools import partial
from typing import final

import torch

from leakaudit.contracts.defense import Defense
from leakaudit.contracts.measuring.exchanging import numbers
from leakaudit.contracts.measuring.measured import expanded
from leakaudit.contracts.measuring.seeds import HIDDEN
from leakaudit.contracts.measuring.telling import STEP, moved, patterns, tells_much
from leakaudit.randomness import generator_for
from leakaudit.types import Levels

# Draws: among 256 two are alike by even chance where there are 2^15 patterns. Fewer of large
# levels that may release so many values.
_DRAWS, _LEAST, _VALUES = 256, 64, 2**28
# So many together, of levels of so few values.
_TOGETHER, _SMALL = 16, 2**16
# By so many draws it is told whether they hide anything at all.
_FIRST = 32
# Released values of one level that are held, and of one channel at least.
_HELD, _OF_CHANNEL = 4096, 64
# A channel of fewer positions is not looked at alone: few orders and signs are all that there are.
# Fewer channels are not looked at together: of these few are dropped in few ways.
_POSITIONS, _CHANNELS = 9, 16
# A release that follows the levels by less than this share of what is usual says nothing.
_SILENT = 0.01
# Two releases that are nearer than this share of what is usual, in squares, are alike, if what
# draws do has so many dimensions that chance brings no two so near.
_NEAR, _DIMENSIONS = 0.01, 12
# Others differ in more values than this: of whole channels that are dropped at most half do.
_DIFFER = 0.55


def patterns_recur(defense: Defense, levels: Levels, seed: int = 0) -> bool:
    """Whether draws that hide the levels do one of few things, which may all be tried.

    One sample is released under many draws. Two releases are then alike, bit by bit or except for a
    little noise, while others differ in most values (the birthday bound). Only releases that follow
    the levels count: dropped channels are alike and say nothing, and kept ones never differ.

    Args:
        defense: fitted.
        levels: of own samples at one site, each ``(N, C, *spatial)``.
        seed: of the draws.
    """
    generator = generator_for(seed, "recur")
    one = moved(tuple(level[:1].detach() for level in levels), generator)
    if not defense.draw(one, generator):
        return False
    pair = tuple(torch.cat(both) for both in zip(one, moved(one, generator), strict=True))

    def draw(number: int) -> Levels:
        """One of many draws, made again when it is needed: all of them take too much memory."""
        return defense.draw(one, generator_for(seed, "recurring", number))

    together = _TOGETHER if numbers(pair) <= _SMALL else 1
    most = max(_LEAST, min(_DRAWS, _VALUES // numbers(pair)))
    many = tuple(level.repeat(together, *(1,) * (level.ndim - 1)) for level in pair)
    with torch.no_grad():
        held = [_Held(level, generator) for level in defense.apply(pair, expanded(draw(0), 2))]
        for start in range(0, most, together):
            if start == _FIRST and not any(bool(level.hidden().any()) for level in held):
                return False
            each = [expanded(draw(number), 2) for number in range(start, start + together)]
            drawn = tuple(map(torch.cat, zip(*each, strict=True)))
            for level, given in zip(held, defense.apply(many, drawn), strict=True):
                level.add(given)
        for index, level in enumerate(held):
            for group in level.hidden().nonzero().flatten().tolist():
                recurs = level.recurring(group)
                looked = partial(_looked, level, index, group)
                if recurs is not None and tells_much(defense, one, draw(recurs), looked, seed):
                    return True
    return False


def _looked(held: _Held, index: int, group: int, released: Levels) -> torch.Tensor:
    """Return the held values of a group of a level."""
    return held.looked(released[index])[:, group]


@final
class _Held:
    """Some released values of one level under many draws, of one sample and of the same moved.

    In groups: a group is a channel, or all of many channels that have few positions.

    Args:
        level: a release, ``(2, C, *spatial)``.
        generator: of the values that are held.
    """

    def __init__(self, level: torch.Tensor, generator: torch.Generator) -> None:
        channels, positions = level.flatten(2).shape[1:]
        if positions < _POSITIONS:
            every = torch.arange(channels * positions)[None][: channels // _CHANNELS]
            self.places = every // positions, every % positions
        else:
            most = min(positions, max(_OF_CHANNEL, _HELD // channels))
            some = torch.randperm(positions, generator=generator)[:most].expand(channels, most)
            self.places = torch.arange(channels)[:, None].expand_as(some), some
        self.rows: list[torch.Tensor] = []

    def looked(self, level: torch.Tensor) -> torch.Tensor:
        """The values that are held, ``(N, groups, values)``, float64."""
        return level.flatten(2)[:, self.places[0], self.places[1]].double()

    def add(self, level: torch.Tensor) -> None:
        """Add the releases of both by other draws, ``(2 draws, C, *spatial)``."""
        self.rows.append(self.looked(level).unflatten(0, (-1, 2)))

    def hidden(self) -> torch.Tensor:
        """Whether draws hide what follows the levels on average, by group, ``(groups,)``."""
        rows = torch.cat(self.rows)  # (draws, 2, groups, values)
        if not rows.shape[2]:
            return torch.zeros(0, dtype=torch.bool)
        steps = (rows[:, 1] - rows[:, 0]) / STEP
        signal = (steps.mean(dim=0).square() - steps.var(dim=0) / len(steps)).mean(dim=1)
        follows = steps.square().mean(dim=(0, 2)) > 0
        return follows & (signal < HIDDEN * rows[:, 0].var(dim=0).mean(dim=1))

    def recurring(self, group: int) -> int | None:
        """A draw that another draw repeats while the others differ; else None."""
        rows = torch.cat([each[:, :, group] for each in self.rows])  # (draws, 2, values)
        steps = ((rows[:, 1] - rows[:, 0]) / STEP).square().sum(dim=1)
        saying = (steps > _SILENT * steps.mean()).nonzero().flatten()
        released = rows[saying, 0]
        released = released[:, released.amax(dim=0) > released.amin(dim=0)]
        if len(released) < 2 or not released.shape[1]:
            return None
        same = released.unique(dim=0, return_inverse=True)[1]
        above = torch.ones(len(same), len(same), dtype=torch.bool, device=same.device).triu(1)
        alike = above & (same[:, None] == same)
        middle = released - released.mean(dim=0)
        apart = torch.cdist(middle, middle).square()
        # What is left between the two hides the levels no more.
        near = above & (apart < _NEAR * apart[above].median())
        near &= HIDDEN * apart / 2 <= steps[saying].mean()
        if bool(near.any()) and patterns(middle) > _DIMENSIONS:
            alike |= near
        if not bool(alike.any()):
            return None
        first, second = (above & ~alike).nonzero().T
        chosen = slice(None, None, max(1, len(first) // _HELD))
        differ = (released[first[chosen]] != released[second[chosen]]).double().mean()
        # A mean of no pairs is not a number, and not above.
        return int(saying[alike.nonzero()[0, 0]]) if float(differ) > _DIFFER else None
