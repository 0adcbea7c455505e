"""Holds what an adversary is shown against what was measured, and against what it is answered."""

from __future__ import annotations

from collections.abc import Sequence

from leakaudit.audit.jobs.release_likeness import require_alike
from leakaudit.audit.planning.plans import CellPlan
from leakaudit.contracts import Capability, Observation
from leakaudit.data import Patient
from leakaudit.randomness import derive_seed
from leakaudit.records import ReleaseDigest, TargetRecord
from leakaudit.threat.observing import auxiliary_seeds
from leakaudit.threat.releasing import ReleasePath, digest_of, require_same_draw, together
from leakaudit.threat.system import System, middle_slices, path_of, release_seeds


def digest_of_middles(system: System, patients: Sequence[Patient]) -> ReleaseDigest:
    """By what the first release of each patient's middle slice is known again."""
    path = path_of(system)
    return digest_of(
        together(
            [
                path.release(middle_slices([one]), release_seeds(system, one, 0, [one.middle]))
                for one in patients
            ]
        )
    )


def require_one_release(
    plan: CellPlan,
    target: TargetRecord,
    system: System,
    auxiliary: Sequence[Patient],
    observation: Observation,
    path: ReleasePath,
) -> tuple[str, ...]:
    """Hold the victims' releases against the measured ones, and against auxiliary patients'.

    Args:
        plan: of the cell.
        target: what is on record of the network, the digests of its releases among it.
        system: the trained target.
        auxiliary: patients that the adversary may ask about.
        observation: what the adversary was shown.
        path: by which it was released.

    Returns:
        Notes.

    Raises:
        CellError: the defense released them in another way than it releases others, or before.
    """
    granted = observation.granted
    if Capability.ACTIVATIONS not in granted or Capability.TRANSCRIPT in granted:
        return ()
    notes = []
    in_use = plan.threat.victims == "inference"
    measured = target.released if in_use else target.released_of_training
    if measured is not None and plan.disguise is None:  # no training knew the disguise
        notes.append(require_same_draw(measured, digest_of(observation.activations)))
    if in_use:  # to the others the network was fitted
        asked = path.release(middle_slices(auxiliary), auxiliary_seeds(system, auxiliary))
        seed = derive_seed(system.seed, "alike")
        notes.append(require_alike(observation.activations, asked, seed=seed))
    return tuple(filter(None, notes))
