"""Looks at a release in which noise that many of its values share is gone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import final

import torch
from torch.nn import functional

# A few directions hold this share of what is drawn, or they are not taken off; of so many drawn
# releases at most one in so many is a direction.
_HELD, _DIRECTIONS = 0.9, 3
# A look must tell so many times as much as the values themselves, and a later one than an earlier
# so much more.
_SHARE, _EARLIER = 1.2, 0.05
# Where most values are far off, those near 0 may be true.
_SMALL = (0.05, 0.1, 0.2, 0.4)
# Values a side of a neighborhood, which holds some of them.
_NEARBY = 5
# Values a side of a block.
_BLOCK = 4


@final
@dataclass(frozen=True)
class Look:
    """One way to look at a released level.

    Args:
        words: of a note.
        made: float64 ``(B, C, *spatial)`` to ``(B, K, *spatial)``, differentiable.
        coarse: whether detail is lost that many noisy values together still tell.
    """

    words: str
    made: Callable[[torch.Tensor], torch.Tensor]
    coarse: bool = False

    @property
    def with_values(self) -> Look:
        """A coarse look beside the values themselves: a decoder learns what to make of both."""
        if not self.coarse:
            return self
        words = f"{self.words} beside the values"
        return Look(words, lambda level: torch.cat([self.made(level), level], dim=1))

    def __call__(self, level: torch.Tensor) -> torch.Tensor:
        """``(B, C, *spatial)`` of any float to float64 ``(B, K, *spatial)``."""
        return self.made(level.double())

    def __str__(self) -> str:
        """In words."""
        return self.words


AS_IT_IS = Look("", lambda level: level)


def looks(residuals: torch.Tensor) -> Iterator[Look]:
    """Ways to look at a level, simple ones first.

    Args:
        residuals: what draws add to the level, each less their mean, ``(draws, C, *spatial)``.
    """
    axes = tuple(range(2, residuals.ndim))
    yield Look("each channel's mean subtracted in every release", _without(axes))
    if len(axes) > 1:
        for axis in axes:
            yield Look("the means of lines subtracted in every release", _without((axis,)))
        yield Look(
            "the means of lines of each direction subtracted in every release", _without_lines
        )
    yield Look("each channel in units of its own deviation in every release", _normalized)
    directions = _directions(residuals)
    if directions is not None:
        yield Look("what few drawn patterns add taken off", _projected(directions))
    if min(residuals.shape[2:]) >= _BLOCK:
        yield Look("means of blocks", _blocks, coarse=True)
    yield Look("differences of neighbors and means of blocks", _differences)
    yield Look("sizes of values, not their signs", torch.Tensor.abs)
    yield Look("signs of values, not their sizes", _signs)
    yield Look("digits of values, not their powers of two", _mantissas)
    for share in _SMALL:
        yield Look(f"the smallest {share:.0%} of each channel's values alone", _smallest(share))
        yield Look(
            f"the smallest {share:.0%} of each channel's values and their means nearby",
            _smallest_nearby(share),
        )


def best_looks(
    residuals: torch.Tensor,
    first: torch.Tensor,
    again: torch.Tensor,
    count: int,
    more: float = 0.03,
) -> list[Look]:
    """The looks that tell most, where that is clearly more than the values themselves tell.

    Args:
        residuals: see `looks`.
        first: released of samples, ``(N, C, *spatial)``.
        again: of the same samples, drawn anew.
        count: how many at most; the best first.
        more: by how much a look must be more reliable than the values themselves.
    """
    plain = reliability(first, again, AS_IT_IS)
    bar = max(_SHARE * plain, plain + more)
    told = [(reliability(first, again, look), look) for look in looks(residuals)]
    # The simpler of two that tell about as much comes first.
    rank = sorted(
        (-round(tells / _EARLIER), number) for number, (tells, _) in enumerate(told) if tells > bar
    )
    return [told[number][1] for _, number in rank[:count]]


def reliability(first: torch.Tensor, again: torch.Tensor, look: Look) -> float:
    """How well a value of one release goes with the same of another, over samples.

    Args:
        first: released of samples, ``(N, C, *spatial)``.
        again: of the same samples, drawn anew.
        look: at both.

    Returns:
        The mean correlation over the values that vary, -1 to 1; 0 where none does.
    """
    one, other = (each - each.mean(dim=0) for each in (look(first), look(again)))
    size = (one.square().sum(dim=0) * other.square().sum(dim=0)).sqrt()
    seen = size > 0
    share = torch.where(seen, (one * other).sum(dim=0) / torch.where(seen, size, 1.0), 0.0)
    return float(share.sum() / seen.sum().clamp_min(1))


def _without(axes: tuple[int, ...]) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda level: level - level.mean(dim=axes, keepdim=True)


def _without_lines(level: torch.Tensor) -> torch.Tensor:
    for axis in range(2, level.ndim):
        level = level - level.mean(dim=axis, keepdim=True)
    return level


def _normalized(level: torch.Tensor) -> torch.Tensor:
    axes = tuple(range(2, level.ndim))
    apart = level - level.mean(dim=axes, keepdim=True)
    # A root has no slope at 0, and what does not vary has no unit.
    square = apart.square().mean(dim=axes, keepdim=True)
    varies = square > 0
    return torch.where(varies, apart / torch.where(varies, square, 1.0).sqrt(), 0.0)


def _signs(level: torch.Tensor) -> torch.Tensor:
    # Its slope is that of the value.
    return level + (level.sign() - level).detach()


def _mantissas(level: torch.Tensor) -> torch.Tensor:
    """The logarithm's place between two powers of two, as sine and cosine of an angle."""
    size = level.abs()
    some = size > 0
    angle = 2 * math.pi * torch.where(some, size, 1.0).log2()
    return torch.cat([torch.where(some, part, 0.0) for part in (angle.sin(), angle.cos())], dim=1)


def _smallest(share: float) -> Callable[[torch.Tensor], torch.Tensor]:
    def made(level: torch.Tensor) -> torch.Tensor:
        size = level.abs().flatten(2)
        rank = max(1, round(share * size.shape[2]))
        most = size.kthvalue(rank, dim=2).values
        return torch.where(size <= most[..., None], level.flatten(2), 0.0).view_as(level)

    return made


def _smallest_nearby(share: float) -> Callable[[torch.Tensor], torch.Tensor]:
    alone = _smallest(share)

    def made(level: torch.Tensor) -> torch.Tensor:
        small = alone(level)
        there = (small != 0).to(small)
        pool = functional.avg_pool2d if level.ndim == 4 else functional.avg_pool3d
        around, count = (pool(each, _NEARBY, 1, _NEARBY // 2) for each in (small, there))
        mean = torch.where(count > 0, around / torch.where(count > 0, count, 1.0), 0.0)
        return torch.cat([mean, small], dim=1)

    return made


def _differences(level: torch.Tensor) -> torch.Tensor:
    """Return differences in each direction: first, second and mixed; and means of blocks."""
    axes = range(2, level.ndim)
    steps = [_step(level, axis) for axis in axes]
    parts = [*steps, *(_step(each, axis) for each, axis in zip(steps, axes, strict=True))]
    parts.append(_step(steps[0], level.ndim - 1))
    if min(level.shape[2:]) >= _BLOCK:
        parts.append(_blocks(level))
    return torch.cat(parts, dim=1)


def _blocks(level: torch.Tensor) -> torch.Tensor:
    """At each place the mean of its block."""
    pool = functional.avg_pool2d if level.ndim == 4 else functional.avg_pool3d
    coarse = pool(level, _BLOCK, _BLOCK, ceil_mode=True, count_include_pad=False)
    for axis in range(2, level.ndim):
        coarse = coarse.repeat_interleave(_BLOCK, dim=axis).narrow(axis, 0, level.shape[axis])
    return coarse


def _step(level: torch.Tensor, axis: int) -> torch.Tensor:
    """Each value's difference to the one before; 0 for the first."""
    step = level.narrow(axis, 1, level.shape[axis] - 1) - level.narrow(
        axis, 0, level.shape[axis] - 1
    )
    return torch.cat([torch.zeros_like(level.narrow(axis, 0, 1)), step], dim=axis)


def _directions(residuals: torch.Tensor) -> torch.Tensor | None:
    """Orthonormal rows that hold most of what is drawn; None where it takes many."""
    rows = residuals.double().flatten(1)
    sizes, axes = torch.linalg.eigh(rows @ rows.T)
    sizes, axes = sizes.flip(0).clamp_min(0), axes.flip(1)
    whole = float(sizes.sum())
    if not whole > 0:
        return None
    count = int((sizes.cumsum(0) < _HELD * whole).sum()) + 1
    most = len(rows) // _DIRECTIONS
    if count > most:
        return None
    # All of the few that stand out, however small beside the largest.
    gaps = sizes[:most] / sizes[1 : most + 1].clamp_min(1e-12 * whole)
    count = max(count, int(gaps[count - 1 :].argmax()) + count)
    found: torch.Tensor = axes[:, :count].T @ rows / sizes[:count].sqrt()[:, None]
    return found


def _projected(directions: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    def made(level: torch.Tensor) -> torch.Tensor:
        flat = level.flatten(1)
        there = directions.to(flat)
        return (flat - (flat @ there.T) @ there).view_as(level)

    return made
