"""Files that other programs write a little differently: read with the same values, or named."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from leakaudit.data.nifti_files.file import read_header, read_volume
from leakaudit.errors import DataError

VALUES = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    nib.save(nib.Nifti1Image(VALUES, np.diag([2.0, 2.0, 3.0, 1.0])), tmp_path / "scan.nii")
    return tmp_path / "scan.nii"


def patch(file: Path, offset: int, layout: str, *values: float) -> None:
    content = bytearray(file.read_bytes())
    struct.pack_into("<" + layout, content, offset, *values)
    file.write_bytes(bytes(content))


def test_the_header_says_shape_scaling_and_affine_without_the_voxels(plain: Path) -> None:
    header = read_header(plain, patient="p")
    volume = read_volume(plain, patient="p")
    assert header.shape == volume.shape == (4, 5, 6)
    assert header.data_bytes == VALUES.nbytes
    assert (header.slope, header.intercept) == (1.0, 0.0)
    np.testing.assert_array_equal(header.affine, np.diag([2.0, 2.0, 3.0, 1.0]))
    np.testing.assert_array_equal(volume.affine, header.affine)
    assert (volume.channel() == VALUES).all()
    # A compressed file without its second half still has its header; reading it whole does not.
    whole = gzip.compress(plain.read_bytes(), 1)
    cut = plain.with_suffix(".nii.gz")
    cut.write_bytes(whole[: len(whole) - 20])
    assert read_header(cut, patient="p").shape == (4, 5, 6)
    with pytest.raises(DataError, match="truncated"):
        read_volume(cut, patient="p")


def test_itk_puts_modalities_behind_an_axis_of_one(tmp_path: Path) -> None:
    values = np.arange(3 * 3 * 2 * 4, dtype=np.int16).reshape(3, 3, 2, 1, 4)
    nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / "vector.nii.gz")
    volume = read_volume(tmp_path / "vector.nii.gz", patient="p")
    assert volume.shape == (3, 3, 2, 4)
    assert (volume.channel(3) == values[..., 0, 3]).all()


def test_an_offset_of_zero_is_the_byte_after_the_header(plain: Path) -> None:
    patch(plain, 108, "f", 0.0)
    assert (read_volume(plain, patient="p").channel() == VALUES).all()


def test_a_quaternion_made_longer_by_rounding(plain: Path) -> None:
    # Half a turn about (1, 1, 0): b = c = 0.7071. With 0.708 their squares add up to 1.0025.
    patch(plain, 252, "hh", 1, 0)
    patch(plain, 256, "fff", 0.708, 0.708, 0.0)
    affine = read_header(plain, patient="p").affine
    expected = np.array([[0, 2, 0], [2, 0, 0], [0, 0, -3]])
    np.testing.assert_allclose(affine[:3, :3], expected, atol=1e-3)
    patch(plain, 256, "fff", 0.8, 0.8, 0.0)
    with pytest.raises(DataError, match="bad affine"):
        read_header(plain, patient="p")


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("trailing", [b"\n", bytes(1024)])
def test_padding_after_the_data(plain: Path, compressed: bool, trailing: bytes) -> None:
    content = plain.read_bytes() + trailing
    file = plain.with_name("padded.nii.gz" if compressed else "padded.nii")
    file.write_bytes(gzip.compress(content, 1) if compressed else content)
    assert (read_volume(file, patient="p").channel() == VALUES).all()


def test_bytes_behind_the_compressed_stream(plain: Path) -> None:
    file = plain.with_suffix(".nii.gz")
    file.write_bytes(gzip.compress(plain.read_bytes(), 1) + b"downloaded by a careful program")
    assert (read_volume(file, patient="p").channel() == VALUES).all()


@pytest.mark.parametrize("compressed", [False, True])
def test_much_more_than_the_header_announces(plain: Path, compressed: bool) -> None:
    content = plain.read_bytes() + bytes(2**16 + 1)
    file = plain.with_name("long.nii.gz" if compressed else "long.nii")
    file.write_bytes(gzip.compress(content, 1) if compressed else content)
    with pytest.raises(DataError, match="more data than its header announces"):
        read_volume(file, patient="p")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"empty \(0 bytes\).*fetch it again"),
        (b"\0\5\x16\7\0\2\0\0Mac OS X", "macOS notes about one; delete it"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS or git-annex"),
        (b"/annex/objects/MD5E-s1--0.nii.gz\n", "a pointer of Git LFS or git-annex"),
    ],
)
def test_placeholders_are_named(plain: Path, content: bytes, message: str) -> None:
    plain.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_header(plain, patient="p")
