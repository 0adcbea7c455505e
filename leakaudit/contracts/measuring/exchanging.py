"""Exchanges some drawn values for those of another draw, and looks at the release."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from leakaudit.contracts.defense import Defense
from leakaudit.contracts.measuring.measured import expanded
from leakaudit.types import Levels

# Single drawn values that are exchanged, and how many together.
_PROBES, _TOGETHER = 128, 8
# Halves of a draw that are exchanged to find drawn values that move more than so many released ones
# each, and how many of these are looked at.
_HALVES, _MANY, _LEADING = 256, 1.5, 16
# Bytes of float64 that what is held of one site's levels may take.
_MOST = 2**27


def leading(defense: Defense, one: Levels, draws: Sequence[Levels]) -> list[tuple[int, int]]:
    """Drawn values that each move many released ones, as ``(tensor, place)``: a seed, say.

    Among many drawn values they are found by halves: a half that moves more released values than
    it has drawn ones holds some.
    """
    first, other = draws[0], draws[1]
    sizes = [each.numel() for each in first]
    ends = [sum(sizes[: number + 1]) for number in range(len(sizes))]
    before = rows_of(defense.apply(one, first))
    waiting = [(end - size, end) for end, size in zip(ends, sizes, strict=True)]
    found: list[tuple[int, int]] = []
    for _ in range(_HALVES):
        if not waiting or len(found) == _LEADING:
            break
        start, end = waiting.pop()
        if end - start == 1:
            tensor = next(number for number, last in enumerate(ends) if start < last)
            found.append((tensor, start - (ends[tensor] - sizes[tensor])))
            continue
        middle = (start + end) // 2
        halves = []
        for half in ((start, middle), (middle, end)):
            after = rows_of(defense.apply(one, exchanged(first, other, *half)))
            share = int((after != before).sum()) / (half[1] - half[0])
            if share > _MANY:
                halves.append((share, half))
        waiting += [half for _, half in sorted(halves)]
    return found


def exchanged(drawn: Levels, other: Levels, start: int, end: int) -> Levels:
    """The draw with the values from ``start`` to ``end``, counted through, of another."""
    mixed, done = [], 0
    for mine, theirs in zip(drawn, other, strict=True):
        flat = mine.flatten().clone()
        low, high = (min(max(each - done, 0), len(flat)) for each in (start, end))
        flat[low:high] = theirs.flatten()[low:high]
        mixed.append(flat.view_as(mine))
        done += len(flat)
    return tuple(mixed)


def replaced(drawn: Levels, other: Levels, places: Sequence[tuple[int, int]]) -> Levels:
    """The draw with the values at ``places``, each ``(tensor, place)``, of another."""
    changed = [each.clone() for each in drawn]
    for tensor, place in places:
        changed[tensor].view(-1)[place] = other[tensor].flatten()[place]
    return tuple(changed)


def anywhere(sizes: Sequence[int], generator: torch.Generator) -> list[tuple[int, int]]:
    """Drawn values taken at random, as ``(tensor, place)``."""
    return [
        (tensor, int(place))
        for tensor, size in enumerate(sizes)
        for place in torch.randperm(size, generator=generator)[: max(16, _PROBES // len(sizes))]
    ]


def one_by_one(
    defense: Defense,
    one: Levels,
    drawn: Levels,
    other: Levels,
    places: Sequence[tuple[int, int]],
) -> Iterator[list[torch.Tensor]]:
    """Which values move when one drawn value is that of ``other``: per level ``(probes, values)``.

    A few probes at a time, so that little memory is needed.
    """
    together = max(1, min(_TOGETHER, _MOST // (8 * numbers(one))))
    for start in range(0, len(places), together):
        chosen = places[start : start + together]
        count = len(chosen)
        rows = [each.flatten().expand(count, -1).clone() for each in drawn]
        for row, (tensor, place) in enumerate(chosen):
            rows[tensor][row, place] = other[tensor].flatten()[place]
        changed = tuple(
            row.view(count, *each.shape[1:]) for row, each in zip(rows, drawn, strict=True)
        )
        many = tuple(level.expand(count, *level.shape[1:]) for level in one)
        after = defense.apply(many, changed)
        before = defense.apply(many, expanded(drawn, count))
        yield [(a != b).flatten(1) for a, b in zip(after, before, strict=True)]


def numbers(levels: Levels) -> int:
    """Values of one sample."""
    return sum(level[0].numel() for level in levels)


def rows_of(levels: Levels) -> torch.Tensor:
    """All values of each sample, ``(N, values)``, float64."""
    return torch.cat([level.double().flatten(1) for level in levels], dim=1)
