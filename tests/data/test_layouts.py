"""Folders as other programs and people lay them out: the same patients, or words that help."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from leakaudit.data import Cohort, load_folder
from leakaudit.data.naming.scan_names import MASK, scan_named
from leakaudit.errors import ConfigError, DataError, PatientsError
from tests.data.conftest import LABELS, MODALITIES, head, save, tumour

SMALL: dict[str, Any] = {"size": 16, "crop": 32}
Write = Callable[..., Path]


def same(one: Cohort, other: Cohort) -> bool:
    """Whether patients hold the same, whatever they are called."""
    return len(one.patients) == len(other.patients) and all(
        (a.images == b.images).all() and (a.masks == b.masks).all()
        for a, b in zip(one.patients, other.patients, strict=True)
    )


def listing_of(root: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((root / "dataset.json").read_text())
    return content


# What a dataset.json says, written otherwise.


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be"])
def test_a_listing_in_another_encoding(msd: Path, encoding: str) -> None:
    before = load_folder(msd, **SMALL)
    file = msd / "dataset.json"
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    file.write_bytes((mark + file.read_text()).encode(encoding))
    assert same(load_folder(msd, **SMALL), before)


@pytest.mark.parametrize("on_disk", ["utf-8", "latin-1"])
@pytest.mark.parametrize("in_listing", ["utf-8", "latin-1"])
def test_names_that_are_not_ascii(msd: Path, rewrite: Write, on_disk: str, in_listing: str) -> None:
    before = load_folder(msd, **SMALL)
    stored = os.fsdecode("Müller.nii.gz".encode(on_disk))
    for folder in ("imagesTr", "labelsTr"):
        (msd / folder / "BRATS_952.nii.gz").rename(msd / folder / stored)
    training = listing_of(msd)["training"]
    training[1] = {"image": "imagesTr/Müller.nii.gz", "label": "labelsTr/Müller.nii.gz"}
    rewrite(training=training)
    text = json.dumps({**listing_of(msd), "training": training}, ensure_ascii=False)
    (msd / "dataset.json").write_bytes(text.encode(in_listing))
    cohort = load_folder(msd, **SMALL)
    assert same(cohort, before)
    assert cohort.ids == ("BRATS_951", "Müller")


def test_entries_written_otherwise(msd: Path, rewrite: Write) -> None:
    before = load_folder(msd, **SMALL)
    image, label = "imagesTr/BRATS_951.nii.gz", "labelsTr/BRATS_951.nii.gz"
    second = listing_of(msd)["training"][1]
    for first in (
        {"image": image.replace("/", "\\"), "label": ".\\" + label.replace("/", "\\")},
        {"image": [image], "label": [label]},
        {"image": str(msd / image), "label": str(msd / label)},
    ):
        notes = {"image": "imagesTr/._BRATS_951.nii.gz", "label": "labelsTr/._BRATS_951.nii.gz"}
        assert same(load_folder(rewrite(training=[first, notes, second]), **SMALL), before)


def test_a_listing_that_was_moved_says_where_the_file_lies(msd: Path, rewrite: Write) -> None:
    training = listing_of(msd)["training"]
    training[0]["image"] = "D:\\Task01\\imagesTr\\BRATS_951.nii.gz"
    with pytest.raises(DataError, match=r"relative .*, as imagesTr/BRATS_951.nii.gz$") as caught:
        load_folder(rewrite(training=training), **SMALL)
    assert caught.value.patient == "BRATS_951"
    (msd / "dataset.json").unlink()
    with pytest.raises(DataError, match=r"imagesTr lies here without dataset.json"):
        load_folder(msd, **SMALL)


def test_files_that_were_unpacked_since(msd: Path) -> None:
    before = load_folder(msd, **SMALL)
    for file in (*(msd / "imagesTr").iterdir(), *(msd / "labelsTr").iterdir()):
        file.with_suffix("").write_bytes(gzip.decompress(file.read_bytes()))
        file.unlink()
    assert same(load_folder(msd, **SMALL), before)


def test_the_archive_s_own_folder_around_it(msd: Path, tmp_path: Path) -> None:
    before = load_folder(msd, **SMALL)
    outer = tmp_path / "outer" / "download"
    shutil.copytree(msd, outer / "Task01_BrainTumour")
    (outer / "__MACOSX").mkdir()
    assert same(load_folder(tmp_path / "outer", **SMALL), before)
    shutil.copytree(msd, outer / "Task01_Copy")
    told = r"\(download/Task01_BrainTumour, download/Task01_Copy\); point --data at one of them"
    with pytest.raises(DataError, match=told):
        load_folder(tmp_path / "outer", **SMALL)


@pytest.mark.parametrize(
    "modality",
    [
        {name: int(channel) for channel, name in MODALITIES.items()},
        ["FLAIR", "T1w", "T1ce", "T2w"],
        {"0": "T2-FLAIR", "1": "T1-weighted", "2": "T1-Gd", "3": "T2-weighted"},
    ],
)
def test_modalities_written_otherwise(msd: Path, rewrite: Write, modality: Any) -> None:
    before = load_folder(msd, **SMALL)
    assert same(load_folder(rewrite(modality=modality), **SMALL), before)


def test_images_named_alike_in_folders_of_their_own(msd: Path, rewrite: Write) -> None:
    before = load_folder(msd, **SMALL)
    training = []
    for name in ("BRATS_951", "BRATS_952"):
        (msd / name).mkdir()
        for folder, kind in (("imagesTr", "image"), ("labelsTr", "mask")):
            (msd / folder / f"{name}.nii.gz").rename(msd / name / f"{kind}.nii.gz")
        training.append({"image": f"{name}/image.nii.gz", "label": f"{name}/mask.nii.gz"})
    cohort = load_folder(rewrite(training=training), **SMALL)
    assert same(cohort, before)
    assert cohort.ids == ("BRATS_951_image", "BRATS_952_image")


# nnU-Net.


def split_channels(root: Path) -> None:
    """The 4D images of an MSD folder as nnU-Net's files, one for each channel."""
    for file in list((root / "imagesTr").iterdir()):
        values = np.asarray(nib.load(file).dataobj)
        for channel in range(values.shape[-1]):
            name = file.name.replace(".nii.gz", f"_{channel:04d}.nii.gz")
            save(values[..., channel], file.with_name(name))
        file.unlink()


def test_nnunet_v1(msd: Path) -> None:
    before = load_folder(msd, **SMALL)
    split_channels(msd)
    cohort = load_folder(msd, **SMALL)
    assert same(cohort, before)
    assert cohort.ids == before.ids
    (msd / "imagesTr" / "BRATS_951_0002.nii.gz").unlink()
    with pytest.raises(DataError, match=r"BRATS_951: .*BRATS_951_0002.nii.gz: the file is missing"):
        load_folder(msd, **SMALL)


@pytest.mark.parametrize("listed", [False, True])
def test_nnunet_v2(msd: Path, listed: bool) -> None:
    before = load_folder(msd, **SMALL)
    split_channels(msd)
    content: dict[str, Any] = {
        "channel_names": MODALITIES,
        "labels": {
            "background": 0,
            "whole tumor": [1, 2, 3],
            "tumor core": [2, 3],
            "enhancing tumor": 3,
        },
        "regions_class_order": [1, 2, 3],
        "numTraining": 2,
        "file_ending": ".nii.gz",
    }
    if listed:
        content["dataset"] = {
            name: {
                "images": [f"imagesTr/{name}_{channel:04d}.nii.gz" for channel in range(4)],
                "label": f"labelsTr/{name}.nii.gz",
            }
            for name in before.ids
        }
    (msd / "dataset.json").write_text(json.dumps(content))
    (msd / "labelsTr" / "._BRATS_951.nii.gz").write_bytes(b"\0\5\x16\7")
    cohort = load_folder(msd, **SMALL)
    assert same(cohort, before)
    assert cohort.ids == before.ids
    assert cohort.labels.startswith("1 edema, 2 necrosis and non-enhancing as non-enhancing, 3 enh")
    del content["dataset" if listed else "numTraining"]
    (msd / "dataset.json").write_text(json.dumps({**content, "file_ending": ".mha"}))
    with pytest.raises(DataError, match=r"file_ending is '\.mha'; only NIfTI is read, convert it"):
        load_folder(msd, **SMALL)


# Folders without a listing.


@pytest.mark.parametrize(
    "suffixes",
    [
        ("_FLAIR", "_T1", "_T1c", "_T2", "_tumor_segmentation"),
        ("-flair", "-t1", "-t1ce", "-t2", "-seg"),
        ("_T2_FLAIR", "_T1w", "_T1_ce", "_T2w", "_mask"),
        (".FLAIR", ".T1", ".t1gd", ".T2", ".seg"),
    ],
)
def test_kinds_by_the_end_of_the_name(brats: Write, suffixes: tuple[str, ...]) -> None:
    root = brats(2018)
    before = load_folder(root, **SMALL)
    for folder in root.iterdir():
        for old, new in zip(("_flair", "_t1", "_t1ce", "_t2", "_seg"), suffixes, strict=True):
            (folder / f"{folder.name}{old}.nii.gz").rename(folder / f"Case{new}.nii.gz")
        save(tumour(), folder / "Case_brain_segmentation.nii.gz")  # of the brain, not of a tumour
    assert same(load_folder(root, **SMALL), before)


@pytest.mark.parametrize("under", ["", "all"])
def test_all_patients_in_one_folder(brats: Write, tmp_path: Path, under: str) -> None:
    root = brats(2018)
    before = load_folder(root, **SMALL)
    flat = tmp_path / "flat" / under
    flat.mkdir(parents=True)
    for file in root.glob("*/*.nii.gz"):
        file.rename(flat / file.name)
    cohort = load_folder(tmp_path / "flat", **SMALL)
    assert same(cohort, before)
    assert cohort.ids == before.ids


def test_a_folder_for_each_kind(brats: Write, tmp_path: Path) -> None:
    root = brats(2018)
    before = load_folder(root, **SMALL)
    for file in root.glob("*/*.nii.gz"):
        folder = tmp_path / "kinds" / file.name.split("_")[-1].split(".")[0]
        folder.mkdir(parents=True, exist_ok=True)
        file.rename(folder / file.name)
    cohort = load_folder(tmp_path / "kinds", **SMALL)
    assert same(cohort, before)
    assert cohort.ids == before.ids


def test_masks_in_a_folder_of_their_own(brats: Write) -> None:
    root = brats(2018, under="images")
    before = load_folder(root, **SMALL)
    (root / "masks").mkdir()
    for file in root.glob("images/*/*_seg.nii.gz"):
        file.rename(root / "masks" / file.name)
    assert same(load_folder(root, **SMALL), before)


def test_folders_four_deep_and_named_alike(brats: Write) -> None:
    root = brats(2018, under="MICCAI/HGG/all")
    before = load_folder(root, **SMALL)
    for folder in sorted((root / "MICCAI/HGG/all").iterdir()):
        inner = folder / "preop"
        inner.mkdir()
        for file in list(folder.glob("*.nii.gz")):
            file.rename(inner / file.name)
    cohort = load_folder(root, **SMALL)
    assert same(cohort, before)
    assert cohort.ids == before.ids  # by the files: both folders are called preop


def test_folders_named_as_the_file_in_them(brats: Write) -> None:
    root = brats(2018)
    before = load_folder(root, **SMALL)
    for file in list(root.glob("*/*_flair.nii.gz")):
        folder = file.with_suffix("")  # X_flair.nii
        folder.mkdir()
        file.rename(folder / "00000057_brain_flair.nii.gz")
    assert same(load_folder(root, **SMALL), before)


def test_compressed_beside_uncompressed(brats: Write) -> None:
    root = brats(2018)
    before = load_folder(root, **SMALL)
    for file in list(root.glob("*/*.nii.gz")):
        file.with_suffix("").write_bytes(gzip.decompress(file.read_bytes()))
    assert same(load_folder(root, **SMALL), before)
    odd = root / "Brats18_X_1_1" / "Brats18_X_1_1_t1.nii"
    odd.write_bytes(odd.read_bytes()[:-1] + b"\7")
    with pytest.raises(DataError, match="a second file for T1w beside Brats18_X_1_1_t1") as one:
        load_folder(root, **SMALL)
    assert one.value.patient == "Brats18_X_1_1"


def test_a_mask_named_unlike_the_images(brats: Write) -> None:
    root = brats(2018)
    before = load_folder(root, **SMALL)
    folder = root / "Brats18_X_1_1"
    mask = folder / "Brats18_X_1_1_seg.nii.gz"
    mask = mask.rename(folder / "W39_1998.09.19_Segm.nii.gz")
    cohort = load_folder(root, **SMALL)
    assert same(cohort, before)
    assert [(one.kind, one.patients) for one in cohort.cautions if one.kind == "mask-name"] == [
        ("mask-name", ("Brats18_X_1_1",))
    ]
    mask.rename(folder / "truth.nii.gz")
    with pytest.raises(DataError, match=r"label is missing.*if it is truth.nii.gz, rename that"):
        load_folder(root, **SMALL)


def test_masks_of_the_brain_are_none_of_the_tumour(brats: Write) -> None:
    root = brats(2018)
    before = load_folder(root, **SMALL)
    for folder in root.iterdir():
        for kind in ("t1_mask", "flair_bet_mask", "t1ce_seg", "hdbet_mask"):
            save((head(0)[..., 0] > 0).astype(np.uint8), folder / f"{folder.name}_{kind}.nii.gz")
    cohort = load_folder(root, **SMALL)
    assert same(cohort, before)
    assert cohort.cautions == before.cautions
    (root / "Brats18_X_1_1" / "Brats18_X_1_1_seg.nii.gz").unlink()
    with pytest.raises(DataError, match="label is missing") as caught:
        load_folder(root, **SMALL)
    assert caught.value.patient == "Brats18_X_1_1"


def test_of_several_masks_the_one_named_as_the_images(brats: Write) -> None:
    root = brats(2018)
    before = load_folder(root, **SMALL)
    folder = root / "Brats18_X_1_1"
    mask = folder / "Brats18_X_1_1_seg.nii.gz"
    other = folder / "Brats18_X_1_1_deepbrain_mask.nii.gz"
    save((head(0)[..., 0] > 0).astype(np.uint8), other)
    cohort = load_folder(root, **SMALL)
    assert same(cohort, before)
    (told,) = (one for one in cohort.cautions if one.kind == "mask-name")
    assert (told.grave, told.patients) == (False, ("Brats18_X_1_1",))
    mask.replace(other)  # the only one: its name says a word more than those of the images
    cohort = load_folder(root, **SMALL)
    assert same(cohort, before)
    (told,) = (one for one in cohort.cautions if one.kind == "mask-name")
    assert (told.grave, told.patients) == (True, ("Brats18_X_1_1",))


@pytest.mark.parametrize("place", ["Validation/Brats18_Y_{}", "Brats18_Validation_{}"])
def test_a_part_without_masks_is_left_out(brats: Write, place: str) -> None:
    root = brats(2018)
    before = load_folder(root, **SMALL)
    for number in range(3):
        name = place.format(number)
        for suffix in ("flair", "t1", "t1ce", "t2"):
            save(head(9)[..., 0], root / name / f"{Path(name).name}_{suffix}.nii.gz")
    cohort = load_folder(root, **SMALL)
    assert same(cohort, before)
    (caution,) = (one for one in cohort.cautions if one.kind == "left-out")
    assert caution.words.endswith("has a mask, as in one for validation: 3 patients.")
    assert caution.patients == tuple(Path(place.format(number)).name for number in range(3))
    for folder in root.glob("Brats18_X*"):
        shutil.rmtree(folder)
    with pytest.raises(DataError, match=r"none of the 3 patients has a mask.*the training part"):
        load_folder(root, **SMALL)


def test_names_in_another_encoding_and_with_a_line_break(brats: Write) -> None:
    root = brats(2018)
    (root / "Brats18_X_0_1").rename(root / os.fsdecode(b"M\xfcller"))
    (root / "Brats18_X_1_1").rename(root / "two\nlines")
    assert set(load_folder(root, **SMALL).ids) == {"Müller", "two\nlines"}
    (root / "two\nlines").rename(root / "Müller")
    with pytest.raises(DataError, match=r"Müller: .*2 folders have this name"):
        load_folder(root, **SMALL)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["scan.mha", "seg.mha"], r"here are \.mha files, convert them to NIfTI"),
        (["a.dcm"], r"here are \.dcm files"),
        (["IM001.nii.gz", "IM002.nii.gz"], "of IM001.nii.gz and 1 other files the name does not"),
        (["notes.txt"], "no recognised layout: expected dataset.json"),
    ],
)
def test_what_is_no_layout_is_named(tmp_path: Path, names: list[str], message: str) -> None:
    (tmp_path / "p").mkdir()
    for name in names:
        (tmp_path / "p" / name).write_bytes(b"x")
    with pytest.raises(DataError, match=message):
        load_folder(tmp_path, **SMALL)


@pytest.mark.parametrize(
    ("name", "kind", "stem"),
    [
        ("BraTS-GLI-00000-000-t1n.nii.gz", "T1w", "BraTS-GLI-00000-000"),
        ("UPENN-GBM-00001_11_T1GD.nii", "T1gd", "UPENN-GBM-00001_11"),
        ("sub-01_ce-gadolinium_T1w.nii.gz", "T1gd", "sub-01"),
        ("T2.nii.gz", "T2w", ""),
        ("x_T2_FLAIR.NII.GZ", "FLAIR", "x"),
        ("x_t1ce_tumor_mask.nii.gz", MASK, "x_t1ce"),
        ("TCGA-02_1997.06.08_GlistrBoost_ManuallyCorrected.nii.gz", MASK, "TCGA-02_1997.06.08"),
    ],
)
def test_names_of_files(name: str, kind: str, stem: str) -> None:
    scan = scan_named(Path(name))
    assert scan is not None
    assert (scan.kind, scan.stem) == (kind, stem)


@pytest.mark.parametrize(
    "name",
    [
        *("x_brain_segmentation.nii.gz", "x_t1_mask.nii.gz", "x_t1_ce_seg.nii.gz"),
        *("x_flair_bet_mask.nii.gz", "x_brainmask.nii.gz", "t2_label.nii"),
        *("x_T1_bias.nii.gz", "x_adc.nii", "._x_t1.nii.gz", "x_t1.mha"),
    ],
)
def test_names_of_other_files(name: str) -> None:
    assert scan_named(Path(name)) is None


# Bad patients.


def test_every_bad_patient_is_named_at_once(brats: Write) -> None:
    root = brats(2018)
    first, second = sorted(root.iterdir())
    (first / f"{first.name}_t2.nii.gz").write_bytes(b"")
    save(head(0)[:-1, ..., 0], second / f"{second.name}_flair.nii.gz")
    (second / f"{second.name}_t1.nii.gz").write_bytes(gzip.compress(b"no image" * 100))
    shutil.copytree(first, root / "third")
    for file in (root / "third").glob("*_seg*"):
        file.unlink()
    with pytest.raises(PatientsError) as caught:
        load_folder(root, **SMALL)
    found = {
        (one.patient, Path(one.file or "").name, str(one).rpartition(": ")[2].split(" ")[0])
        for one in caught.value.problems
    }
    assert found == {
        ("Brats18_X_0_1", "Brats18_X_0_1_t2.nii.gz", "a"),
        ("Brats18_X_1_1", "Brats18_X_1_1_flair.nii.gz", "shape"),
        ("Brats18_X_1_1", "Brats18_X_1_1_t1.nii.gz", "not"),
        ("third", "third", "the"),
    }
    text = str(caught.value)
    assert text.startswith("4 problems with the data: ")
    assert "\n" not in text


def test_at_most_twenty_problems_are_listed(tmp_path: Path) -> None:
    listing = {
        "modality": MODALITIES,
        "labels": LABELS,
        "training": [{"image": f"i/{n}.nii", "label": f"l/{n}.nii"} for n in range(15)],
    }
    (tmp_path / "dataset.json").write_text(json.dumps(listing))
    with pytest.raises(PatientsError, match=r"and 10 more$") as caught:
        load_folder(tmp_path, **SMALL)
    assert len(caught.value.problems) == 30
    assert len(caught.value.lines) == 21


def test_headers_are_read_before_any_file_is_read_whole(msd: Path) -> None:
    good = msd / "imagesTr" / "BRATS_951.nii.gz"
    content = good.read_bytes()
    good.write_bytes(content[: len(content) // 2])  # found when it is read whole
    (msd / "labelsTr" / "BRATS_952.nii.gz").write_bytes(b"")  # found by its header
    with pytest.raises(DataError) as caught:
        load_folder(msd, **SMALL)
    assert caught.value.patient == "BRATS_952"


def test_patients_that_are_excluded(msd: Path) -> None:
    (msd / "labelsTr" / "BRATS_952.nii.gz").write_bytes(b"")
    cohort = load_folder(msd, exclude=("BRATS_952",), **SMALL)
    assert cohort.ids == ("BRATS_951",)
    assert cohort.excluded == ("BRATS_952",)
    with pytest.raises(ConfigError, match=r"'BRATS_95', .*2 patients; did you mean 'BRATS_95"):
        load_folder(msd, exclude=("BRATS_95",), **SMALL)
    with pytest.raises(DataError, match="all 2 patients are excluded"):
        load_folder(msd, exclude=("BRATS_951", "BRATS_952"), **SMALL)
