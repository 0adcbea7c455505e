"""A learned way back where a defense's own gradient leads nowhere, or astray."""

from __future__ import annotations

from typing import final

import torch

from leakaudit.api import Defense, Levels, Measured, expanded, wrapped
from leakaudit_attacks.matching_releases.pull import Pull

# Ways in which levels are moved to see what a release does; half a deviation each.
_MOVES = 48
_STEP = 0.5
# A map at every place that explains this share of what moves is taken.
_EXPLAINED = 0.3
# Values of a table of correlations that are held at a time, as many as a processor's cache holds,
# and its least rows; values of a level beyond which the table would take hours; moved levels that
# are released together.
_TABLE, _ROWS, _LARGE, _TOGETHER = 2**20, 32, 2**19, 8
# Of large levels fewer moves, so that they have so many values together.
_MOVED = 2**24


@final
class Fitted(Pull):
    """By linear maps from each level to what is released of it, found by moving the level."""

    def __init__(self, defense: Defense, maps: list[tuple[torch.Tensor, torch.Tensor | None]]):
        """Keep per level channel weights ``(out, in)``, or slopes and sources of each value."""
        super().__init__(defense)
        self._maps = maps

    def back(self, levels: Levels, drawn: Levels, slopes: Levels) -> Levels:
        """The transposed maps, for any draw."""
        del drawn
        return tuple(
            _transposed(level, slope, *one)
            for level, slope, one in zip(levels, slopes, self._maps, strict=True)
        )


def fitted_pull(defense: Defense, levels: Levels, found: Measured) -> Fitted:
    """Move own levels and see which released values follow.

    Args:
        defense: fitted.
        levels: of own samples at one site.
        found: what was measured of it; the moves are made under its draw.
    """
    generator = torch.Generator().manual_seed(0)
    one = tuple(level[:1].detach() for level in levels)
    largest = max(level[0].numel() for level in levels)
    count = min(_MOVES, max(_TOGETHER, _MOVED // largest))
    moves = tuple(
        _STEP * level.std() * torch.randn((count, *level.shape[1:]), generator=generator).to(level)
        for level in one
    )
    with torch.no_grad():
        still = defense.apply(one, found.drawn)
        groups = [
            defense.apply(
                tuple(level + move for level, move in zip(one, some, strict=True)),
                expanded(found.drawn, len(some[0])),
            )
            for some in zip(*(move.split(_TOGETHER) for move in moves), strict=True)
        ]
    after = [torch.cat(parts) for parts in zip(*groups, strict=True)]
    return Fitted(
        defense,
        [
            _map(move.double(), wrapped(b.double() - a.double(), level.modulus))
            for move, a, b, level in zip(moves, still, after, found.levels, strict=True)
        ],
    )


def _map(move: torch.Tensor, step: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
    """``(out, in)`` and None, or per value its slope and which value of the level it follows."""
    inputs, outputs = (each.transpose(0, 1).flatten(1).T for each in (move, step))
    if len(inputs) == len(outputs):
        weights = torch.linalg.lstsq(inputs, outputs).solution
        left = (outputs - inputs @ weights).square().sum(dim=0)
        whole = outputs.square().sum(dim=0).clamp_min(1e-300)
        large = move[0].numel() > _LARGE
        if large or float((1 - left / whole).mean()) >= _EXPLAINED:
            return weights.T, None
    slopes, sources = _sources(move.flatten(1), step.flatten(1))
    return slopes, sources


def _sources(move: torch.Tensor, step: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Find for each released value the level's value that it follows best, and by how much."""
    unit = (move / move.norm(dim=0).clamp_min(1e-300)).float()
    length = step.norm(dim=0)
    follower = (step / length.clamp_min(1e-300)).float()
    best, where = [], []
    for rows in follower.T.split(max(_ROWS, _TABLE // unit.shape[1])):
        table = rows @ unit
        index = table.abs().argmax(dim=1)
        best.append(table.gather(1, index[:, None])[:, 0])
        where.append(index)
    sources, agreement = torch.cat(where), torch.cat(best).double()
    slopes = agreement * length / move.norm(dim=0)[sources].clamp_min(1e-300)
    # By chance some value agrees as well as this.
    return torch.where(agreement.abs() > 0.75, slopes, 0.0), sources


def _transposed(
    level: torch.Tensor, slope: torch.Tensor, weights: torch.Tensor, sources: torch.Tensor | None
) -> torch.Tensor:
    flat = slope.double().flatten(2)
    if sources is None:
        return (weights.T @ flat).view_as(level).to(level)
    back = torch.zeros(level.shape, dtype=torch.float64, device=level.device).flatten(1)
    back.index_add_(1, sources, slope.double().flatten(1) * weights)
    return back.view_as(level).to(level)
