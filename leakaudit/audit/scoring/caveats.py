"""Finds reasons why an attack's low figure does not show that the defense works."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from leakaudit.contracts import RELEASES, AttackFacts, Capability, Defense, hints_hold, measured
from leakaudit.contracts.measuring.hashes import hashes_levels
from leakaudit.contracts.measuring.hints import hints_tell
from leakaudit.contracts.measuring.keys import sends_its_key
from leakaudit.contracts.measuring.measured import Measured
from leakaudit.contracts.measuring.recurring import patterns_recur
from leakaudit.contracts.measuring.seeds import few_draws_decide, seed_decides
from leakaudit.contracts.measuring.steadiness import unsteady
from leakaudit.data import Patient
from leakaudit.records import Doubt
from leakaudit.threat.system import System, images_of
from leakaudit.types import Levels

# By exchanging batches with the sites an attack reads releases as well.
_READS = RELEASES | {Capability.ACTIVE_MANIPULATION}
# A release whose values follow the levels less than this says too little to be misread.
_TELLING = 0.05


def caveats(attack: AttackFacts, system: System, patient: Patient) -> tuple[Doubt, ...]:
    """Why a low figure of a cell shows no protection; none for most.

    Args:
        attack: what was run.
        system: what it met.
        patient: an auxiliary one, on whose slices the defense is tried.
    """
    if not attack.needs() & (_READS | {Capability.WEIGHT_GRADIENTS}):
        return ()
    views = images_of(patient).to(system.device).split(list(system.network.spec.channels), 1)
    with torch.no_grad():
        sites = system.network.encode(views)
    if not attack.needs() & _READS:
        return tuple(_of_gradients(attack, system.defense, sites))
    found = [*_of_defense(system.defense, sites)]
    if Capability.DEFENSE_PARAMETERS in attack.needs() and not attack.measures:
        found += _of_hints(system.defense, sites)
    return tuple(found)


def _of_gradients(
    attack: AttackFacts, defense: Defense, sites: tuple[Levels, ...]
) -> Iterator[Doubt]:
    """Doubt an attack that matches gradients and knows the defense but not its draws."""
    if Capability.DEFENSE_PARAMETERS not in attack.needs():
        return
    if any(defense.draw(levels, torch.Generator().manual_seed(0)) for levels in sites):
        yield Doubt(
            kind="own draws",
            words=(
                "The defense draws anew for every batch, and this attack matches gradients with "
                "draws of its own: a low figure here is not a sign of protection."
            ),
        )


def _of_defense(defense: Defense, sites: tuple[Levels, ...]) -> Iterator[Doubt]:
    """Yield doubts about a defense that none of our attacks can see through."""
    if any(sends_its_key(defense, levels) for levels in sites):
        yield Doubt(
            kind="key",
            words=(
                "A part of every release is made of the draw alone, and the rest depends on that "
                "same draw: it may be the key to the rest, which this attack does not use."
            ),
        )
    if any(_hidden_by_few(defense, levels) for levels in sites):
        yield Doubt(
            kind="few draws",
            words=(
                "Few drawn numbers, or one of few patterns, decide how all of a release looks: "
                "an adversary that guesses these reads the rest, which this attack does not try."
            ),
        )
    if any(hashes_levels(defense, levels) for levels in sites):
        yield Doubt(
            kind="hash",
            words=(
                "A release depends on the levels like a hash: a tiny change of these changes most "
                "of it. Noise or an order that comes out of the levels may be guessed, which this "
                "attack does not try."
            ),
        )
    for reason in filter(None, (unsteady(defense, levels) for levels in sites)):
        yield Doubt(
            kind="unsteady",
            words=(
                f"The defense does not do the same in every call: {reason}. What an adversary "
                "learns of it on its own patients need not hold for others."
            ),
        )
        break


def _hidden_by_few(defense: Defense, levels: Levels) -> bool:
    found = measured(defense, levels)
    if seed_decides(defense, levels, found) or patterns_recur(defense, levels):
        return True
    if not few_draws_decide(defense, levels, found):
        return False
    # Where the defense truly says what was drawn, as of dropped values, nobody need guess. To say
    # that nothing is known is true as well, and excuses nothing.
    return not (hints_hold(defense, levels, found) and hints_tell(defense, levels, found))


def _of_hints(defense: Defense, sites: tuple[Levels, ...]) -> Iterator[Doubt]:
    """Doubt an attack that follows hints of the defense which do not hold."""
    for levels in sites:
        found = measured(defense, levels)
        if _telling(found) and not hints_hold(defense, levels, found):
            yield Doubt(
                kind="evidence",
                words=(
                    "What the defense says of its releases (Defense.evidence, Defense.expected) is "
                    "not what they are on an auxiliary patient, and this attack goes by it: a low "
                    "figure here is not a sign of protection."
                ),
            )
            return


def _telling(found: Measured) -> bool:
    return any(
        float((level.signal / (level.signal + level.noise).clamp_min(1e-300)).max()) > _TELLING
        for level in found.levels
    )
