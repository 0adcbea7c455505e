"""Disguises: invertible changes of a release that hide nothing and say nothing of themselves.

Whoever sees a disguised release loses nothing of what the levels hold, but an attack that works
only where nothing stands in its way reads it no more. `disguises` gives one of every kind, and
`control_disguise` the one under which a run's positive controls are made.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from re import sub
from typing import ClassVar, final

import torch
from torch import nn

from leakaudit.contracts import Defense, Stage
from leakaudit.randomness import generator_for, normal_like, uniform_like
from leakaudit.threat.system import System
from leakaudit.types import Levels, SiteLevels


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
        """What it is, for people: ``channel mix``."""
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


@dataclass(frozen=True, kw_only=True)
class _Elementwise(Disguise):
    """``factor * level + shift`` with both fixed."""

    def factor(self, level: torch.Tensor, number: int) -> torch.Tensor:
        """What each value is multiplied by, in a shape that broadcasts to ``level``."""
        del number
        return level.new_ones(())

    def shift(self, level: torch.Tensor, number: int) -> torch.Tensor:
        """What is added to each value."""
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
        """The same for all."""
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
        """What it is made of: ``signs, channel mix``."""
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
    """What positive controls are made behind: faint noise, and two or three plain disguises.

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


def _between(low: float, high: float, seed: int, label: str) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator_for(seed, label)))


def _deviation(level: torch.Tensor) -> torch.Tensor:
    """Of each sample's channels, in a shape that broadcasts to ``level``; 0 of one position."""
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
