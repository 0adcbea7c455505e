"""In how many ways a release moves when the levels do: many where it tells of an image."""

from __future__ import annotations

from collections.abc import Callable

import torch

from leakaudit.contracts.defense import Defense
from leakaudit.randomness import generator_for, normal_like
from leakaudit.types import Levels

# Levels are moved by so much of their deviation, and so often.
STEP, _MOVES = 0.5, 16
# A way in which so little moves, in squares, is rounding.
_FAINT = 1e-12


def moved(levels: Levels, generator: torch.Generator) -> Levels:
    """The levels with noise of half their deviation."""
    return tuple(
        level + STEP * level.std(correction=0) * normal_like(level, generator) for level in levels
    )


def patterns(rows: torch.Tensor) -> float:
    """Count the patterns that rows are made of, from 1 to their number: the participation ratio.

    Args:
        rows: ``(rows, values)``, float64, with mean 0.
    """
    sizes = torch.linalg.eigvalsh(rows @ rows.T).clamp_min(0)
    return float(sizes.sum().square() / sizes.square().sum().clamp_min(1e-300))


def tells_much(
    defense: Defense,
    one: Levels,
    drawn: Levels,
    looked: Callable[[Levels], torch.Tensor],
    seed: int,
) -> bool:
    """Whether moves of the levels move a release in as many ways, under one draw.

    A number for each channel, or less, moves in few.

    Args:
        defense: fitted.
        one: levels of one sample, each ``(1, C, *spatial)``.
        drawn: the draw.
        looked: the values of a release that are looked at, ``(1, values)``, float64.
        seed: of the moves.
    """
    generator = generator_for(seed, "telling")
    after = torch.cat([looked(defense.apply(moved(one, generator), drawn)) for _ in range(_MOVES)])
    after = after - after.mean(dim=0)
    # Not the participation ratio: where one move leads to another pattern, that drowns the rest.
    ways = torch.linalg.matrix_rank(after @ after.T, rtol=_FAINT, hermitian=True)
    return int(ways) > _MOVES / 2
