"""How long it takes to read a large cohort again from the cache, and in how much memory.

Makes so many synthetic patients as NIfTI files (noise in an ellipse, a block of tumour in every
slice), reads them twice, each time in a process of its own, and prints seconds and memory. The
files have 96 x 96 voxels a slice and are read without an area mean, so that the prepared arrays are
as large as those of BraTS while the files are small.

    python benchmarks/cohort_cache.py --patients 484 --slices 65
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel as nib
import numpy as np

from leakaudit.data import load_folder

_SIDE = 96
_AFFINE = np.array([[-1.0, 0, 0, 0], [0, -1, 0, 239], [0, 0, 1, 0], [0, 0, 0, 1]])


def make_patients(folder: Path, patients: int, slices: int) -> None:
    """Write a folder in the layout of MSD.

    Args:
        folder: an empty folder.
        patients: how many.
        slices: of each, all with tumour.
    """
    y, x = np.indices((_SIDE, _SIDE)) - _SIDE / 2
    brain = ((x / 40) ** 2 + (y / 32) ** 2 < 1)[..., None]
    mask = np.zeros((_SIDE, _SIDE, slices), np.uint8)
    for value in (1, 2, 3):
        mask[30 + 8 * value : 38 + 8 * value, 40:60] = value
    training = []
    for number in range(patients):
        rng = np.random.default_rng(number)
        pattern = rng.integers(100, 900, (12, 12, 1, 4)).repeat(8, axis=0).repeat(8, axis=1)
        values = (pattern + rng.integers(0, 50, (_SIDE, _SIDE, slices, 1))) * brain[..., None]
        files = {}
        for kind, array in (("images", values.astype(np.int16)), ("labels", mask)):
            (folder / kind).mkdir(exist_ok=True)
            files[kind[:-1]] = f"{kind}/P{number:04d}.nii"
            nib.save(nib.Nifti1Image(array, _AFFINE), folder / files[kind[:-1]])
        training.append(files)
    names = {"0": "FLAIR", "1": "T1w", "2": "T1gd", "3": "T2w"}
    labels = {"0": "background", "1": "edema", "2": "non-enhancing tumor", "3": "enhancing tumor"}
    listing = {"modality": names, "labels": labels, "training": training}
    (folder / "dataset.json").write_text(json.dumps(listing))


def read(folder: Path, cache: Path) -> None:
    """Read the cohort and print seconds, gigabytes of the arrays, and of memory above them.

    Args:
        folder: the patients.
        cache: where prepared ones are kept.
    """
    before = _peak()
    started, worked = time.perf_counter(), time.process_time()
    first = 0.0

    def told(what: str, done: int, total: int) -> None:
        nonlocal first
        first = first or time.perf_counter() - started

    cohort = load_folder(folder, size=_SIDE, crop=_SIDE, cache=cache, told=told)
    seconds, worked = time.perf_counter() - started, time.process_time() - worked
    arrays = sum(one.images.nbytes + one.masks.nbytes for one in cohort.patients) / 1e9
    name = cohort.fingerprint[:12]
    print(
        f"{len(cohort.patients)} patients, fingerprint {name}: {seconds:.1f} s, of which the "
        f"processors worked {worked:.1f} s, told first after {first:.1f} s; "
        f"arrays {arrays:.2f} GB, peak memory {_peak():.2f} GB (before {before:.2f}), "
        f"above the arrays {_peak() - arrays:.2f} GB"
    )


def _peak() -> float:
    """The most memory that this process has held so far, mapped files included, in gigabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def main() -> None:
    """Make the patients, then read them twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=484)
    parser.add_argument("--slices", type=int, default=65, help="of each patient")
    parser.add_argument("--read", nargs=2, type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.read:
        read(*given.read)
        return
    with tempfile.TemporaryDirectory() as work:
        folder, cache = Path(work, "patients"), Path(work, "cache")
        folder.mkdir()
        started = time.perf_counter()
        make_patients(folder, given.patients, given.slices)
        print(f"made in {time.perf_counter() - started:.1f} s")
        for what in ("from the files", "from the cache"):
            print(what, end=": ", flush=True)
            again = [sys.executable, __file__, "--read", str(folder), str(cache)]
            subprocess.run(again, check=True)


if __name__ == "__main__":
    main()
