"""A key that is sent along: part of a release is made of the draw alone and undoes the rest."""

from __future__ import annotations

import torch

from leakaudit.contracts.defense import Defense
from leakaudit.contracts.measuring.exchanging import anywhere, leading, numbers, one_by_one, rows_of
from leakaudit.contracts.measuring.measured import expanded
from leakaudit.randomness import generator_for, normal_like
from leakaudit.types import Levels

_DRAWS = 8
_SAMPLES = 4
# What two samples may differ by, of what two draws do, where a value is made of the draw alone.
_ALIKE = 1e-2
# What follows the samples so much, in the same unit, is hidden by more than noise.
_HIDES = 0.3
# Where hardly anything follows them a little more than a key may, a key is apart from the rest.
_NEARLY = 10
# A key follows the samples by so much less than noise that hides them does.
_APART = 1e4
# Levels are moved by so much of their deviation to see what follows.
_STEP = 0.5
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
        least = most = rows_of(
            defense.apply(levels, expanded(draws[0], count))
        )  # (samples, values)
        within = most.amax(dim=0) - least.amin(dim=0)
        for drawn in draws[1:]:
            released = rows_of(defense.apply(levels, expanded(drawn, count)))
            within = torch.maximum(within, released.amax(dim=0) - released.amin(dim=0))
            least, most = torch.minimum(least, released), torch.maximum(most, released)
        between = (most - least).amax(dim=0)
        drawn_at_all = between > 0
        follows = within / torch.where(drawn_at_all, between, 1.0)
        alone = drawn_at_all & (follows <= _ALIKE)
        if not bool(alone.any() & (within > 0).any()):
            return False
        sizes = [each.numel() for each in draws[0]]
        places = [*anywhere(sizes, generator), *leading(defense, first, draws)]
        for chunk in one_by_one(defense, first, draws[0], draws[1], places):
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


def _several(levels: Levels, generator: torch.Generator) -> Levels:
    """Four samples, two of large levels, each moved.

    Moved, because what all samples have in common, as a background, would seem to be made of the
    draw alone.
    """
    count = len(levels[0])
    samples = _SAMPLES if 24 * _SAMPLES * numbers(levels) <= _MOST else 2
    chosen = tuple(level.detach()[torch.arange(samples) % count] for level in levels)
    return tuple(level + _STEP * _size(level) * normal_like(level, generator) for level in chosen)


def _size(level: torch.Tensor) -> torch.Tensor:
    """The deviation; of a level that hardly varies a tenth of its root mean square."""
    return torch.maximum(level.std(), 0.1 * level.square().mean().sqrt())
