"""Layouts and labels of other people's folders: the right classes, or the right words."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from leakaudit.config.target import TargetConfig
from leakaudit.data import Cohort, load_folder
from leakaudit.errors import DataError
from leakaudit.yaml_text import parse_yaml

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases" / "data"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="../shared/cases is not beside us")

WHOLE: dict[str, Any] = {"size": 64, "crop": 64}  # nothing is cut off and nothing averaged
MSD = {1: 1, 2: 2, 3: 3}
BRATS_2018 = {1: 2, 2: 1, 4: 3}


def counts_of(cohort: Cohort) -> dict[str, list[int]]:
    """Voxels of each tumour class, by patient."""
    return {
        patient.id: np.bincount(patient.masks.ravel(), minlength=4)[1:].tolist()
        for patient in cohort.patients
    }


def counts_in(masks: dict[str, Path], classes: dict[int, int]) -> dict[str, list[int]]:
    """The same from the files, read by nibabel."""
    counted = {}
    for patient, file in masks.items():
        image = nib.load(file)
        if image.dataobj.offset == 0:  # nibabel would read the header's bytes as voxels
            values = np.fromfile(file, image.get_data_dtype(), offset=352)
        else:
            values = np.rint(image.get_fdata())
        counted[patient] = [
            sum(int((values == value).sum()) for value, ours in classes.items() if ours == number)
            for number in (1, 2, 3)
        ]
    return counted


def listed_masks(case: str) -> dict[str, Path]:
    files = sorted((CASES / case / "data" / "labelsTr").iterdir())
    return {file.name.split(".")[0]: file for file in files}


def masks_below(case: str, pattern: str) -> dict[str, Path]:
    """Masks by the name of their folder."""
    return {file.parent.name: file for file in sorted((CASES / case / "data").glob(pattern))}


@pytest.mark.parametrize(
    ("case", "classes", "words"),
    [
        ("02e_json_bom", MSD, "1 edema, 2 non-enhancing, 3 enhancing"),
        ("02f_json_image_list", MSD, "1 edema, 2 non-enhancing, 3 enhancing"),
        ("02g_json_extra_modality", MSD, "1 edema, 2 non-enhancing, 3 enhancing"),
        ("02m_json_backslash", MSD, "1 edema, 2 non-enhancing, 3 enhancing"),
        ("03_nnunet_v1", MSD, "1 edema, 2 non-enhancing, 3 enhancing"),
        ("05i_itk_vector_5d", MSD, "1 edema, 2 non-enhancing, 3 enhancing"),
        ("05m_vox_offset_0", MSD, "1 edema, 2 non-enhancing, 3 enhancing"),
        ("06_label_scl_slope", MSD, "1 edema, 2 non-enhancing, 3 enhancing"),
        ("06b_label_float_099999", MSD, "1 edema, 2 non-enhancing, 3 enhancing"),
        ("06e_label_binary_01", {1: 1}, "1 whole tumour as edema"),
        ("06g_label_name_underscore", MSD, "1 edema, 2 non-enhancing, 3 enhancing"),
        ("06h_label_name_space", {1: 2, 2: 1}, "1 non-enhancing, 2 edema"),
        ("06i_label_name_snfh", {1: 1, 2: 3}, "1 edema, 2 enhancing"),
        ("06k_label_names_short", MSD, "1 edema, 2 necrosis as non-enhancing, 3 enhancing"),
        ("06l_label_names_nnunetv2_order", MSD, "1 edema, 2 non-enhancing, 3 enhancing"),
        (
            "06m_label_separate_necrosis",
            {1: 1, 2: 2, 3: 3, 4: 2},
            "1 edema, 2 necrosis as non-enhancing, 3 enhancing, 4 non-enhancing",
        ),
        ("06s_label_name_non_enhancing_space_all", MSD, "1 edema, 2 non-enhancing, 3 enhancing"),
        ("09e_modality_names_other", MSD, "1 edema, 2 non-enhancing, 3 enhancing"),
    ],
)
def test_listed_patients(case: str, classes: dict[int, int], words: str) -> None:
    cohort = load_folder(CASES / case / "data", **WHOLE)
    assert counts_of(cohort) == counts_in(listed_masks(case), classes)
    assert cohort.labels == f"{words} (by the names in dataset.json)"


@pytest.mark.parametrize(
    ("case", "of_modality"),
    [
        ("02g_json_extra_modality", (1, 2, 0, 3)),
        ("02f_json_image_list", (1, 2, 0, 3)),
        ("03_nnunet_v1", (0, 1, 3, 2)),
        ("05i_itk_vector_5d", (1, 2, 0, 3)),
        ("09e_modality_names_other", (1, 2, 0, 3)),
    ],
)
def test_modalities_are_the_channels_of_their_names(
    case: str, of_modality: tuple[int, ...]
) -> None:
    cohort = load_folder(CASES / case / "data", slices="all", **WHOLE)
    folder = CASES / case / "data" / "imagesTr"
    patient = cohort.patients[0]
    for modality, channel in enumerate(of_modality):
        files = [
            folder / f"{patient.id}.nii.gz",
            folder / f"{patient.id}_{channel:04d}.nii.gz",
        ]
        values = next(nib.load(file).get_fdata().squeeze() for file in files if file.exists())
        values = values[..., channel] if values.ndim == 4 else values
        stored = np.sort(values[values > 0])
        ours = patient.images[:, modality]
        # The same voxels in another place and scale: the same order of the same values.
        kept = np.sort(ours[ours > 0])
        assert kept.size == stored.size
        top = np.percentile(stored, 99.5)
        np.testing.assert_allclose(kept, np.clip(stored / top, 0, 1), rtol=1e-5)


def test_absolute_paths_into_the_folder(tmp_path: Path) -> None:
    root = tmp_path / "moved"
    shutil.copytree(CASES / "02d_json_absolute" / "data", root, copy_function=shutil.copyfile)
    os.chmod(root, 0o755)
    listing = root / "dataset.json"
    text = listing.read_text()
    listing.write_text(text.replace("@FOLDER@", str(root)))
    cohort = load_folder(root, **WHOLE)
    assert counts_of(cohort) == counts_in(listed_masks("02d_json_absolute"), MSD)
    listing.write_text(text.replace("@FOLDER@", str(tmp_path / "elsewhere")))
    with pytest.raises(DataError, match=r"write it relative to the folder of dataset\.json"):
        load_folder(root, **WHOLE)


@pytest.mark.parametrize(
    ("case", "pattern"),
    [
        ("04_brats2020_355", "*/*_[sS]eg*.nii"),
        ("04e_deeper", "**/*_seg.nii.gz"),
        ("04i_dash_names_labels4", "*/*-seg.nii.gz"),
        ("04l_validation_beside", "Training/*/*_seg.nii.gz"),
        ("04m_ucsf", "*/*_tumor_segmentation.nii.gz"),
    ],
)
def test_patients_in_folders(case: str, pattern: str) -> None:
    cohort = load_folder(CASES / case / "data", **WHOLE)
    assert counts_of(cohort) == counts_in(masks_below(case, pattern), BRATS_2018)
    words = "1 necrosis and non-enhancing as non-enhancing, 2 edema, 4 enhancing"
    assert cohort.labels.startswith(f"{words} (BraTS 2017 to 2021")


def test_all_patients_in_one_folder() -> None:
    cohort = load_folder(CASES / "04k_flat_sub" / "data", **WHOLE)
    files = sorted((CASES / "04k_flat_sub" / "data" / "all").glob("*_seg.nii.gz"))
    masks = {file.name.removesuffix("_seg.nii.gz"): file for file in files}
    assert counts_of(cohort) == counts_in(masks, BRATS_2018)


def test_names_in_latin_1_become_text() -> None:
    cohort = load_folder(CASES / "10d_latin1_names" / "data", **WHOLE)
    assert cohort.ids == tuple(f"Müller_{number}" for number in range(5))
    counts = [np.bincount(patient.masks.ravel(), minlength=4)[1:] for patient in cohort.patients]
    assert all((each > 0).all() for each in counts)


def test_what_is_left_out_or_taken_is_said() -> None:
    odd = load_folder(CASES / "04_brats2020_355" / "data", **WHOLE).cautions
    assert [(one.kind, one.patients) for one in odd if one.kind == "mask-name"] == [
        ("mask-name", ("BraTS20_Training_355",))
    ]
    beside = load_folder(CASES / "04l_validation_beside" / "data", **WHOLE).cautions
    (left,) = (one for one in beside if one.kind == "left-out")
    assert left.words.endswith(
        "nobody in their part of the data has a mask, as in one for validation: 2 patients."
    )
    assert len(left.patients) == 2
    cohort = load_folder(CASES / "06o_one_without_tumour" / "data", **WHOLE)
    (left,) = (one for one in cohort.cautions if one.kind == "left-out")
    assert left.words.endswith("the mask shows no tumour, as after an operation: 1 of 5 patients.")
    assert set(left.patients) == set(listed_masks("06o_one_without_tumour")) - set(cohort.ids)


@pytest.mark.parametrize("case", ["06e_label_binary_01", "06f_brats_binary"])
def test_a_mask_of_the_whole_tumour_is_a_grave_caution(case: str) -> None:
    cohort = load_folder(CASES / case / "data", **WHOLE)
    assert cohort.labels.startswith("1 whole tumour as edema (")
    (caution,) = (one for one in cohort.cautions if one.kind == "labels")
    assert caution.grave
    assert "Two of the three tumour classes (non-enhancing and enhancing) never occur" in (
        caution.words
    )


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("02k_listed_twice", "BRATS_801: .*dataset.json: listed 2 times"),
        ("04g_brats2024_rc", r"1, 2, 3, 4.*4 \(5 patients.*resection cavity \(BraTS 2024\)"),
        ("04r_peds2024_no_edema", "by data.labels which: brats-peds or brats-2023"),
        ("05e_empty_file", r"BRATS_80\d.*empty \(0 bytes\).*fetch it again"),
    ],
)
def test_what_can_not_be_read_is_explained(case: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        load_folder(CASES / case / "data", **WHOLE)


@pytest.mark.parametrize(
    ("case", "asked", "classes"),
    [
        ("04g_brats2024_rc", "brats-2024", {1: 2, 2: 1, 3: 3}),
        ("04r_peds2024_no_edema", "brats-peds", {1: 3, 2: 2}),
        ("04r_peds2024_no_edema", "brats-2023", {1: 2, 2: 1}),
        ("04r_peds2024_no_edema", {1: "enhancing", 2: "edema"}, {1: 3, 2: 1}),
    ],
)
def test_the_audit_file_answers(case: str, asked: Any, classes: dict[int, int]) -> None:
    cohort = load_folder(CASES / case / "data", labels=asked, **WHOLE)
    assert counts_of(cohort) == counts_in(masks_below(case, "*/*-seg.nii.gz"), classes)
    assert "as the audit file says" in cohort.labels


def test_t1ce_in_an_audit_file_is_t1gd() -> None:
    text = (CASES / "15_t1ce_hint" / "audit.yaml").read_bytes()
    sites = parse_yaml(text, "audit.yaml", "an audit")["target"]["sites"]
    assert TargetConfig(sites=sites).sites == (("T1w", "T1gd"), ("FLAIR", "T2w"))
