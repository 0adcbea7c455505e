"""A key that is sent along: part of a release is made of the draw alone and undoes the rest."""

from __future__ import annotations

import torch

from leakaudit.contracts.defense import Defense
from leakaudit.contracts.measured import Measured, MeasuredLevel, expanded
from leakaudit.randomness import generator_for, normal_like
from leakaudit.types import Levels

_DRAWS = 5
_SAMPLES = 4
# Single drawn values that are exchanged, to see what follows.
_PROBES = 128
_TOGETHER = 8
# What two samples may differ by, of what two draws do, where a value is made of the draw alone.
_ALIKE = 1e-6
# So many drawn values are few.
_FEW = 64
# Below this share of the variance over draws what follows the levels is hidden by them.
_HIDDEN = 0.25


def sends_its_key(defense: Defense, levels: Levels, seed: int = 0) -> bool:
    """Whether a release tells of its own draw what the rest of it depends on.

    Some released values are then the same for every sample under one draw and differ between
    draws; and single drawn values change both these and values that depend on the sample. Noise
    alone does not: each of its values changes one released value.

    Args:
        defense: fitted.
        levels: of own samples at one site, each ``(N, C, *spatial)``.
        seed: of the draws.
    """
    generator = generator_for(seed, "key")
    levels = _several(levels, generator)
    first = tuple(level[:1] for level in levels)
    draws = [defense.draw(first, generator) for _ in range(_DRAWS)]
    if not draws[0]:
        return False
    with torch.no_grad():
        released = [_rows(defense.apply(levels, expanded(each, len(levels[0])))) for each in draws]
        table = torch.stack(released)  # (draws, samples, values)
        between = table.amax(dim=0).sub(table.amin(dim=0)).amax(dim=0)
        within = table.amax(dim=1).sub(table.amin(dim=1)).amax(dim=0)
        alone = (between > 0) & (within <= _ALIKE * between)
        shared = ~alone & (within > 0)
        if not bool(alone.any() & shared.any()):
            return False
        moved = torch.cat(_moved(defense, first, draws[0], draws[1], generator), dim=1)
    return bool(((moved & alone).any(dim=1) & (moved & shared).any(dim=1)).any())


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
    if not found.random or all(level.additive for level in found.levels):
        return False
    generator = generator_for(seed, "few")
    one = tuple(level[:1].detach() for level in levels)
    first, other = found.drawn, defense.draw(one, generator)
    with torch.no_grad():
        moved = [each.any(dim=1) for each in _moved(defense, one, first, other, generator)]
        same, again = defense.apply(one, first), defense.apply(one, other)
    count = len(moved[0])
    sizes = sum(each.numel() for each in first)
    return any(
        not level.additive
        and not torch.equal(a, b)
        and _hidden(level)
        and float(effects.double().mean()) * sizes <= max(_FEW, 3 * sizes / count)
        for level, effects, a, b in zip(found.levels, moved, same, again, strict=True)
    )


def _hidden(level: MeasuredLevel) -> bool:
    """Whether draws hide most of what follows the levels."""
    return float(level.signal.mean()) < _HIDDEN * float(level.noise.mean())


def _moved(
    defense: Defense, one: Levels, drawn: Levels, other: Levels, generator: torch.Generator
) -> list[torch.Tensor]:
    """Per level ``(probes, values)``: which values move when one drawn value is that of ``other``.

    A few probes at a time, so that little memory is needed.
    """
    sizes = [each.numel() for each in drawn]
    places = [
        (tensor, int(place))
        for tensor, size in enumerate(sizes)
        for place in torch.randperm(size, generator=generator)[: max(16, _PROBES // len(sizes))]
    ]
    found: list[list[torch.Tensor]] = [[] for _ in one]
    for start in range(0, len(places), _TOGETHER):
        chosen = places[start : start + _TOGETHER]
        count = len(chosen)
        rows = [each.flatten().expand(count, -1).clone() for each in drawn]
        for row, (tensor, place) in enumerate(chosen):
            rows[tensor][row, place] = other[tensor].flatten()[place]
        exchanged = tuple(
            row.view(count, *each.shape[1:]) for row, each in zip(rows, drawn, strict=True)
        )
        many = tuple(level.expand(count, *level.shape[1:]) for level in one)
        after = defense.apply(many, exchanged)
        for seen, a, b in zip(
            found, after, defense.apply(many, expanded(drawn, count)), strict=True
        ):
            seen.append((a != b).flatten(1))
    return [torch.cat(seen) for seen in found]


def _several(levels: Levels, generator: torch.Generator) -> Levels:
    """Four samples, moved copies where there are fewer."""
    count = len(levels[0])
    chosen = tuple(level.detach()[torch.arange(_SAMPLES) % count] for level in levels)
    if count >= _SAMPLES:
        return chosen
    return tuple(level + 0.5 * level.std() * normal_like(level, generator) for level in chosen)


def _rows(levels: Levels) -> torch.Tensor:
    return torch.cat([level.double().flatten(1) for level in levels], dim=1)
