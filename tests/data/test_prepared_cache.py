from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from leakaudit.data import Cohort, load_folder, reading
from leakaudit.data.preparing.prepared_cache import PreparedCache
from leakaudit.errors import DataError, StoreError
from tests.data.conftest import head, save, tumour

SMALL: dict[str, Any] = {"size": 16, "crop": 32}


class Heard:
    """Counts what was read from files, and how many patients were told of."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int, int]] = []

    def __call__(self, what: str, done: int, total: int) -> None:
        self.told.append((what, done, total))

    @property
    def kinds(self) -> set[str]:
        return {what for what, _, _ in self.told}


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def settled(msd: Path) -> None:
    """Files that were written long ago, as far as the cache can tell."""
    for file in (*(msd / "imagesTr").iterdir(), *(msd / "labelsTr").iterdir()):
        os.utime(file, (1e9, 1e9))


def read(root: Path, cache: Path | None, **more: Any) -> tuple[Cohort, Heard]:
    heard = Heard()
    return load_folder(root, cache=cache, told=heard, **{**SMALL, **more}), heard


def same(one: Cohort, other: Cohort) -> bool:
    facts = ("fingerprint", "cautions", "labels", "together", "cut_off", "clipped", "name")
    return all(getattr(one, fact) == getattr(other, fact) for fact in facts) and all(
        (a.images == b.images).all() and (a.masks == b.masks).all()
        for a, b in zip(one.patients, other.patients, strict=True)
    )


def test_what_is_read_again_is_equal_and_comes_from_no_file(msd: Path, cache: Path) -> None:
    plain, heard = read(msd, None)
    assert heard.kinds == {"headers", "masks", "patients"}
    first, heard = read(msd, cache)
    assert heard.kinds == {"files", "headers", "masks", "patients"}
    again, heard = read(msd, cache)
    assert heard.kinds == {"files", "patients"}
    assert heard.told[-1] == ("patients", 2, 2)
    assert same(plain, first)
    assert same(plain, again)
    assert not again.patients[0].images.flags.writeable
    volumes = [read(msd, where, spatial_dims=3)[0] for where in (None, cache, cache)]
    assert same(volumes[0], volumes[1])
    assert same(volumes[0], volumes[2])


def test_everything_is_private(msd: Path, cache: Path) -> None:
    cache.mkdir(mode=0o755)
    read(msd, cache)
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in cache.iterdir()} == {0o600}


def test_a_copy_elsewhere_is_known_by_its_content(msd: Path, cache: Path, tmp_path: Path) -> None:
    first, _ = read(msd, cache)
    shutil.copytree(msd, tmp_path / "elsewhere" / "msd")
    again, heard = read(tmp_path / "elsewhere" / "msd", cache)
    assert heard.kinds == {"files", "patients"}
    assert same(first, again)


def test_a_file_that_changes_is_read_again_though_size_and_time_are_kept(
    msd: Path, cache: Path
) -> None:
    file = msd / "labelsTr" / "BRATS_951.nii"
    (msd / "labelsTr" / "BRATS_951.nii.gz").unlink()
    listing = (msd / "dataset.json").read_text()
    listing = listing.replace("labelsTr/BRATS_951.nii.gz", "labelsTr/BRATS_951.nii")
    (msd / "dataset.json").write_text(listing)
    save(tumour(), file)
    before = file.stat()
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    first, _ = read(msd, cache)
    moved = np.roll(tumour(), 1, axis=0)
    save(moved, file)
    assert file.stat().st_size == before.st_size
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    again, heard = read(msd, cache)
    assert "masks" in heard.kinds
    assert again.fingerprint == read(msd, None)[0].fingerprint != first.fingerprint
    # The other patient is not prepared anew.
    assert (again.patients[1].images == first.patients[1].images).all()


CHANGES: list[dict[str, Any]] = [
    {"size": 32},
    {"modalities": ("T1w", "FLAIR")},
    {"slices": "all"},
    {"max_slices": 2},
    {"exclude": ("BRATS_952",)},
    {"labels": {1: "edema", 2: "enhancing", 3: "non-enhancing"}},
]


@pytest.mark.parametrize("change", CHANGES)
def test_other_settings_are_another_entry(msd: Path, cache: Path, change: Any) -> None:
    read(msd, cache)
    assert same(read(msd, cache, **change)[0], read(msd, None, **change)[0])
    assert same(read(msd, cache, **change)[0], read(msd, None, **change)[0])
    assert same(read(msd, cache)[0], read(msd, None)[0])


def test_other_code_prepares_anew(msd: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read(msd, cache)
    monkeypatch.setattr(reading, "_code", lambda: "another version")
    assert "masks" in read(msd, cache)[1].kinds


def test_other_code_in_a_room_of_data_is_other_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "room").mkdir()
    monkeypatch.setattr(reading, "__file__", str(tmp_path / "reading.py"))
    digests = set()
    for text in ("a = 1", "a = 2"):
        (tmp_path / "room" / "module.py").write_text(text)
        reading._code.cache_clear()
        digests.add(reading._code())
    reading._code.cache_clear()
    assert len(digests) == 2


@pytest.mark.parametrize("kind", [".patient", ".cohort", "files.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "delete", "swap", "text"])
def test_damage_is_found_and_mended(msd: Path, cache: Path, kind: str, damage: str) -> None:
    plain, _ = read(msd, None)
    read(msd, cache)
    files = sorted(file for file in cache.iterdir() if file.name.endswith(kind))
    stored = files[0].read_bytes()
    if damage == "flip":
        for place in (5, 40, len(stored) // 2, len(stored) - 1):
            flipped = bytearray(stored)
            flipped[place] ^= 4
            files[0].write_bytes(flipped)
            assert same(plain, read(msd, cache)[0])
    elif damage == "delete":
        files[0].unlink()
    elif damage == "swap":
        files[0].write_bytes(files[-1].read_bytes())
    else:
        left = {"cut": stored[: len(stored) // 2], "empty": b"", "text": b"x\n[]"}
        files[0].write_bytes(left[damage])
    assert same(plain, read(msd, cache)[0])
    assert same(plain, read(msd, cache)[0])
    assert read(msd, cache)[1].kinds == {"files", "patients"}


def test_entries_of_two_cohorts_changed_over_are_read_anew(msd: Path, cache: Path) -> None:
    orders = [{"modalities": ("T1w", "FLAIR")}, {"modalities": ("FLAIR", "T1w")}]
    plain = [read(msd, None, **order)[0] for order in orders]
    for order in orders:
        read(msd, cache, **order)
    first, second = cache.glob("*.cohort")
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)
    for cohort, order in zip(plain, orders, strict=True):
        assert same(cohort, read(msd, cache, **order)[0])
    memo = cache / "files.json"
    for file in cache.glob("*.cohort"):
        file.write_bytes(memo.read_bytes())
    memo.write_bytes(other)
    for cohort, order in zip(plain, orders, strict=True):
        assert same(cohort, read(msd, cache, **order)[0])
        assert read(msd, cache, **order)[1].kinds == {"files", "patients"}


def test_names_that_are_refused_are_refused_though_the_files_are_known(
    msd: Path, cache: Path, rewrite: Callable[..., Path]
) -> None:
    read(rewrite(labels=None), cache)
    with pytest.raises(DataError, match="liver"):
        read(rewrite(labels={"1": "liver"}), cache)


def test_bad_patients_are_refused_as_without_a_cache(msd: Path, cache: Path) -> None:
    read(msd, cache)
    file = msd / "imagesTr" / "BRATS_951.nii.gz"
    good = file.read_bytes()
    file.write_bytes(good[: len(good) // 2])
    for where in (None, cache):
        with pytest.raises(DataError, match=r"truncated|ends early"):
            read(msd, where)
    file.unlink()
    with pytest.raises(DataError, match="missing"):
        read(msd, cache)


def test_patients_of_old_cohorts_are_forgotten(msd: Path, cache: Path) -> None:
    for size in (16, 32, 48, 64):
        read(msd, cache, size=size, crop=64 if size != 48 else 48)
        for file in cache.iterdir():
            os.utime(file, (1e9 + size, 1e9 + size))
    assert len(list(cache.glob("*.cohort"))) == 3
    read(msd, cache, size=16, crop=48)
    assert len(list(cache.glob("*.cohort"))) == 3
    assert len(list(cache.glob("*.patient"))) == 6


def test_a_file_of_this_moment_is_hashed_every_time(msd: Path, cache: Path) -> None:
    os.utime(msd / "imagesTr" / "BRATS_951.nii.gz")
    read(msd, cache)
    memo = json.loads((cache / "files.json").read_bytes().partition(b"\n")[2])["files"]
    # ctime is of this test, so that nothing is remembered yet.
    assert memo == {}


def test_a_cache_that_cannot_be_written_says_how_to_do_without(msd: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError):
        read(msd, tmp_path / "file" / "cache")
    folder = tmp_path / "cache"
    store = PreparedCache(folder)
    shutil.rmtree(folder)
    with pytest.raises(StoreError, match="--no-cache"):
        store.store_cohort("key", {}, [])


def test_a_header_alone_is_no_change_of_content(msd: Path, cache: Path) -> None:
    """Another compression is another file: what counts is the content of files, not of voxels."""
    first, _ = read(msd, cache)
    file = msd / "imagesTr" / "BRATS_951.nii.gz"
    image = nib.load(file)
    values = np.asarray(image.dataobj)
    assert (values == head(0)).all()
    nib.save(nib.Nifti1Image(values.astype(np.int32), image.affine), file)
    again, heard = read(msd, cache)
    assert "masks" in heard.kinds
    assert again.fingerprint == first.fingerprint
