"""Folders that misbehave as those of other people do, and the right arrays or the right words."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from leakaudit.audit.planning.audited import plan_audit
from leakaudit.audit_file import parse_audit
from leakaudit.cli.commands.plan import plan
from leakaudit.data import Cohort, area_mean, centre_crop, load_folder, normalise, thin_masks

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases" / "data"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="../shared/cases is not beside us")

SIZE: dict[str, Any] = {"size": 32, "crop": 64}


@cache
def read(case: str) -> Cohort:
    return load_folder(CASES / case / "data", **SIZE)


def stored(case: str, patient: str, kind: str) -> tuple[NDArray[Any], Any]:
    """Values and axis codes of an MSD file, by nibabel."""
    image = nib.load(CASES / case / "data" / kind / f"{patient}.nii.gz")
    return np.asanyarray(image.dataobj), nib.aff2axcodes(image.affine)


def prepared(values: NDArray[Any]) -> NDArray[np.float32]:
    """One LPS modality as the fixed preparation makes it."""
    return normalise(area_mean(centre_crop(values.T, 64), 2))


def kinds(cohort: Cohort) -> set[tuple[str, bool]]:
    return {(one.kind, one.grave) for one in cohort.cautions}


def expected(images: NDArray[Any], labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """LPS arrays of a file with FLAIR, T1w, T1gd, T2w to what a patient must hold."""
    masks = thin_masks(centre_crop(labels.T, 64), 2)
    keep = (masks > 0).any(axis=(1, 2))
    channels = np.stack([prepared(images[..., m]) for m in (1, 2, 0, 3)], axis=1)
    return channels[keep], masks[keep]


def patients_of(case: str) -> Iterator[tuple[Any, str]]:
    for patient in read(case).patients:
        yield patient, patient.id


def test_a_mask_whose_header_is_mirrored_is_turned() -> None:
    for patient, name in patients_of("07_mask_flipped_affine"):
        images, axes = stored("07_mask_flipped_affine", name, "imagesTr")
        labels, mirrored = stored("07_mask_flipped_affine", name, "labelsTr")
        assert (axes, mirrored) == (("L", "P", "S"), ("R", "P", "S"))
        ours, masks = expected(images, labels[::-1])
        np.testing.assert_array_equal(patient.images, ours)
        np.testing.assert_array_equal(patient.masks, masks)
    assert kinds(read("07_mask_flipped_affine")) == {("headers-disagree", False)}


def test_so_is_one_in_the_layout_of_brats() -> None:
    assert kinds(read("07b_brats_mask_flipped")) == {("headers-disagree", False)}
    for patient in read("07b_brats_mask_flipped").patients:
        folder = CASES / "07b_brats_mask_flipped" / "data" / patient.id
        labels = np.asarray(nib.load(folder / f"{patient.id}_seg.nii.gz").dataobj)[::-1]
        masks = thin_masks(centre_crop(labels.T, 64), 2)
        masks = masks[(masks > 0).any(axis=(1, 2))]
        np.testing.assert_array_equal(patient.masks, np.array([0, 2, 1, 3, 3])[masks])


@pytest.mark.parametrize("case", ["07d_mask_origin_shifted", "07o_mask_eye_affine"])
def test_a_mask_that_lies_right_as_stored_is_not_moved(case: str) -> None:
    for patient, name in patients_of(case):
        images, labels = (stored(case, name, kind)[0] for kind in ("imagesTr", "labelsTr"))
        ours, masks = expected(images, labels)
        np.testing.assert_array_equal(patient.images, ours)
        np.testing.assert_array_equal(patient.masks, masks)
    (caution,) = read(case).cautions
    assert (caution.kind, caution.grave) == ("headers-disagree", False)
    assert "as stored although its header says otherwise" in caution.words
    assert len(caution.patients) == 5


def test_sagittal_files_become_axial_slices() -> None:
    for patient, name in patients_of("07f_sagittal_storage"):
        images, axes = stored("07f_sagittal_storage", name, "imagesTr")
        labels, _ = stored("07f_sagittal_storage", name, "labelsTr")
        assert axes == ("P", "S", "L")
        ours, masks = expected(images.transpose(2, 0, 1, 3), labels.transpose(2, 0, 1))
        np.testing.assert_array_equal(patient.images, ours)
        np.testing.assert_array_equal(patient.masks, masks)
    assert read("07f_sagittal_storage").cautions == ()


def test_patients_of_two_hospitals_lie_alike() -> None:
    seen = set()
    for patient, name in patients_of("07g_half_of_patients_RAS"):
        images, axes = stored("07g_half_of_patients_RAS", name, "imagesTr")
        labels, _ = stored("07g_half_of_patients_RAS", name, "labelsTr")
        seen.add(axes)
        turn = slice(None, None, -1 if axes[0] == "R" else 1)
        ours, masks = expected(images[turn, turn], labels[turn, turn])
        np.testing.assert_array_equal(patient.images, ours)
        np.testing.assert_array_equal(patient.masks, masks)
    assert seen == {("L", "P", "S"), ("R", "A", "S")}
    assert read("07g_half_of_patients_RAS").cautions == ()


def test_a_rounded_quaternion_is_read() -> None:
    assert len(read("07k_w2_negative").patients) == 4


def test_voxels_that_are_not_square_are_said() -> None:
    cautions = {one.kind: one for one in read("07m_anisotropic").cautions}
    assert cautions["voxel-size"].grave
    assert "0.5 x 1 mm" in cautions["voxel-size"].words


def both(case: str, name: str) -> tuple[NDArray[np.float64], NDArray[Any]]:
    images, labels = (stored(case, name, kind)[0] for kind in ("imagesTr", "labelsTr"))
    return images.astype(np.float64), labels


def test_a_z_score_on_a_background_of_zero_keeps_the_brain() -> None:
    case = "08_zscore_bg0"
    for patient, name in patients_of(case):
        images, labels = both(case, name)
        assert (images < 0).sum() > 0.3 * (images != 0).sum()
        for modality in range(4):
            z = images[..., modality]
            brain = ndimage.binary_fill_holes(z != 0)
            least, top = np.percentile(z[brain], [0, 99.5])
            z[brain] += (top - least) * 0.02 / 0.98 - least
        ours, masks = expected(images, labels)
        np.testing.assert_allclose(patient.images, ours, atol=1e-6)
        np.testing.assert_array_equal(patient.masks, masks)
    assert kinds(read(case)) == {("z-scored", False)}
    assert "negative" in read(case).cautions[0].words


def test_a_z_score_on_a_constant_is_grave() -> None:
    case = "08b_zscore_bg_negative"
    assert kinds(read(case)) == {("z-scored", True), ("offset", False)}
    for patient, name in patients_of(case):
        images, labels = both(case, name)
        ours, _ = expected(images - images[0, 0, 0], labels)
        np.testing.assert_allclose(patient.images, ours, atol=1e-6)


def test_minus_one_to_one_is_undone_exactly() -> None:
    case = "08h_minus1_1"
    assert kinds(read(case)) == {("offset", False)}
    assert "below 0" in read(case).cautions[0].words
    for patient, name in patients_of(case):
        images, labels = both(case, name)
        ours, masks = expected((images + 1) / 2, labels)
        np.testing.assert_allclose(patient.images, ours, atol=1e-5)
        np.testing.assert_array_equal(patient.masks, masks)


def test_a_scan_with_its_air_is_grave() -> None:
    assert ("not-stripped", True) in kinds(read("08g_not_stripped"))


def test_time_points_are_one_person() -> None:
    together = read("04h_timepoints").together
    assert [tuple(name[-3:] for name in person) for person in together] == [("100", "101")] * 4


@pytest.mark.slow
def test_plan_says_the_cautions_in_80_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert plan(CASES.parent / "audit.yaml", data=str(CASES / "07m_anisotropic" / "data")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    text = " ".join(" ".join(lines).split())
    assert "grave caution: voxel-size: Voxels are 0.5 x 1 mm in the slice" in text
    assert "(5 patients: BRATS_801, BRATS_802, BRATS_803 and 2 more)" in text
    assert "No setting can PASS with an open grave caution" in text


def test_the_split_of_an_audit_keeps_persons_together() -> None:
    config = parse_audit(
        (CASES.parent / "audit.yaml").read_bytes(), "audit.yaml", folder=CASES,
        data=str(CASES / "04h_timepoints" / "data"),
    )  # fmt: skip
    (splits,) = plan_audit(config).folds
    parts = (splits.train, splits.validation, splits.auxiliary, splits.victims)
    persons = [{name[:-4] for name in part} for part in parts]
    assert sorted(map(len, persons)) == [1, 1, 1, 1]
    assert len(set.union(*persons)) == 4
    assert [name[-3:] for name in splits.victims] == ["100"]
    assert [name[-3:] for name in splits.repeats] == ["101"] * 4
