"""Several disguises in a row, one of every kind, and the one that controls are made under."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import nn

from leakaudit.randomness import generator_for
from leakaudit.threat.disguises.base import Disguise, _between
from leakaudit.threat.disguises.faint import FaintNoise, LowDigits
from leakaudit.threat.disguises.places import ChannelMix, OneChannel, PositionMix, PositionOrder
from leakaudit.threat.disguises.values import (
    ChannelScales,
    FixedNoise,
    HalfPrecisionExtremes,
    Offset,
    Scale,
    Signs,
)
from leakaudit.threat.system import System
from leakaudit.types import Levels, SiteLevels


@final
@dataclass(frozen=True, kw_only=True)
class Composed(Disguise):
    """Disguises one after the other, as one that says nothing of them.

    Args:
        chain: what is done first comes first.
    """

    chain: tuple[Disguise, ...]

    @property
    def words(self) -> str:
        """The parts in words, such as ``signs, channel mix``."""
        return ", ".join(part.words for part in self.chain)

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        """The draws of all in a row."""
        return tuple(each for part in self.chain for each in part.draw(levels, generator))

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        """All in order."""
        rest = iter(drawn)
        none = tuple(level[:0] for level in levels)
        for part in self.chain:
            own = part.draw(none, torch.Generator())
            levels = part.apply(levels, tuple(next(rest) for _ in own))
        return levels

    def undone(self, released: Levels) -> Levels:
        """Undo the last first."""
        for part in reversed(self.chain):
            released = part.undone(released)
        return released

    def disguised(self, level: torch.Tensor, number: int) -> torch.Tensor:
        """A level alone, the randomness of its parts left out."""
        for part in self.chain:
            level = part.disguised(level, number)
        return level

    def revealed(self, level: torch.Tensor, number: int) -> torch.Tensor:
        """A level alone."""
        for part in reversed(self.chain):
            level = part.revealed(level, number)
        return level


# What comes first must not be lost in the rounding of what follows: scales stand last.
_PLAIN: tuple[type[Disguise], ...] = (Signs, ChannelMix, FixedNoise, Offset, ChannelScales)
_SCRAMBLING: tuple[type[Disguise], ...] = (PositionOrder, PositionMix)


def disguises(seed: int) -> Mapping[str, Disguise]:
    """One disguise of every kind, and three compositions, by name; all drawn from ``seed``."""
    alone = {
        "scale down": Scale(by=10.0 ** -_between(6.0, 12.0, seed, "down")),
        "scale up": Scale(by=10.0 ** _between(6.0, 12.0, seed, "up")),
        "scale each channel": ChannelScales(seed=seed),
        "signs": Signs(seed=seed),
        "offset": Offset(seed=seed),
        "channel mix": ChannelMix(seed=seed),
        "order of positions": PositionOrder(seed=seed),
        "mix of positions": PositionMix(seed=seed),
        "fixed noise": FixedNoise(seed=seed),
        "one channel": OneChannel(seed=seed),
        "one channel in noise": OneChannel(seed=seed, noise=1.0),
        "faint channel in noise": OneChannel(seed=seed, noise=1.0, scale=1e-6),
        "third decimal": LowDigits(),
        "below 6e-8": LowDigits(step=2.0**-13, share=6e-8 * 2**13, most=8),
        "float16 extremes": HalfPrecisionExtremes(seed=seed),
    }
    return alone | {
        f"composed of {count}": _composition(count, (*_SCRAMBLING[:1], *_PLAIN), seed)
        for count in (2, 3)
    }


def control_disguise(seed: int) -> Composed:
    """Make the disguise of positive controls: faint noise, and two or three plain disguises.

    Signs, a mix of the channels, fixed noise, an offset and scales of the channels: an attack that
    standardises what was released, and learns from it or follows it back, reads through them. The
    noise is drawn afresh, so that an attack which gives up where anything is random fails too.
    """
    plain = _composition(2 + (_between(0.0, 1.0, seed, "count") < 0.5), _PLAIN, seed)
    return Composed(chain=(FaintNoise(), *plain.chain))


def disguised(system: System, disguise: Disguise) -> System:
    """An undefended system whose every release passes through ``disguise``, untrained for it.

    Its label site undoes the disguise first, as one that was trained behind it would have learned
    to.
    """
    network = deepcopy(system.network)
    network.add_module("server", _Undisguising(network.server, disguise))
    return replace(system, network=network, defense=disguise)


@final
class _Undisguising(nn.Module):
    """The label site's part of a network behind a disguise."""

    def __init__(self, server: nn.Module, disguise: Disguise) -> None:
        super().__init__()
        self.server, self._disguise = server, disguise

    def forward(self, sites: SiteLevels) -> torch.Tensor:
        """Logits of what every site released, each of them undone."""
        logits: torch.Tensor = self.server(tuple(map(self._disguise.undone, sites)))
        return logits


def _composition(count: int, kinds: Sequence[type[Disguise]], seed: int) -> Composed:
    order = torch.randperm(len(kinds), generator=generator_for(seed, "composition", count))
    chosen = sorted(order[:count].tolist())
    return Composed(chain=tuple(kinds[index](seed=seed) for index in chosen))
