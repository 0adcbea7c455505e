"""Listings that say something else than what is there: the right channel, or the right words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from leakaudit.data import load_folder
from leakaudit.errors import DataError
from tests.data.conftest import MODALITIES, save, tumour

SMALL: dict[str, Any] = {"size": 16, "crop": 32}
Write = Callable[..., Path]
KINDS = ("flair", "t1", "t1ce", "t2")  # in the order of MODALITIES


def add_channel(root: Path) -> None:
    """Put half of the FLAIR before the channels of every image."""
    for file in (root / "imagesTr").iterdir():
        values = np.asarray(nib.load(file).dataobj)
        save(np.concatenate([values[..., :1] // 2, values], axis=-1), file)


def as_lists(root: Path, name: str = "P{}", label: Any = None, **fields: Any) -> Path:
    """Write the MSD folder as MONAI does: a list of files, whose names say what they show."""
    listing = json.loads((root / "dataset.json").read_text())
    for number, entry in enumerate(listing["training"]):
        values = np.asarray(nib.load(root / entry["image"]).dataobj)
        stem = f"{name.format(number)}/{name.format(number)}"
        for channel, kind in enumerate(KINDS):
            save(values[..., channel], root / f"{stem}_{kind}.nii.gz")
        entry["image"] = [f"{stem}_{kind}.nii.gz" for kind in KINDS]
        if label is not None:
            save(label[tumour()], root / f"{stem}_seg.nii.gz")
            entry["label"] = f"{stem}_seg.nii.gz"
    kept = {key: content for key, content in (listing | fields).items() if content is not None}
    (root / "dataset.json").write_text(json.dumps(kept))
    return root


@pytest.mark.parametrize("modalities", [("T1w", "FLAIR"), ("T1w", "T1gd", "FLAIR", "T2w")])
def test_channels_that_the_listing_does_not_name(
    msd: Path, rewrite: Write, modalities: tuple[str, ...]
) -> None:
    before = load_folder(msd, modalities=modalities, **SMALL)
    add_channel(msd)
    with pytest.raises(DataError, match=r"2 problems.*holds 5 channels, and dataset.json names 4"):
        load_folder(msd, modalities=modalities, **SMALL)
    named = {str(int(channel) + 1): name for channel, name in MODALITIES.items()}
    cohort = load_folder(rewrite(modality={"0": "ADC", **named}), modalities=modalities, **SMALL)
    assert all(
        (one.images == other.images).all()
        for one, other in zip(cohort.patients, before.patients, strict=True)
    )
    with pytest.raises(DataError, match="counted from 0, and 'modality' begins with 1"):
        load_folder(rewrite(modality=named), modalities=modalities, **SMALL)


def test_channels_along_the_first_axis_are_named(msd: Path) -> None:
    file = msd / "imagesTr" / "BRATS_952.nii.gz"
    save(np.moveaxis(np.asarray(nib.load(file).dataobj), -1, 0), file)
    with pytest.raises(DataError, match="channels lie along the first axis") as caught:
        load_folder(msd, **SMALL)
    assert (caught.value.patient, caught.value.file) == ("BRATS_952", str(file))


def test_a_label_unlike_all_images_is_named_once(brats: Write) -> None:
    root = brats(2018)
    file = root / "Brats18_X_1_1" / "Brats18_X_1_1_seg.nii.gz"
    save(tumour()[:-2], file)
    with pytest.raises(DataError, match=r"\(38, 36, 6\) of the label differs from") as caught:
        load_folder(root, **SMALL)
    assert (caught.value.patient, caught.value.file) == ("Brats18_X_1_1", str(file))


def test_a_list_in_another_order_than_the_names_say(msd: Path) -> None:
    before = load_folder(msd, **SMALL)
    cohort = load_folder(as_lists(msd), **SMALL)
    assert cohort.ids == ("P0", "P1")
    assert (cohort.patients[0].images == before.patients[0].images).all()
    listing = json.loads((msd / "dataset.json").read_text())
    listing["training"][1]["image"].reverse()
    (msd / "dataset.json").write_text(json.dumps(listing))
    with pytest.raises(DataError, match=r"name says T2w, .* channel 0 is FLAIR") as caught:
        load_folder(msd, **SMALL)
    assert caught.value.patient == "P1"
    listing["training"][1]["image"].append("P1/P1_adc.nii.gz")
    (msd / "dataset.json").write_text(json.dumps(listing))
    with pytest.raises(DataError, match="5 image files for the 4 channels"):
        load_folder(msd, **SMALL)


@pytest.mark.parametrize("modality", [None, MODALITIES])
@pytest.mark.parametrize("enhancing", [3, 4])
def test_a_listing_of_brats_without_labels_is_read_as_brats(
    msd: Path, modality: Any, enhancing: int
) -> None:
    before = load_folder(msd, **SMALL)
    theirs = np.array([0, 2, 1, enhancing], np.uint8)
    root = as_lists(msd, "BraTS2021_0000{}", theirs, modality=modality, labels=None)
    cohort = load_folder(root, **SMALL)
    assert cohort.ids == ("BraTS2021_00000", "BraTS2021_00001")
    for one, other in zip(cohort.patients, before.patients, strict=True):
        assert (one.images == other.images).all()
        assert (one.masks == other.masks).all()


def test_names_of_no_data_set_and_no_labels_are_asked_about(msd: Path) -> None:
    root = as_lists(msd, "anna{}", np.array([0, 2, 1, 3], np.uint8), labels=None)
    with pytest.raises(DataError, match=r"names no 'labels'.*say by data.labels"):
        load_folder(root, **SMALL)
    assert "as the audit file says" in load_folder(root, labels="brats-2023", **SMALL).labels


def test_entries_for_validation_are_patients_and_those_for_test_are_said(
    msd: Path, rewrite: Write
) -> None:
    first, second = json.loads((msd / "dataset.json").read_text())["training"]
    rewrite(training=[first], validation=[second, first], numTraining=1)
    cohort = load_folder(msd, **SMALL)
    assert cohort.ids == ("BRATS_951", "BRATS_952")
    assert "left-out" not in {one.kind for one in cohort.cautions}
    rewrite(validation=[{"image": second["image"]}], test=[second, "x.nii.gz"], numTraining=3)
    cohort = load_folder(msd, **SMALL)
    assert cohort.ids == ("BRATS_951",)
    said = [one.words for one in cohort.cautions if one.kind == "left-out"]
    assert "although they have a mask: 1 patient." in said[0]
    assert "announces 3 patients (numTraining), and 1 is there" in said[1]


def test_paths_written_from_above_the_folder(msd: Path, rewrite: Write) -> None:
    entries = json.loads((msd / "dataset.json").read_text())["training"]
    above = [{key: f"Task01/{path[2:]}" for key, path in entry.items()} for entry in entries]
    assert load_folder(rewrite(training=above), **SMALL).ids == ("BRATS_951", "BRATS_952")


def test_a_file_of_somebody_else(msd: Path, rewrite: Write) -> None:
    first, second = json.loads((msd / "dataset.json").read_text())["training"]
    rewrite(training=[first, {**second, "label": first["label"]}])
    with pytest.raises(DataError, match="the same file is listed for BRATS_951") as caught:
        load_folder(msd, **SMALL)
    assert caught.value.patient == "BRATS_952"


def test_nnunet_v2_says_who_has_no_mask_and_which_channel_is_not_named(msd: Path) -> None:
    for file in list((msd / "imagesTr").iterdir()):
        values = np.asarray(nib.load(file).dataobj)
        for channel in range(4):
            name = file.name.replace(".nii.gz", f"_{channel:04d}.nii.gz")
            save(values[..., channel], file.with_name(name))
        file.unlink()
    listing = json.loads((msd / "dataset.json").read_text())
    content = {"channel_names": MODALITIES, "labels": listing["labels"], "numTraining": 1}
    (msd / "dataset.json").write_text(json.dumps(content))
    (msd / "labelsTr" / "BRATS_952.nii.gz").unlink()
    cohort = load_folder(msd, **SMALL)
    assert cohort.ids == ("BRATS_951",)
    assert [(one.kind, one.patients) for one in cohort.cautions if one.kind == "left-out"] == [
        ("left-out", ("BRATS_952",))
    ]
    save(values[..., 0], msd / "imagesTr" / "BRATS_951_0004.nii.gz")
    with pytest.raises(DataError, match="5 image files for the 4 channels") as caught:
        load_folder(msd, **SMALL)
    assert caught.value.patient == "BRATS_951"
