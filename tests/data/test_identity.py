from __future__ import annotations

import pytest

from leakaudit.data.identity import merged, person_of, same_person_by_name


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
        # Numbers that are the patient and no time point.
        ("BRATS_801", "BRATS_801"),
        ("BraTS20_Training_001", "BraTS20_Training_001"),
        ("BraTS2021_00005", "BraTS2021_00005"),
        ("patient-001", "patient-001"),
        ("case_12_03", "case_12_03"),
        ("UCSF-PDGM-0431", "UCSF-PDGM-0431"),
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
