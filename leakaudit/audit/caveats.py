"""What keeps an attack from being an answer to the defence it meets."""

from __future__ import annotations

import torch

from leakaudit.contracts import Attack, Capability, Defense
from leakaudit.data import Patient
from leakaudit.randomness import generator_for
from leakaudit.threat.system import System, images_of
from leakaudit.types import Levels

# A stated variance that is off by so much leads an attack that weighs by it astray.
_ROUGH = 4.0


def caveats(attack: Attack, system: System, patient: Patient) -> tuple[str, ...]:
    """One sentence each, for the notes of a cell.

    Args:
        attack: what was run.
        system: what it met.
        patient: an auxiliary one, on whose slices it is tried whether what the defence says of its
            releases is true.
    """
    if Capability.DEFENSE_PARAMETERS not in attack.needs():
        return ()
    views = images_of(patient).to(system.device).split(list(system.network.spec.channels), 1)
    with torch.no_grad():
        levels = system.network.encode(views)[0]
        if not system.defense.adversary_is_told(levels):
            return (
                "The defense does not say what a release gives away (Defense.evidence), so this "
                "attack took noise for signal: a low figure here is no sign of protection.",
            )
        error = _misjudged(system.defense, levels)
    if error <= _ROUGH:
        return ()
    return (
        "What the defense says of its releases (Defense.evidence) is off: the square of its error "
        f"is {error:.3g} times, or one over that, what it says. This attack goes by it, so a low "
        "figure here is little sign of protection.",
    )


def _misjudged(defense: Defense, levels: Levels) -> float:
    """By what factor the stated variance of a release's error misses it, at least 1."""
    evidence = defense.evidence(defense.release(levels, generator=generator_for(0, "told")))
    worst = 1.0
    for value, variance, wanted in zip(
        evidence.values, evidence.variances, defense.expected(levels), strict=True
    ):
        seen = variance.isfinite()
        if not bool(seen.any()):
            continue
        # What rounding leaves of a level is no error.
        floor = 1e-9 * float(wanted.double().square().mean()) + 1e-30
        error = float((value - wanted)[seen].double().square().mean()) + floor
        said = float(variance[seen].double().mean()) + floor
        worst = max(worst, error / said, said / error)
    return worst
