"""Whether a defense does the same in every call: alone or in a batch, with a graph or without."""

from __future__ import annotations

import torch

from leakaudit.contracts.defense import Defense
from leakaudit.randomness import generator_for
from leakaudit.types import Levels

# Rounding, in units of what a level varies by.
_ROUNDING = 1e-3
# Samples that are released together.
_BATCHES = (2, 3, 4, 5, 6, 7, 8, 12, 16)


def unsteady(defense: Defense, levels: Levels, seed: int = 0) -> str:
    """End a sentence on what a release depends on beside levels and draw; empty if on nothing.

    Args:
        defense: fitted.
        levels: of own samples at one site, each ``(N, C, *spatial)``.
        seed: of the draw.
    """
    levels = tuple(level.detach() for level in levels)
    one = tuple(level[:1] for level in levels)
    drawn = defense.draw(one, generator_for(seed, "steady"))
    with torch.no_grad():
        first = defense.apply(one, drawn)
        again = defense.apply(one, drawn)
        many = [_among(defense, one, drawn, count) for count in _BATCHES]
        released, repeated = (
            defense.release(one, generator=generator_for(seed, "steady")) for _ in range(2)
        )
    leaves = tuple(level.clone().requires_grad_() for level in one)
    with torch.enable_grad():
        followed = defense.apply(leaves, drawn)
    if not _alike(first, again) or not _alike(released, repeated):
        return "it releases the same levels otherwise under the same draw"
    if not _alike(first, released):
        return "what it releases is not what it applies"
    if not all(_alike(first, each) for each in many):
        return "it releases a sample otherwise in a batch than alone"
    if not _alike(first, followed):
        return "it releases otherwise where a gradient is asked for"
    return ""


def _among(defense: Defense, one: Levels, drawn: Levels, count: int) -> Levels:
    """A sample's release in a batch of ``count`` of the same."""
    several = (tuple(each.expand(count, *each.shape[1:]) for each in side) for side in (one, drawn))
    return tuple(level[:1] for level in defense.apply(*several))


def _alike(one: Levels, other: Levels) -> bool:
    return all(
        bool((a.double() - b.double()).abs().amax() <= _ROUNDING * a.double().std().nan_to_num())
        for a, b in zip(one, other, strict=True)
    )
