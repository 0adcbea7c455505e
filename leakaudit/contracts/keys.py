"""A key that is sent along: part of a release is made of the draw alone and undoes the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import final

import torch

from leakaudit.contracts.defense import Defense
from leakaudit.contracts.measured import Measured, expanded
from leakaudit.randomness import generator_for, normal_like
from leakaudit.types import Levels

_DRAWS = 8
_SAMPLES = 4
# Single drawn values that are exchanged, to see what follows.
_PROBES = 128
_TOGETHER = 8
# What two samples may differ by, of what two draws do, where a value is made of the draw alone.
_ALIKE = 1e-2
# What follows the samples so much, in the same unit, is hidden by more than noise.
_HIDES = 0.3
# Where hardly anything follows them a little more than a key may, a key is apart from the rest.
_NEARLY = 10
# A key follows the samples by so much less than noise that hides them does.
_APART = 1e4
# Halves of a draw that are exchanged to find drawn values that move more than so many released ones
# each, and how many of these are looked at.
_HALVES, _MANY, _LEADING = 128, 1.5, 8
# Drawn values that are looked at as seeds, and patterns that no single one adds more or less of.
_TRIED, _PATTERNS = 2, 4
# So many drawn values are few.
_FEW = 64
# Below this share of the variance over draws what follows the levels is hidden by them.
_HIDDEN = 0.25
# Draws by which this is told, and draws of which some do other than the first.
_MANY_DRAWS, _OTHERS = 32, 16
# Levels are moved by so much of their deviation to see what follows.
_STEP = 0.5
# Steps of the levels that vary by less than this share over draws do not depend on these.
_LITTLE = 0.02
# Bytes of float64 that what is held of one site's levels may take.
_MOST = 2**27


def sends_its_key(defense: Defense, levels: Levels, seed: int = 0) -> bool:
    """Whether a release tells of its own draw what the rest of it depends on.

    Some released values are then the same for every sample under one draw and differ between
    draws, others are not; and single drawn values change both. Noise alone does not: each of its
    values changes one released value. Noise of few drawn values changes many, which all follow
    the samples alike: a key follows them far less.

    Args:
        defense: fitted.
        levels: of own samples at one site, each ``(N, C, *spatial)``.
        seed: of the draws.
    """
    generator = generator_for(seed, "key")
    levels = _several(levels, generator)
    count = len(levels[0])
    first = tuple(level[:1] for level in levels)
    draws = [defense.draw(first, generator) for _ in range(_DRAWS)]
    if not draws[0]:
        return False
    with torch.no_grad():
        least = most = _rows(defense.apply(levels, expanded(draws[0], count)))  # (samples, values)
        within = most.amax(dim=0) - least.amin(dim=0)
        for drawn in draws[1:]:
            released = _rows(defense.apply(levels, expanded(drawn, count)))
            within = torch.maximum(within, released.amax(dim=0) - released.amin(dim=0))
            least, most = torch.minimum(least, released), torch.maximum(most, released)
        between = (most - least).amax(dim=0)
        drawn_at_all = between > 0
        follows = within / torch.where(drawn_at_all, between, 1.0)
        alone = drawn_at_all & (follows <= _ALIKE)
        if not bool(alone.any() & (within > 0).any()):
            return False
        sizes = [each.numel() for each in draws[0]]
        places = [*_anywhere(sizes, generator), *_leading(defense, first, draws)]
        for chunk in _moved(defense, first, draws[0], draws[1], places):
            if any(_unlocks(row, alone, within, follows) for row in torch.cat(chunk, dim=1)):
                return True
    return False


def _unlocks(
    moved: torch.Tensor, alone: torch.Tensor, within: torch.Tensor, follows: torch.Tensor
) -> bool:
    """Whether what one drawn value moves has a key among it, and what that may be a key to."""
    key = follows[moved & alone]
    rest = follows[moved & (within > 0)]
    if not len(key) or not len(rest):
        return False
    least, usual = float(key.min()), float(rest.median())
    if usual >= _HIDES:
        between = follows[moved & ~alone]
        return int((between < _NEARLY * _ALIKE).sum()) < len(key)
    # Beside noise that hides the samples, a key does not follow them at all.
    return least * _APART <= usual and bool((follows[moved] > least * _APART).any())


def _leading(defense: Defense, one: Levels, draws: Sequence[Levels]) -> list[tuple[int, int]]:
    """Drawn values that each move many released ones, as ``(tensor, place)``: a seed, say.

    Among many drawn values they are found by halves: a half that moves more released values than
    it has drawn ones holds some.
    """
    first, other = draws[0], draws[1]
    sizes = [each.numel() for each in first]
    ends = [sum(sizes[: number + 1]) for number in range(len(sizes))]
    before = _rows(defense.apply(one, first))
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
            after = _rows(defense.apply(one, _exchanged(first, other, *half)))
            share = int((after != before).sum()) / (half[1] - half[0])
            if share > _MANY:
                halves.append((share, half))
        waiting += [half for _, half in sorted(halves)]
    return found


def _exchanged(drawn: Levels, other: Levels, start: int, end: int) -> Levels:
    """The draw with the values from ``start`` to ``end``, counted through, of another."""
    mixed, done = [], 0
    for mine, theirs in zip(drawn, other, strict=True):
        flat = mine.flatten().clone()
        low, high = (min(max(each - done, 0), len(flat)) for each in (start, end))
        flat[low:high] = theirs.flatten()[low:high]
        mixed.append(flat.view_as(mine))
        done += len(flat)
    return tuple(mixed)


def few_draws_decide(defense: Defense, levels: Levels, found: Measured, seed: int = 0) -> bool:
    """Whether few drawn numbers decide how all else of a release looks.

    Who guesses these few reads the rest. Under one draw the release then follows the levels, over
    draws it does not; and of many drawn values that are exchanged one by one hardly any matters,
    while all together do. Fresh signs or orders of single values are not of this kind.

    Args:
        defense: fitted.
        levels: of own samples at one site, each ``(N, C, *spatial)``.
        found: what was `measured` of it.
        seed: of the draws.
    """
    if not found.random:
        return False
    generator = generator_for(seed, "few")
    one = tuple(level[:1].detach() for level in levels)
    first = found.drawn
    sizes = sum(each.numel() for each in first)
    with torch.no_grad():
        hidden = _hidden(defense, one, found, generator)
        if not any(hidden):
            return False
        # A draw that happens to do the same, as every second coin, shows nothing: the next may.
        same = defense.apply(one, first)
        others: dict[int, Levels] = {}
        for _ in range(_OTHERS):
            other = defense.draw(one, generator)
            for index, (a, b) in enumerate(zip(same, defense.apply(one, other), strict=True)):
                if hidden[index] and index not in others and not torch.equal(a, b):
                    others[index] = other
            if len(others) == sum(hidden):
                break
        for index, other in others.items():
            places = _anywhere([each.numel() for each in first], generator)
            chunks = _moved(defense, one, first, other, places)
            effects = torch.cat([chunk[index].any(dim=1) for chunk in chunks]).double()
            # What rarely matters, as a chance to be kept, moves as few values by all draws at once.
            unseen = 3 * sizes / len(effects)
            if _moved_by_all(defense, one, first, other, index) <= min(unseen, sizes - 1):
                continue
            if float(effects.mean()) * sizes <= max(_FEW, unseen):
                return True
    return False


def seed_decides(defense: Defense, levels: Levels, found: Measured, seed: int = 0) -> bool:
    """Whether noise that hides the levels comes out of one drawn number, as out of a seed.

    One number that is exchanged again and again then adds a new pattern each time, not more or less
    of the same; and without what it adds the release follows the levels.

    Args:
        defense: fitted.
        levels: of own samples at one site, each ``(N, C, *spatial)``.
        found: what was `measured` of it.
        seed: of the draws.
    """
    hidden = [
        level.additive and bool(level.signal.mean() < _HIDDEN * level.noise.mean())
        for level in found.levels
    ]
    if not found.random or not any(hidden):
        return False
    generator = generator_for(seed, "seed")
    one = tuple(level[:1].detach() for level in levels)
    draws = [defense.draw(one, generator) for _ in range(_OTHERS)]
    with torch.no_grad():
        for tensor, place in _leading(defense, one, draws)[:_TRIED]:
            by_it, by_others = (
                [
                    defense.apply(one, _with(drawn, value[tensor].flatten()[place], tensor, place))
                    for drawn, value in pairs
                ]
                for pairs in (
                    [(draws[0], other) for other in draws],
                    [(other, draws[0]) for other in draws],
                )
            )
            for index, level in enumerate(found.levels):
                if not hidden[index]:
                    continue
                sizes = torch.linalg.eigvalsh(_spread_rows(by_it, index)).clamp_min(0)
                patterns = sizes.sum().square() / sizes.square().sum().clamp_min(1e-300)
                left = _spread_rows(by_others, index).diagonal().mean() / level.noise.numel()
                if patterns > _PATTERNS and bool(level.signal.mean() >= _HIDDEN * left):
                    return True
    return False


def _with(drawn: Levels, value: torch.Tensor, tensor: int, place: int) -> Levels:
    """A draw with one value of another."""
    exchanged = [each.clone() for each in drawn]
    exchanged[tensor].view(-1)[place] = value
    return tuple(exchanged)


def _spread_rows(released: Sequence[Levels], index: int) -> torch.Tensor:
    """Products of what releases of a level are apart from their mean, ``(releases, releases)``."""
    rows = torch.cat([each[index].double().flatten(1) for each in released])
    rows = rows - rows.mean(dim=0)
    return rows @ rows.T


def _moved_by_all(defense: Defense, one: Levels, drawn: Levels, other: Levels, index: int) -> int:
    """How many values of a level move by another draw."""
    before, after = (defense.apply(one, each)[index] for each in (drawn, other))
    return int((before != after).sum())


def _hidden(
    defense: Defense, one: Levels, found: Measured, generator: torch.Generator
) -> list[bool]:
    """Per level whether draws hide most of what follows it, and do more than to add something.

    Of many draws of one sample: among few of them a coin is too often nearly always the same.
    """
    moved = tuple(
        level + _STEP * level.std() * normal_like(level, generator) if level.numel() > 1 else level
        for level in one
    )
    steps, values = [_Moments() for _ in one], [_Moments() for _ in one]
    for _ in range(_MANY_DRAWS):
        drawn = defense.draw(one, generator)
        released, after = defense.apply(one, drawn), defense.apply(moved, drawn)
        for index, (a, b) in enumerate(zip(released, after, strict=True)):
            steps[index].add((b.double() - a.double()) / _STEP)
            values[index].add(a.double())
    hidden = []
    for level, step, value in zip(found.levels, steps, values, strict=True):
        size = step.mean.square() + step.variance
        signal = (step.mean.square() - step.variance / _MANY_DRAWS).mean()
        cells = level.additive and not bool(level.modulus.isinf().all())
        adds = cells or bool(step.variance.mean() <= _LITTLE * size.mean())
        hidden.append(not adds and bool(signal < _HIDDEN * value.variance.mean()))
    return hidden


@final
class _Moments:
    """Mean and variance of tensors that come one after another (Welford, 1962)."""

    def __init__(self) -> None:
        self.count = 0
        self.mean = torch.zeros(())
        self.squares = torch.zeros(())

    def add(self, value: torch.Tensor) -> None:
        self.count += 1
        apart = value - self.mean
        self.mean = self.mean + apart / self.count
        self.squares = self.squares + apart * (value - self.mean)

    @property
    def variance(self) -> torch.Tensor:
        """Unbiased."""
        return self.squares / (self.count - 1)


def _anywhere(sizes: Sequence[int], generator: torch.Generator) -> list[tuple[int, int]]:
    """Drawn values taken at random, as ``(tensor, place)``."""
    return [
        (tensor, int(place))
        for tensor, size in enumerate(sizes)
        for place in torch.randperm(size, generator=generator)[: max(16, _PROBES // len(sizes))]
    ]


def _moved(
    defense: Defense,
    one: Levels,
    drawn: Levels,
    other: Levels,
    places: Sequence[tuple[int, int]],
) -> Iterator[list[torch.Tensor]]:
    """Which values move when one drawn value is that of ``other``: per level ``(probes, values)``.

    A few probes at a time, so that little memory is needed.
    """
    together = max(1, min(_TOGETHER, _MOST // (8 * _numbers(one))))
    for start in range(0, len(places), together):
        chosen = places[start : start + together]
        count = len(chosen)
        rows = [each.flatten().expand(count, -1).clone() for each in drawn]
        for row, (tensor, place) in enumerate(chosen):
            rows[tensor][row, place] = other[tensor].flatten()[place]
        exchanged = tuple(
            row.view(count, *each.shape[1:]) for row, each in zip(rows, drawn, strict=True)
        )
        many = tuple(level.expand(count, *level.shape[1:]) for level in one)
        after = defense.apply(many, exchanged)
        before = defense.apply(many, expanded(drawn, count))
        yield [(a != b).flatten(1) for a, b in zip(after, before, strict=True)]


def _several(levels: Levels, generator: torch.Generator) -> Levels:
    """Four samples, two of large levels, each moved.

    Moved, because what all samples have in common, as a background, would seem to be made of the
    draw alone.
    """
    count = len(levels[0])
    samples = _SAMPLES if 24 * _SAMPLES * _numbers(levels) <= _MOST else 2
    chosen = tuple(level.detach()[torch.arange(samples) % count] for level in levels)
    return tuple(level + _STEP * _size(level) * normal_like(level, generator) for level in chosen)


def _size(level: torch.Tensor) -> torch.Tensor:
    """The deviation; of a level that hardly varies a tenth of its root mean square."""
    return torch.maximum(level.std(), 0.1 * level.square().mean().sqrt())


def _numbers(levels: Levels) -> int:
    """Values of one sample."""
    return sum(level[0].numel() for level in levels)


def _rows(levels: Levels) -> torch.Tensor:
    return torch.cat([level.double().flatten(1) for level in levels], dim=1)
