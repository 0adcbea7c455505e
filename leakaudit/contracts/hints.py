"""How true a defence's hints are: `expected` and `evidence`, held against its releases."""

from __future__ import annotations

import torch

from leakaudit.contracts.defense import Defense
from leakaudit.randomness import generator_for
from leakaudit.types import Levels

# A stated variance that is off by so much leads an attack that weighs by it astray.
HINT_ROUGH = 4.0
# Values of which it is said that they tell nothing may be correlated so much by chance.
TELLS = 0.5
_DRAWS = 4


def hint_errors(defense: Defense, levels: Levels, seed: int = 0) -> tuple[float, ...]:
    """Per level the mean square of a release's error over the variance that is stated for it.

    Args:
        defense: fitted.
        levels: of one site, each ``(B, C, *spatial)``.
        seed: of the release.

    Returns:
        1 where the hint is true, more where releases are further off than it says; nothing of a
        level of which every value is said to be unknown.
    """
    evidence = defense.evidence(defense.release(levels, generator=generator_for(seed, "told")))
    ratios = []
    for value, variance, wanted in zip(
        evidence.values, evidence.variances, defense.expected(levels), strict=True
    ):
        seen = variance.isfinite()
        if not bool(seen.any()):
            continue
        # What rounding leaves of a level is no error.
        floor = 1e-9 * float(wanted.double().square().mean()) + 1e-30
        error = float((value - wanted)[seen].double().square().mean()) + floor
        ratios.append(error / (float(variance[seen].double().mean()) + floor))
    return tuple(ratios)


def told_by_unknown(defense: Defense, levels: Levels, seed: int = 0) -> tuple[float, ...]:
    """Per level how far values that are said to be unknown follow the levels all the same.

    The correlation of released and expected values, over samples, places and draws, where the
    stated variance is infinite; 0 where there are no such values, or where they do not vary.

    Args:
        defense: fitted.
        levels: of one site, each ``(B, C, *spatial)``.
        seed: of the releases.
    """
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
