"""What keeps an attack from being an answer to the defence it meets."""

from __future__ import annotations

import torch

from leakaudit.contracts import AttackFacts, Capability, Defense
from leakaudit.data import Patient
from leakaudit.randomness import generator_for
from leakaudit.threat.system import System, images_of
from leakaudit.types import Levels

# A stated variance that is off by so much leads an attack that weighs by it astray.
_ROUGH = 4.0


def caveats(attack: AttackFacts, system: System, patient: Patient) -> tuple[str, ...]:
    """One sentence each, for the notes of a cell.

    Args:
        attack: what was run.
        system: what it met.
        patient: an auxiliary one, on whose slices it is tried whether what the defence says of its
            releases is true.
    """
    if Capability.DEFENSE_PARAMETERS not in attack.needs():
        return ()
    defense = system.defense
    views = images_of(patient).to(system.device).split(list(system.network.spec.channels), 1)
    with torch.no_grad():
        levels = system.network.encode(views)[0]
        if not defense.adversary_is_told(levels):
            return (
                "The defense does not say what a release gives away (Defense.evidence), so this "
                "attack took noise for signal: a low figure here is no sign of protection.",
            )
        ratios = [each for site in system.network.encode(views) for each in _judged(defense, site)]
    worst = max(ratios, key=lambda ratio: max(ratio, 1 / ratio), default=1.0)
    if max(worst, 1 / worst) <= _ROUGH:
        return ()
    said = (
        f"its releases are {worst:.3g} times as far off as it says, in squares"
        if worst > 1
        else f"its releases are nearer the truth than it says, by {1 / worst:.3g} in squares"
    )
    return (
        f"What the defense tells an adversary (Defense.evidence) is rough: {said}. This attack "
        "goes by it, and may be weaker than one that learns from examples.",
    )


def _judged(defense: Defense, levels: Levels) -> list[float]:
    """Per level the mean square of a release's error over the variance that is stated for it."""
    evidence = defense.evidence(defense.release(levels, generator=generator_for(0, "told")))
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
    return ratios
