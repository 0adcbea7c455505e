"""Finds doubts that show only when the patients of a cohort are compared."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

import numpy as np

from leakaudit.data.findings import Finding
from leakaudit.data.layouts.identity import merged, names_a_time, person_of, same_person_by_name
from leakaudit.data.preparing.likeness import (
    DOUBTFUL_NAME,
    NOT_BY_NAME,
    SAME_IMAGES,
    SAME_NAME,
    Likeness,
    find_likeness,
    foreign_modality,
)
from leakaudit.data.preparing.patient import BADLY_DISTORTED, DISTORTED, Prepared

_FEW_VOXELS: Final = 20  # so small masks can be equal by chance
_FEWEST: Final = 4  # persons that can be split, as of split_patients


def between_patients(
    patients: Sequence[Prepared], modalities: Sequence[str], spatial_dims: int = 2
) -> tuple[tuple[tuple[str, ...], ...], dict[str, list[Finding]]]:
    """Find persons under several names, and doubts that show when patients are compared.

    Args:
        patients: all of a cohort.
        modalities: their names in channel order.
        spatial_dims: 3 if whole volumes are kept, so that the distance of slices counts as well.

    Returns:
        Identifiers that are one person, and findings by patient.
    """
    found: dict[str, list[Finding]] = {one.patient: [] for one in patients}
    names = [one.patient for one in patients]
    like = find_likeness([one.signature for one in patients])
    groups = []
    for scans, finding in _by_name(names, like):
        for name in scans:
            found[name].append(finding)
        if finding != NOT_BY_NAME:
            groups.append(scans)
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
    _compare_masks(patients, groups, found)
    _compare_spacing(patients, found, spatial_dims)
    _compare_orientation(patients, found)
    return merged(groups), found


def _by_name(names: Sequence[str], like: Likeness) -> list[tuple[tuple[str, ...], Finding]]:
    """Names that say one person, and what is said of each group.

    Words such as ``scan_2`` say the time, or number the patients of a hospital. They are doubted if
    they leave fewer than half as many persons as names and less than half of the groups hold two
    like images; and not followed if too few persons would be left to split.
    """
    groups = same_person_by_name(names)
    doubted = [scans for scans in groups if any(names_a_time(name) for name in scans)]
    timed = [name for name in names if names_a_time(name)]
    alike = {frozenset((names[first], names[second])) for first, second in like.together}
    shown = sum(any(frozenset(pair) in alike for pair in _pairs(scans)) for scans in doubted)
    if 2 * len({person_of(name).lower() for name in timed}) >= len(timed) or (
        2 * shown >= len(doubted)
    ):
        return [(scans, SAME_NAME) for scans in groups]
    left = len(names) - sum(len(scans) - 1 for scans in groups)
    finding = DOUBTFUL_NAME if left >= _FEWEST else NOT_BY_NAME
    return [(scans, finding if scans in doubted else SAME_NAME) for scans in groups]


def _pairs(scans: Sequence[str]) -> list[tuple[str, str]]:
    return [(one, other) for one in scans for other in scans if one < other]


def _compare_masks(
    patients: Sequence[Prepared], groups: Sequence[Sequence[str]], found: dict[str, list[Finding]]
) -> None:
    """Add what is said of different persons whose masks are equal to the voxel."""
    persons = {name: person[0] for person in merged(groups) for name in person}
    everybody = {persons.get(one.patient, one.patient) for one in patients}
    by_mask: dict[bytes, dict[str, list[str]]] = {}
    for one in patients:
        if np.count_nonzero(one.masks) >= _FEW_VOXELS:
            content = repr(one.masks.shape).encode() + one.masks.tobytes()
            person = persons.get(one.patient, one.patient)
            of = by_mask.setdefault(hashlib.sha256(content).digest(), {})
            of.setdefault(person, []).append(one.patient)
    for owners in by_mask.values():
        # Where most have it, masks were drawn by a program that draws one.
        if len(owners) > 1 and 2 * len(owners) <= len(everybody):
            for names in owners.values():
                for name in names:
                    found[name].append(_ONE_MASK)


_ONE_MASK: Final = Finding(
    kind="mask-place",
    grave=True,
    words="Masks are equal to the voxel although the images are different persons': all but one "
    "are somebody else's.",
)


def _compare_spacing(
    patients: Sequence[Prepared], found: dict[str, list[Finding]], spatial_dims: int
) -> None:
    """Add what is said of patients whose voxels have another size than most, on any axis kept."""
    sizes = np.asarray([one.spacing[:spatial_dims] for one in patients])
    usual = np.median(sizes, axis=0)
    differing = (np.maximum(sizes, usual) / np.minimum(sizes, usual) - 1).max(axis=1)
    for one, differs in zip(patients, differing.tolist(), strict=True):
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
