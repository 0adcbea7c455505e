"""A draw that may be guessed: few drawn numbers decide how all of a release looks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch

from leakaudit.contracts.defense import Defense
from leakaudit.contracts.measuring.exchanging import anywhere, leading, one_by_one, replaced
from leakaudit.contracts.measuring.measured import Measured
from leakaudit.contracts.measuring.telling import STEP, moved, patterns
from leakaudit.randomness import generator_for
from leakaudit.types import Levels

# Drawn values that are looked at as seeds, and patterns that no single one adds more or less of.
_TRIED, _PATTERNS = 2, 4
# So many drawn values are few.
_FEW = 64
# Below this share of the variance over draws what follows the levels is hidden by them.
HIDDEN = 0.25
# Draws by which this is told, and draws where some differ from the first.
_MANY_DRAWS, _OTHERS = 32, 16
# Steps of the levels that vary by less than this share over draws do not depend on these.
_LITTLE = 0.02


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
            places = anywhere([each.numel() for each in first], generator)
            chunks = one_by_one(defense, one, first, other, places)
            effects = torch.cat([chunk[index].any(dim=1) for chunk in chunks]).double()
            # What rarely matters, as a chance to be kept, moves as few values by all draws at once.
            unseen = 3 * sizes / len(effects)
            if _moved_by_all(defense, one, first, other, index) <= min(unseen, sizes - 1):
                continue
            if float(effects.mean()) * sizes <= max(_FEW, unseen):
                return True
    return False


def seed_decides(defense: Defense, levels: Levels, found: Measured, seed: int = 0) -> bool:
    """Whether noise that hides the levels comes out of few drawn numbers, as out of a seed.

    Numbers that are exchanged again and again then add a new pattern each time, not more or less of
    as many as they are; and without what they add the release follows the levels. Two are tried
    alone, then all that are found together.

    Args:
        defense: fitted.
        levels: of own samples at one site, each ``(N, C, *spatial)``.
        found: what was `measured` of it.
        seed: of the draws.
    """
    hidden = [
        level.additive and bool(level.signal.mean() < HIDDEN * level.noise.mean())
        for level in found.levels
    ]
    if not found.random or not any(hidden):
        return False
    generator = generator_for(seed, "seed")
    one = tuple(level[:1].detach() for level in levels)
    draws = [defense.draw(one, generator) for _ in range(_OTHERS)]
    with torch.no_grad():
        places = leading(defense, one, draws)
        # More draws than there are numbers tell patterns from strengths.
        draws += [defense.draw(one, generator) for _ in range(2 * len(places) - _OTHERS)]
        together = [places] if len(places) > 1 else []
        for chosen in [*([place] for place in places[:_TRIED]), *together]:
            by_them, by_others = (
                [defense.apply(one, replaced(drawn, other, chosen)) for drawn, other in pairs]
                for pairs in (
                    [(draws[0], other) for other in draws],
                    [(other, draws[0]) for other in draws],
                )
            )
            for index, level in enumerate(found.levels):
                if not hidden[index]:
                    continue
                left = _apart(by_others, index).square().mean()
                # Numbers that are strengths of patterns add as many of these as they are.
                new = patterns(_apart(by_them, index)) > max(_PATTERNS, len(chosen))
                if new and bool(level.signal.mean() >= HIDDEN * left):
                    return True
    return False


def _apart(released: Sequence[Levels], index: int) -> torch.Tensor:
    """Return the releases of a level less their mean, ``(releases, values)``."""
    rows = torch.cat([each[index].double().flatten(1) for each in released])
    return rows - rows.mean(dim=0)


def _moved_by_all(defense: Defense, one: Levels, drawn: Levels, other: Levels, index: int) -> int:
    """Count the values of a level that another draw moves."""
    before, after = (defense.apply(one, each)[index] for each in (drawn, other))
    return int((before != after).sum())


def _hidden(
    defense: Defense, one: Levels, found: Measured, generator: torch.Generator
) -> list[bool]:
    """Per level whether draws hide most of what follows it, and do more than to add something.

    Of many draws of one sample: among few of them a coin is too often nearly always the same.
    """
    after_move = moved(one, generator)
    steps, values = [_Moments() for _ in one], [_Moments() for _ in one]
    for _ in range(_MANY_DRAWS):
        drawn = defense.draw(one, generator)
        released, after = defense.apply(one, drawn), defense.apply(after_move, drawn)
        for index, (a, b) in enumerate(zip(released, after, strict=True)):
            steps[index].add((b.double() - a.double()) / STEP)
            values[index].add(a.double())
    hidden = []
    for level, step, value in zip(found.levels, steps, values, strict=True):
        size = step.mean.square() + step.variance
        signal = (step.mean.square() - step.variance / _MANY_DRAWS).mean()
        cells = level.additive and not bool(level.modulus.isinf().all())
        adds = cells or bool(step.variance.mean() <= _LITTLE * size.mean())
        hidden.append(not adds and bool(signal < HIDDEN * value.variance.mean()))
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
