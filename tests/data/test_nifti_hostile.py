"""Files and folders that are broken or meant to harm: one typed error each, never a hang."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import struct
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leakaudit.data import load_folder
from leakaudit.data.nifti_files.file import read_volume
from leakaudit.errors import DataError

SMALL: dict[str, Any] = {"size": 16, "crop": 32}
PATIENT = "BRATS_952"


def image_of(root: Path) -> Path:
    return root / "imagesTr" / f"{PATIENT}.nii.gz"


def label_of(root: Path) -> Path:
    return root / "labelsTr" / f"{PATIENT}.nii.gz"


def patch(file: Path, offset: int, layout: str, *values: Any) -> None:
    """Overwrite bytes of the uncompressed header."""
    content = bytearray(gzip.decompress(file.read_bytes()))
    struct.pack_into("<" + layout, content, offset, *values)
    file.write_bytes(gzip.compress(bytes(content), 1))


@contextlib.contextmanager
def peak_memory() -> Iterator[list[int]]:
    """The most bytes allocated at one time in the block, once it has ended."""
    peak = [0]
    tracemalloc.start()
    try:
        yield peak
        peak[0] = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def refused(root: Path, file: Path, match: str) -> None:
    """Loading raises a DataError that names patient and file in one line."""
    with pytest.raises(DataError, match=match) as caught:
        load_folder(root, **SMALL)
    assert caught.value.patient == PATIENT
    assert caught.value.file == str(file)
    text = str(caught.value)
    assert text.startswith(f"{PATIENT}: {file}: ")
    assert "\n" not in text
    assert text.count(str(file)) == 1


@pytest.mark.parametrize("keep", [0.02, 0.5, 0.9, 0.999])
def test_truncated_gzip(msd: Path, keep: float) -> None:
    file = image_of(msd)
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * keep)])
    refused(msd, file, "truncated")


@pytest.mark.parametrize("missing", [1, 4, 8])
def test_a_missing_trailer_is_a_truncation(msd: Path, missing: int) -> None:
    file = label_of(msd)
    file.write_bytes(file.read_bytes()[:-missing])
    refused(msd, file, "truncated")


def test_truncated_inside_the_compressed_data(msd: Path) -> None:
    file = image_of(msd)
    file.write_bytes(gzip.compress(gzip.decompress(file.read_bytes())[:-1]))
    refused(msd, file, "truncated")


def test_damaged_gzip(msd: Path) -> None:
    file = image_of(msd)
    content = bytearray(file.read_bytes())
    content[-6] ^= 0xFF  # the checksum
    file.write_bytes(bytes(content))
    refused(msd, file, "damaged")


def test_not_gzip_not_nifti_empty(msd: Path) -> None:
    file = image_of(msd)
    plain = gzip.decompress(file.read_bytes())
    file.write_bytes(plain)
    refused(msd, file, "not a gzip file")
    file.write_bytes(b"")
    refused(msd, file, "empty")
    file.write_bytes(gzip.compress(b"not a picture of a brain" * 100))
    refused(msd, file, "not a NIfTI file")
    file.write_bytes(gzip.compress(b""))
    refused(msd, file, "truncated")
    file.write_bytes(gzip.compress(plain[:344] + b"ni1\0" + plain[348:]))
    refused(msd, file, "single-file NIfTI")


@pytest.mark.parametrize(
    ("dims", "message"),
    [
        ((4, 32767, 32767, 32767, 4), "too large"),
        ((4, 1024, 1024, 256, 8), "too large"),
        ((3, 16384, 16385, 1), "too large"),
        ((4, 0, 36, 6, 4), "must be positive"),
        ((4, 40, -36, 6, 4), "must be positive"),
        ((3, 40, 36, -32768), "must be positive"),
        ((0, 1, 1, 1), "expected 3 or 4 dimensions"),
        ((2, 40, 36), "expected 3 or 4 dimensions"),
        ((-1, 40, 36), "expected 3 or 4 dimensions"),
        ((9, 40, 36), "expected 3 or 4 dimensions"),
        ((5, 40, 36, 6, 4, 2), "expected 3 or 4 dimensions"),
        ((4, 512, 512, 64, 4), "truncated"),
    ],
)
def test_dimensions_in_the_header(msd: Path, dims: tuple[int, ...], message: str) -> None:
    file = image_of(msd)
    patch(file, 40, f"{len(dims)}h", *dims)
    refused(msd, file, message)


@pytest.mark.parametrize(
    ("code", "bits", "message"),
    [(32, 64, "integer or real"), (1792, 128, "integer or real"), (128, 24, "integer or real"),
     (9999, 16, "unknown data type"), (0, 0, "integer or real|unknown data type")],
)  # fmt: skip
def test_complex_and_other_types(msd: Path, code: int, bits: int, message: str) -> None:
    file = image_of(msd)
    patch(file, 70, "hh", code, bits)
    refused(msd, file, message)


@pytest.mark.parametrize("offset", [np.nan, np.inf, -1.0, 1.0, 1e30])
def test_data_offset(msd: Path, offset: float) -> None:
    file = image_of(msd)
    patch(file, 108, "f", offset)
    refused(msd, file, "at byte")


@pytest.mark.parametrize("offset", [256, 280, 284])  # quaternion b, srow_x
def test_nan_in_the_affine(msd: Path, offset: int) -> None:
    file = image_of(msd)
    patch(file, 252, "hh", 1, 0 if offset == 256 else 1)
    patch(file, offset, "f", np.nan)
    refused(msd, file, "affine")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite(msd: Path, value: float) -> None:
    for file in (image_of(msd), label_of(msd)):
        good = file.read_bytes()
        values = np.asarray(nib.load(file).dataobj, np.float32)
        values.flat[-1] = value
        nib.save(nib.Nifti1Image(values, np.eye(4)), file)
        refused(msd, file, "NaN or infinite")
        file.write_bytes(good)


def test_intensity_scaling_that_is_not_finite(msd: Path) -> None:
    file = image_of(msd)
    patch(file, 112, "ff", 1.0, np.inf)
    refused(msd, file, "scaling")
    patch(file, 112, "ff", 3e38, 3e38)
    load_folder(msd, **SMALL)  # finite in float64: large, not wrong


def test_a_gzip_bomb_is_not_unpacked(msd: Path) -> None:
    file = image_of(msd)
    bomb = gzip.compress(gzip.decompress(file.read_bytes()) + bytes(2**28), 1)
    assert len(bomb) < 2**21
    file.write_bytes(bomb)
    with peak_memory() as peak:
        refused(msd, file, "more data than its header announces")
    assert peak[0] < 2**25, "the bomb holds 2**28 bytes"


def test_a_huge_header_allocates_nothing(msd: Path) -> None:
    patch(image_of(msd), 40, "5h", 4, 645, 645, 645, 3)  # just under the limit, not in the file
    with peak_memory() as peak:
        refused(msd, image_of(msd), "truncated")
    assert peak[0] < 2**25


def test_a_small_file_that_may_be_huge_is_read_in_pieces(msd: Path) -> None:
    file = image_of(msd)
    plain = gzip.decompress(file.read_bytes())
    file.write_bytes(gzip.compress(plain + bytes(2**25), 9))
    patch(file, 40, "5h", 4, 512, 512, 64, 4)  # 2**27 bytes announced, 2**25 there
    with peak_memory() as peak, pytest.raises(DataError, match="truncated"):
        read_volume(file, patient=PATIENT)
    assert peak[0] < 2**27


@pytest.mark.parametrize("which", [image_of, label_of])
def test_what_is_no_regular_file(msd: Path, which: Callable[[Path], Path]) -> None:
    file = which(msd)
    file.unlink()
    refused(msd, file, "missing")
    os.mkfifo(file)
    refused(msd, file, "not a regular file")
    file.unlink()
    file.symlink_to("/dev/zero")
    refused(msd, file, "not a regular file")
    file.unlink()
    file.symlink_to(file)
    refused(msd, file, "symbolic links")
    file.unlink()
    file.symlink_to(msd / "nowhere")
    refused(msd, file, "No such file")
    file.unlink()
    file.mkdir()
    refused(msd, file, "not a regular file")


def test_modalities_of_unequal_shape(msd: Path, brats: Callable[..., Path]) -> None:
    file = image_of(msd)
    values = np.asarray(nib.load(file).dataobj)
    nib.save(nib.Nifti1Image(values[:, :, :5], np.eye(4)), file)
    refused(msd, file, "differs from the label")
    nib.save(nib.Nifti1Image(values[..., :3], np.eye(4)), file)
    refused(msd, file, "holds 3 channels, and dataset.json names 4")
    root = brats(2018)
    odd = root / "Brats18_X_1_1" / "Brats18_X_1_1_t2.nii.gz"
    values = np.asarray(nib.load(odd).dataobj)
    nib.save(nib.Nifti1Image(values[:-1], np.eye(4)), odd)
    with pytest.raises(DataError, match="of T2w differs") as caught:
        load_folder(root, **SMALL)
    assert (caught.value.patient, caught.value.file) == ("Brats18_X_1_1", str(odd))


@pytest.mark.parametrize("value", [4, 7, 255])
def test_labels_outside_the_set(msd: Path, value: int) -> None:
    file = label_of(msd)
    values = np.asarray(nib.load(file).dataobj).copy()
    values[0, 0, 0] = value
    nib.save(nib.Nifti1Image(values, np.eye(4)), file)
    refused(msd, file, f"label values {value} are outside")


def test_fractional_labels(msd: Path) -> None:
    file = label_of(msd)
    values = np.asarray(nib.load(file).dataobj, np.float32)
    values[0, 0, 0] = 1.5
    nib.save(nib.Nifti1Image(values, np.eye(4)), file)
    refused(msd, file, r"label values 1\.5 are outside")


def test_no_tumour_and_empty_modality(msd: Path) -> None:
    file = label_of(msd)
    good = file.read_bytes()
    empty = np.zeros(nib.load(file).shape, np.uint8)
    nib.save(nib.Nifti1Image(empty, np.eye(4)), file)
    caution = {one.kind: one for one in load_folder(msd, **SMALL).cautions}["left-out"]
    assert (caution.kind, caution.grave, caution.patients) == ("left-out", False, (PATIENT,))
    assert load_folder(msd, **SMALL).ids == ("BRATS_951",)
    assert load_folder(msd, slices="all", **SMALL).patients[1].tumour_slices == ()
    file.write_bytes(good)
    values = np.asarray(nib.load(image_of(msd)).dataobj).copy()
    values[..., 2] = 0
    nib.save(nib.Nifti1Image(values, np.eye(4)), image_of(msd))
    refused(msd, image_of(msd), "T1gd is zero everywhere")
    values[..., 2] = -5
    nib.save(nib.Nifti1Image(values, np.eye(4)), image_of(msd))
    refused(msd, image_of(msd), "T1gd holds one value everywhere, -5")


@pytest.mark.parametrize("year", [2018, 2023])
def test_a_missing_modality_or_label(brats: Callable[..., Path], year: int) -> None:
    root = brats(year)
    folder = sorted(root.iterdir())[1]
    (flair,) = (f for f in folder.iterdir() if f.name.endswith(("_flair.nii.gz", "-t2f.nii.gz")))
    kept = flair.read_bytes()
    flair.unlink()
    with pytest.raises(DataError, match="modality FLAIR is missing, found T1gd, T1w, T2w") as one:
        load_folder(root, **SMALL)
    assert (one.value.patient, one.value.file) == (folder.name, str(folder))
    load_folder(root, modalities=("T1w", "T2w"), **SMALL)
    flair.write_bytes(kept)
    (label,) = (f for f in folder.iterdir() if "seg" in f.name)
    label.unlink()
    with pytest.raises(DataError, match="label is missing") as other:
        load_folder(root, **SMALL)
    assert (other.value.patient, other.value.file) == (folder.name, str(folder))


def test_two_files_for_one_modality(brats: Callable[..., Path]) -> None:
    root = brats(2018)
    folder = root / "Brats18_X_0_1"
    (folder / "copy_flair.nii.gz").write_bytes(b"")
    with pytest.raises(DataError, match="second file for FLAIR"):
        load_folder(root, **SMALL)


def test_links_that_lead_round_in_a_circle(brats: Callable[..., Path]) -> None:
    root = brats(2018)
    before = load_folder(root, **SMALL).fingerprint
    (root / "again").symlink_to(root)
    (root / "itself").symlink_to(root / "itself")
    (root / "Brats18_X_0_1" / "up").symlink_to(root)
    assert load_folder(root, **SMALL).fingerprint == before


def test_folders_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    for name, message in (
        ("missing", "No such file"),
        ("empty", "no recognised layout"),
        ("file", "not a folder"),
        ("circle", "symbolic links"),
    ):
        with pytest.raises(DataError, match=message) as caught:
            load_folder(tmp_path / name)
        assert caught.value.file == str(tmp_path / name)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"modality": {"0": "FLAIR", "1": "flair"}}, "twice"),
        ({"modality": {"0": "DWI"}}, "T1w, T1gd, FLAIR, T2w is missing, found 'DWI'"),
        ({"modality": {"x": "T1w"}}, "not a channel and a name"),
        ({"modality": {"-1": "T1w"}}, "not a channel and a name"),
        ({"modality": "FLAIR"}, "expected 'modality'"),
        ({"modality": {"0": "FLAIR"}}, "modality T1w, T1gd, T2w is missing, found FLAIR"),
        ({"training": []}, "expected 'modality'"),
        ({"training": ["a.nii.gz"]}, "names no image"),
        ({"training": [{"image": "a.nii.gz"}]}, "names no label"),
        ({"training": [{"image": "../a.nii.gz", "label": "b"}]}, "inside its folder"),
        ({"training": [{"image": "a.nii.gz", "label": "/etc/passwd"}]}, "inside its folder"),
        ({"training": [{"image": "a\0.nii.gz", "label": "b\0"}]}, "missing"),
        (
            {"labels": {"0": "background", "1": "liver"}},
            "'liver' are unknown; understood",
        ),
        ({"labels": {"1": "edema", "2": "edema"}}, "name edema twice"),
        ({"labels": {"9" * 5000: "edema"}}, "not a value and its name"),
        ({"labels": []}, "map values to names"),
    ],
)
def test_listings_that_can_not_be(
    rewrite: Callable[..., Path], fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        load_folder(rewrite(**fields), **SMALL)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "[]", "3", "\ud800"])
def test_a_listing_that_is_no_json_object(msd: Path, text: str) -> None:
    (msd / "dataset.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(DataError) as caught:
        load_folder(msd, **SMALL)
    assert caught.value.file == str(msd / "dataset.json")


def test_a_listing_that_is_a_fifo(msd: Path) -> None:
    (msd / "dataset.json").unlink()
    os.mkfifo(msd / "dataset.json")
    with pytest.raises(DataError, match="regular file"):
        load_folder(msd, **SMALL)


def test_a_patient_listed_twice(msd: Path, rewrite: Callable[..., Path]) -> None:
    training = json.loads((msd / "dataset.json").read_text())["training"]
    with pytest.raises(DataError, match="occurs twice"):
        load_folder(rewrite(training=[*training, training[0]]), **SMALL)


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    at=st.integers(0, 347),
    content=st.binary(min_size=1, max_size=8),
    compressed=st.booleans(),
)
def test_any_damage_to_a_header_loads_or_is_a_data_error(
    msd: Path, at: int, content: bytes, compressed: bool
) -> None:
    file = label_of(msd)
    good = file.read_bytes()
    try:
        if compressed:
            file.write_bytes(good[:at] + content + good[at + len(content) :])
        else:
            plain = gzip.decompress(good)
            file.write_bytes(gzip.compress(plain[:at] + content + plain[at + len(content) :], 1))
        with contextlib.suppress(DataError):  # any other exception fails the test
            load_folder(msd, **SMALL)
    finally:
        file.write_bytes(good)
