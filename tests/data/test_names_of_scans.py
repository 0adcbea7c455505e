"""Names that other data sets give to files and folders: the right modality, mask and person."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leakaudit.data import Cohort, load_folder
from leakaudit.data.layouts.identity import is_a_time, same_person_by_name
from leakaudit.data.naming.bids_names import bids_parts
from leakaudit.data.naming.scan_names import MASK, scan_named
from leakaudit.errors import DataError
from tests.data.conftest import head, save, tumour

SMALL: dict[str, Any] = {"size": 16, "crop": 32}
Write = Callable[..., Path]
THEIRS = np.array([0, 2, 1, 4], np.uint8)


def write(root: Path, patients: tuple[str, ...], files: tuple[str, ...], mask: str) -> Path:
    """Patients whose files have these names (FLAIR, T1w, T1gd, T2w), ``{}`` their number."""
    for number, patient in enumerate(patients):
        for channel, name in enumerate(files):
            save(head(number)[..., channel], root / patient / name.replace("{}", str(number)))
        save(THEIRS[tumour()], root / patient / mask.replace("{}", str(number)))
    return root


def same(one: Cohort, other: Cohort) -> bool:
    return len(one.patients) == len(other.patients) and all(
        (a.images == b.images).all() and (a.masks == b.masks).all()
        for a, b in zip(one.patients, other.patients, strict=True)
    )


BIDS = ("FLAIR", "T1w", "ce-gadobutrol_T1w", "T2w")
VSD = tuple(f"VSD.Brain.XX.O.MR_{kind}.54{{}}1" for kind in ("Flair", "T1", "T1c", "T2"))


@pytest.mark.parametrize(
    ("patients", "files", "mask"),
    [
        (  # BIDS, with the masks among the derivatives
            ("sub-01/ses-1/anat", "sub-02/ses-1/anat"),
            tuple(f"sub-0{{}}_ses-1_{kind}.nii.gz" for kind in BIDS),
            "../../../derivatives/sub-0{}/sub-0{}_ses-1_space-T1w_label-tumor_mask.nii.gz",
        ),
        (  # BraTS 2013, a folder for each file
            ("HGG/pat1", "HGG/pat2"),
            tuple(f"{name}/{name}.nii" for name in VSD),
            "VSD.Brain_3more.XX.O.OT.54{}9/VSD.Brain_3more.XX.O.OT.54{}9.nii",
        ),
        (  # EGD
            ("EGD-1", "EGD-2"),
            tuple(f"{kind}/NIFTI/{kind}.nii.gz" for kind in ("FLAIR", "T1", "T1GD", "T2")),
            "MASK/NIFTI/MASK.nii.gz",
        ),
        (  # names that say onto what an image was laid, and whether with contrast
            ("P1", "P2"),
            tuple(f"x_{kind}.nii.gz" for kind in ("flair_to_t1", "pre_T1", "post_T1", "t2_reg_t1")),
            "x_seg.nii.gz",
        ),
    ],
    ids=["bids", "vsd", "egd", "registered"],
)
def test_other_data_sets(
    brats: Write,
    tmp_path: Path,
    patients: tuple[str, ...],
    files: tuple[str, ...],
    mask: str,
) -> None:
    root = write(tmp_path / "other", patients, files, mask)
    cohort = load_folder(root, labels="brats-2018", **SMALL)
    assert same(cohort, load_folder(brats(2018), **SMALL))
    assert len(set(cohort.ids)) == 2


@pytest.mark.parametrize("image", ["{kind}/{patient}.nii", "{patient}/{kind}/image.nii"])
def test_folders_named_by_what_their_files_show(brats: Write, tmp_path: Path, image: str) -> None:
    root = brats(2018)
    before = load_folder(root, labels="brats-2018", **SMALL)
    for file in root.glob("*/*.nii.gz"):
        kind = file.name.rsplit("_", 1)[1].removesuffix(".nii.gz").replace("seg", "masks")
        name = image.format(kind=kind, patient=file.parent.name)
        (tmp_path / "by-kind" / name).parent.mkdir(parents=True, exist_ok=True)
        file.rename(tmp_path / "by-kind" / name)
    cohort = load_folder(tmp_path / "by-kind", labels="brats-2018", **SMALL)
    assert same(cohort, before)
    assert cohort.ids == before.ids


@pytest.mark.parametrize("kind", ["post_T1", "ce-gd_T1w", "flair_to_t1"])
def test_an_image_with_contrast_is_never_taken_for_one_without(brats: Write, kind: str) -> None:
    root = brats(2018)
    for folder in root.iterdir():
        name = "sub-01" if kind.endswith("w") else folder.name
        for file in list(folder.iterdir()):
            file.rename(folder / f"{name}{file.name.removeprefix(folder.name)}")
        (folder / f"{name}_t1.nii.gz").rename(folder / f"{name}_{kind}.nii.gz")
        (folder / f"{name}_{'flair' if 'flair' in kind else 't1ce'}.nii.gz").unlink()
    with pytest.raises(DataError, match="modality T1w is missing, found"):
        load_folder(root, modalities=("T1w", "T2w"), **SMALL)


def test_a_time_in_the_names_of_all_files_is_no_contrast(brats: Write) -> None:
    root = brats(2018)
    before = load_folder(root, **SMALL)
    for folder in root.iterdir():
        for file in list(folder.iterdir()):
            kind = file.name.removeprefix(folder.name)
            file.rename(folder / f"{folder.name}_post{kind}")
    assert same(load_folder(root, **SMALL), before)


def test_a_folder_that_holds_a_mask_alone_is_a_bad_patient(brats: Write) -> None:
    root = brats(2018)
    for file in (root / "Brats18_X_1_1").iterdir():
        if not file.name.endswith("_seg.nii.gz"):
            file.unlink()
    with pytest.raises(DataError, match="modality T1w, T1gd, FLAIR, T2w is missing") as caught:
        load_folder(root, **SMALL)
    assert caught.value.patient == "Brats18_X_1_1"


def test_sessions_of_one_person_are_named_with_the_person(tmp_path: Path) -> None:
    files = ("FLAIR.nii", "T1.nii", "CT1.nii", "T2.nii")
    write(tmp_path / "a", ("P1/week-001", "P2/week-001", "P2/week-012"), files, "seg.nii")
    cohort = load_folder(tmp_path / "a", labels="brats-2018", **SMALL)
    assert cohort.ids == ("P1_week-001", "P2_week-001", "P2_week-012")
    assert cohort.together == (("P2_week-001", "P2_week-012"),)


@pytest.mark.parametrize(
    "names",
    [
        ("P01_2019-03-02", "P01_2020-11-30"),
        ("TCGA-02-0003_1997.06.08", "TCGA-02-0003_19980608"),
        ("M\u00fcller", "Mu\u0308ller"),
        ("Anna 1", "anna  1"),
        ("UCSD-PTGBM-0002_01", "UCSD-PTGBM-0002_02"),
        ("RHUH-0001_0", "RHUH-0001_2"),
    ],
)
def test_one_person_written_otherwise(names: tuple[str, str]) -> None:
    assert same_person_by_name((*names, "P02", "P02b")) == [tuple(sorted(names))]


def test_dates_alone_make_no_person() -> None:
    assert same_person_by_name(("MRI_2019-03-02", "MRI_2020-11-30", "MRI_2021-01-01")) == []


@pytest.mark.parametrize(
    ("name", "is_time"),
    [
        *((name, True) for name in ("ses-2", "week-012-1", "baseline", "20190302", "scan1")),
        *((name, False) for name in ("P01", "001", "anna", "HGG", "Brats18_X_1_1")),
    ],
)
def test_folders_that_say_when_and_not_who(name: str, is_time: bool) -> None:
    assert is_a_time(name) == is_time


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("sub-01_ses-2_acq-3d_run-1_T1w", ("sub-01_ses-2", "T1w")),
        ("sub-01_ce-gd_desc-preproc_T1w", ("sub-01", "T1gd")),
        ("sub-01_space-T1w_FLAIR", ("sub-01", "FLAIR")),
        ("sub-01_space-MNI_label-lesion_mask", ("sub-01", "seg")),
        ("sub-01_dseg", ("sub-01", "seg")),
        ("sub-01_desc-brain_mask", ("sub-01", "")),
        ("sub-01_desc-aparcaseg_dseg", ("sub-01", "")),
        ("sub-01_t1_ce", None),
        ("P01_T1w", None),
    ],
)
def test_names_of_bids(name: str, parts: tuple[str, str] | None) -> None:
    assert bids_parts(name) == parts


@pytest.mark.parametrize(
    ("name", "kind", "stem"),
    [
        ("x_t2_reg_to_t1.nii", "T2w", "x"),
        ("VSD.Brain_3more.XX.O.OT.54517.nii", MASK, ""),
        ("VSD.Brain.XX.O.MR_T1c.54514.nii.gz", "T1gd", ""),
        ("CT1.nii.gz", "T1gd", ""),
        ("P_C_t1.nii.gz", "T1w", "P_C"),
    ],
)
def test_names_of_files(name: str, kind: str, stem: str) -> None:
    scan = scan_named(Path(name))
    assert scan is not None
    assert (scan.kind, scan.stem) == (kind, stem)


@pytest.mark.parametrize("name", ["x_flair_t1.nii", "sub-01_desc-brain_mask.nii.gz"])
def test_names_that_do_not_say_what_a_file_shows(name: str) -> None:
    assert scan_named(Path(name)) is None
