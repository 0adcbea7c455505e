"""Compares a defense's hints, `expected` and `evidence`, with its releases."""

from __future__ import annotations

import torch

from leakaudit.contracts.defense import Defense
from leakaudit.contracts.measuring.measured import Measured, agreement
from leakaudit.randomness import generator_for, normal_like
from leakaudit.types import Levels

# A stated variance that is off by so much leads an attack that weighs by it astray.
HINT_ROUGH = 4.0
# Values that are said to tell nothing may be correlated so much by chance.
TELLS = 0.5
_DRAWS = 4
# Samples that hints are compared with.
_SAMPLES = 8
# Below this correlation with what moving the levels does, a gradient leads astray.
LED = 0.5
# Channels whose signals differ so much in squares are not weighed alike.
_UNEVEN = 1e4
# A level may vary by so much of what follows when it moves, in squares.
_FIXED = 30.0
# Hints that say less than this of what follows the levels leave the draw to be guessed.
_MUCH = 0.25


def hint_errors(defense: Defense, levels: Levels, seed: int = 0) -> tuple[float, ...]:
    """Per level the mean square of a release's error over the variance that is stated for it.

    Args:
        defense: fitted.
        levels: of one site, each ``(B, C, *spatial)``.
        seed: of the release.

    Returns:
        1 where the hint is true, more where releases are further off than it says; nothing of a
        level whose every value is said to be unknown.
    """
    evidence = defense.evidence(defense.release(levels, generator=generator_for(seed, "told")))
    ratios = []
    for value, variance, wanted in zip(
        evidence.values, evidence.variances, defense.expected(levels), strict=True
    ):
        seen = variance.isfinite()
        if not bool(seen.any()):
            continue
        # What rounding leaves of a level is not an error.
        floor = 1e-9 * float(wanted.double().square().mean()) + 1e-30
        error = float((value - wanted)[seen].double().square().mean()) + floor
        ratios.append(error / (float(variance[seen].double().mean()) + floor))
    return tuple(ratios)


def hints_hold(defense: Defense, levels: Levels, found: Measured, seed: int = 0) -> bool:
    """Whether an adversary loses nothing by going by the hints, on levels of its own.

    They must be true of the releases channel by channel, follow the levels as much as the releases
    do, and leave no channel of a far smaller scale than others, which a common weight would drown.

    Args:
        defense: fitted.
        levels: of one site, each ``(N, C, *spatial)``.
        found: what was `measured` of it.
        seed: of releases.
    """
    levels = _some(levels)
    if any(told >= TELLS for told in told_by_unknown(defense, levels, seed)):
        return False
    released = defense.release(levels, generator=generator_for(seed, "held"))
    evidence, wanted = defense.evidence(released), defense.expected(levels)
    generator = generator_for(seed, "move")
    moves = [
        tuple(0.5 * level.std() * normal_like(level, generator) for level in levels)
        for _ in range(_DRAWS)
    ]
    after = [defense.expected(tuple(map(torch.add, levels, move))) for move in moves]
    if any(led < LED for led in agreement(defense.expected, levels, moves, after)):
        return False
    moved = after[0]
    for value, variance, one, other, level in zip(
        evidence.values, evidence.variances, wanted, moved, found.levels, strict=True
    ):
        seen = variance.isfinite().expand_as(value)
        follows = _by_channel((other - one).double().square(), torch.ones_like(seen)) / 0.25
        error = _by_channel((value - one).double().square(), seen)
        said = _by_channel(variance.double().expand_as(value), seen)
        floor = 1e-9 * _by_channel(one.double().square(), torch.ones_like(seen)) + 1e-300
        ratio = (error + floor) / (said + floor)
        if bool(((ratio > HINT_ROUGH) | (ratio * HINT_ROUGH < 1)).any()):
            return False
        signal = level.signal.flatten(1).mean(dim=1)
        # What draws do to a mean over few of them is not a measure of a single channel.
        sized = signal[signal > 0] if level.additive else signal[:0]
        if len(sized) and float(sized.max() / sized.min()) > _UNEVEN:
            return False
        if level.entangled:
            return False
        # What is the same for everybody must not stand for what values differ by.
        fixed = level.additive and one.double().var() > _FIXED * signal.mean() > 0
        if bool(fixed):
            return False
        known = seen.double().mean() * _told(said, follows)
        # Of what moves with the input some is to be learned, if only by a guess of the draw.
        if level.follows and float(known) == 0:
            return False
        if known < 0.5 * _told(level.noise.flatten(1).mean(dim=1), signal):
            return False
    return True


def hints_tell(defense: Defense, levels: Levels, found: Measured, seed: int = 0) -> bool:
    """Whether the hints positively say much of every level that moves with the input.

    What is said of a release, on average over its values, must be a good part of what follows the
    levels, and must go with it over samples and places.

    Args:
        defense: fitted.
        levels: of one site, each ``(N, C, *spatial)``.
        found: what was `measured` of it.
        seed: of the release and of the moves.
    """
    levels = _some(levels)
    released = defense.release(levels, generator=generator_for(seed, "tells"))
    evidence, wanted = defense.evidence(released), defense.expected(levels)
    generator = generator_for(seed, "tell")
    move = tuple(0.5 * level.std() * normal_like(level, generator) for level in levels)
    moved = defense.expected(tuple(map(torch.add, levels, move)))
    for value, variance, one, other, level in zip(
        evidence.values, evidence.variances, wanted, moved, found.levels, strict=True
    ):
        if not level.follows:
            continue
        seen = variance.isfinite().expand_as(value)
        follows = _by_channel((other - one).double().square(), torch.ones_like(seen)) / 0.25
        told = _told(_by_channel(variance.double().expand_as(value), seen), follows)
        pair = torch.stack([value, one]).double().transpose(1, 2).flatten(2)
        kept = seen.transpose(0, 1).flatten(1)
        mean = torch.where(kept, pair, 0.0).sum(dim=2) / kept.sum(dim=1).clamp_min(1)
        apart = torch.where(kept, pair - mean[..., None], 0.0).flatten(1)
        lengths = apart.norm(dim=1).prod()
        alike = float(apart[0] @ apart[1] / lengths) if lengths > 0 else 0.0
        if float(seen.double().mean()) * min(float(told), alike * abs(alike)) < _MUCH:
            return False
    return True


def _some(levels: Levels) -> Levels:
    """A few of many samples: they tell as much and take less memory."""
    return tuple(level[:_SAMPLES] for level in levels)


def _told(noise: torch.Tensor, signal: torch.Tensor) -> torch.Tensor:
    """The share of the levels that channels tell, 0 to 1 on average."""
    return (signal / (signal + noise).clamp_min(1e-300)).mean()


def _by_channel(values: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    kept = torch.where(seen, values, 0.0).transpose(0, 1).flatten(1).sum(dim=1)
    return kept / seen.transpose(0, 1).flatten(1).sum(dim=1).clamp_min(1)


def told_by_unknown(defense: Defense, levels: Levels, seed: int = 0) -> tuple[float, ...]:
    """Per level how far values that are said to be unknown follow the levels all the same.

    The correlation of released and expected values, over samples, places and draws, where the
    stated variance is infinite; 0 where there are no such values, or where they do not vary.

    Args:
        defense: fitted.
        levels: of one site, each ``(B, C, *spatial)``.
        seed: of the releases.
    """
    levels = _some(levels)
    found = [0.0] * len(levels)
    wanted = defense.expected(levels)
    for draw in range(_DRAWS):
        released = defense.release(levels, generator=generator_for(seed, "unknown", draw))
        variances = defense.evidence(released).variances
        for index, (value, variance, one) in enumerate(
            zip(released, variances, wanted, strict=True)
        ):
            unknown = ~variance.isfinite().expand_as(value)
            pair = torch.stack([value[unknown], one[unknown]]).double()
            apart = pair - pair.mean(dim=1, keepdim=True) if pair.numel() else pair
            lengths = apart.norm(dim=1)
            if bool((lengths > 0).all()):
                found[index] += abs(float(apart[0] @ apart[1] / lengths.prod())) / _DRAWS
    return tuple(found)
