from __future__ import annotations

import numpy as np
import pytest

from leakaudit.data.comparing import between_patients
from leakaudit.data.findings import Finding
from leakaudit.data.layouts.identity import merged, person_of, same_person_by_name
from leakaudit.data.preparing.patient import Prepared


@pytest.mark.parametrize(
    ("name", "person"),
    [
        ("BraTS-GLI-00005-101", "BraTS-GLI-00005"),
        ("BraTS-PED-00001-000", "BraTS-PED-00001"),
        ("Brats18_TCIA01_131_1", "Brats18_TCIA01_131"),
        ("Brats17_2013_10_1", "Brats17_2013_10"),
        ("Brats18_CBICA_AAB_1", "Brats18_CBICA_AAB"),
        ("UPENN-GBM-00012_21", "UPENN-GBM-00012"),
        ("UCSF-PDGM-0431_FU002d", "UCSF-PDGM-0431"),
        ("sub-07_ses-02", "sub-07"),
        ("P07_time2", "P07"),
        ("Patient-005_week-012-1", "Patient-005"),
        ("anna_baseline", "anna"),
        ("P3_followup_2", "P3"),
        # Numbers that are the patient and no time point.
        ("BRATS_801", "BRATS_801"),
        ("BraTS20_Training_001", "BraTS20_Training_001"),
        ("BraTS2021_00005", "BraTS2021_00005"),
        ("patient-001", "patient-001"),
        ("case_12_03", "case_12_03"),
        ("UCSF-PDGM-0431", "UCSF-PDGM-0431"),
        ("MRI_scan_001", "MRI_scan_001"),
        ("glioma_day_003", "glioma_day_003"),
        ("siteA_scan_001", "siteA_scan_001"),
        ("glioma_followup_07", "glioma_followup_07"),
    ],
)
def test_the_person_in_a_name(name: str, person: str) -> None:
    assert person_of(name) == person


def test_time_points_are_one_person() -> None:
    names = ["BraTS-GLI-00001-101", "BraTS-GLI-00000-100", "BraTS-GLI-00001-100", "BRATS_1"]
    assert same_person_by_name(names) == [("BraTS-GLI-00001-100", "BraTS-GLI-00001-101")]


def test_groups_that_share_a_member_are_one() -> None:
    assert merged([("C", "D"), ("A", "B"), ("E", "F"), ("D", "A")]) == (
        ("A", "B", "C", "D"),
        ("E", "F"),
    )


def prepared(
    name: str, like: int, spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
) -> Prepared:
    """A patient whose images resemble those of the same number, and of no other."""
    signature = np.random.default_rng(like).normal(size=(2, 8 * 4 * 4)).astype(np.float32)
    signature /= np.linalg.norm(signature, axis=1, keepdims=True)
    return Prepared(
        patient=name,
        images=np.ones((1, 2, 16, 16), np.float32),
        masks=np.ones((1, 16, 16), np.int8),
        cut_off=0.0,
        clipped=(0.0, 0.0),
        spacing=spacing,
        is_oriented=True,
        signature=signature,
        findings=(),
    )


def told(names: list[str], *, alike: bool = False) -> tuple[int, set[tuple[str, bool]]]:
    """How many groups are one person, and the kinds of what is said."""
    persons = [name.split("_")[0] for name in names]
    patients = [
        prepared(name, persons.index(person) if alike else number)
        for number, (name, person) in enumerate(zip(names, persons, strict=True))
    ]
    together, found = between_patients(patients, ("T1w", "FLAIR"))
    said: list[Finding] = [finding for each in found.values() for finding in each]
    return len(together), {(finding.kind, finding.grave) for finding in said}


def test_words_in_names_are_doubted_where_they_leave_few_persons() -> None:
    mild, grave = {("same-person", False)}, {("same-person", True)}
    assert told([f"MRI_scan_{n:03}" for n in range(20)]) == (0, set())
    assert told([f"P{n}_time{t}" for n in range(6) for t in range(2)]) == (6, mild)
    # A long study, or six hospitals.
    long = [f"P{n}_scan{t}" for n in range(6) for t in range(5)]
    assert told(long) == (6, grave)
    assert told(long, alike=True) == (6, mild)
    # Two hospitals: nobody could be split.
    assert told([f"site{n}_scan_{t:03}" for n in (1, 2) for t in range(10)]) == (0, grave)
    assert told([f"BraTS-GLI-0000{n}-10{t}" for n in range(2) for t in range(5)]) == (2, mild)


@pytest.mark.parametrize(
    ("spacing", "in_2d", "in_3d"),
    [
        ((1.0, 1.0, 1.0), set(), set()),
        ((1.0, 1.2, 1.0), {True}, {True}),
        ((1.05, 1.0, 1.0), {False}, {False}),
        ((1.0, 1.0, 5.0), set(), {True}),
        ((1.05, 1.0, 0.5), {False}, {True}),
    ],
)
def test_voxel_sizes_are_compared_on_every_axis_that_is_kept(
    spacing: tuple[float, float, float], in_2d: set[bool], in_3d: set[bool]
) -> None:
    patients = [prepared(f"p{number}", number) for number in range(4)]
    patients.append(prepared("odd", 9, spacing))
    for dims, grave in ((2, in_2d), (3, in_3d)):
        _, found = between_patients(patients, ("T1w", "FLAIR"), dims)
        assert {one.grave for one in found.pop("odd")} == grave
        assert not any(found.values())
