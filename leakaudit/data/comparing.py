"""What is uncertain because of how the patients of a cohort compare with each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from leakaudit.data.findings import Finding
from leakaudit.data.identity import merged, same_person_by_name
from leakaudit.data.likeness import SAME_IMAGES, SAME_NAME, find_likeness, foreign_modality
from leakaudit.data.preparing import BADLY_DISTORTED, DISTORTED, Prepared


def between_patients(
    patients: Sequence[Prepared], modalities: Sequence[str]
) -> tuple[tuple[tuple[str, ...], ...], dict[str, list[Finding]]]:
    """Who is one person, and what is uncertain because patients differ.

    Args:
        patients: all of a cohort.
        modalities: their names in channel order.

    Returns:
        Identifiers that are one person, and findings by patient.
    """
    found: dict[str, list[Finding]] = {one.patient: [] for one in patients}
    names = [one.patient for one in patients]
    groups = same_person_by_name(names)
    for scans in groups:
        for name in scans:
            found[name].append(SAME_NAME)
    like = find_likeness([one.signature for one in patients])
    known = {frozenset(pair) for scans in groups for pair in _pairs(scans)}
    for first, second in like.together:
        pair = (names[first], names[second])
        groups.append(pair)
        for name in pair if frozenset(pair) not in known else ():
            found[name].append(SAME_IMAGES)
    for first, second, modality in like.foreign:
        pair = (names[first], names[second])
        groups.append(pair)
        for name in pair:
            found[name].append(foreign_modality(modalities[modality]))
    _compare_spacing(patients, found)
    _compare_orientation(patients, found)
    return merged(groups), found


def _pairs(scans: Sequence[str]) -> list[tuple[str, str]]:
    return [(one, other) for one in scans for other in scans if one < other]


def _compare_spacing(patients: Sequence[Prepared], found: dict[str, list[Finding]]) -> None:
    """Add what is said of patients whose voxels have another size than most."""
    usual = float(np.median([one.spacing[0] for one in patients]))
    for one in patients:
        size = one.spacing[0]
        differs = max(size, usual) / min(size, usual) - 1
        if differs > DISTORTED:
            found[one.patient].append(
                Finding(
                    kind="voxel-size",
                    grave=differs > BADLY_DISTORTED,
                    words="Patients have voxels of different size; nothing is resampled, so some "
                    "brains look larger than they are. Resample them to one voxel size.",
                )
            )


def _compare_orientation(patients: Sequence[Prepared], found: dict[str, list[Finding]]) -> None:
    """Add what is said of patients without an orientation among others who have one."""
    unknown = [one.patient for one in patients if not one.is_oriented]
    for name in unknown if len(unknown) < len(patients) else ():
        found[name].append(_NOT_ORIENTED_AS_OTHERS)


_NOT_ORIENTED_AS_OTHERS: Final = Finding(
    kind="no-orientation",
    grave=True,
    words="Some headers do not say which way the patient lies while others do: these patients may "
    "lie mirrored or upside down against the others.",
)
