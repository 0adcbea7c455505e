"""Small folders of patients, written with nibabel as a scanner's converter would."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

SHAPE = (40, 36, 6)
MODALITIES = {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"}
LABELS = {
    "0": "background",
    "1": "edema",
    "2": "non-enhancing tumor",
    "3": "enhancing tumour",
}


def save(values: NDArray[Any], file: Path) -> Path:
    """Write an array as NIfTI, in the type that it has."""
    file.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values, np.eye(4), dtype=values.dtype), file)
    return file


def head(seed: int, shape: tuple[int, int, int] = SHAPE) -> NDArray[np.int16]:
    """Four channels of an ellipsoid of noise, channel c around 100 * (c + 1), zero outside."""
    rng = np.random.default_rng(seed)
    x, y, _ = np.indices(shape)
    inside = ((x - shape[0] / 2) / 16) ** 2 + ((y - shape[1] / 2) / 14) ** 2 < 1
    channels = [rng.integers(50, 150, shape) + 100 * c for c in range(4)]
    return np.asarray(np.stack(channels, axis=-1) * inside[..., None], dtype=np.int16)


def tumour(shape: tuple[int, int, int] = SHAPE) -> NDArray[np.uint8]:
    """MSD labels: edema, then non-enhancing, then enhancing from left to right; slices 1 to 4."""
    labels = np.zeros(shape, np.uint8)
    labels[12:20, 14:22, 1:5] = 1
    labels[20:24, 14:22, 1:5] = 2
    labels[24:28, 14:22, 2:5] = 3
    return labels


@pytest.fixture
def msd(tmp_path: Path) -> Path:
    """Two patients in the MSD layout."""
    root = tmp_path / "msd"
    names = ("BRATS_951", "BRATS_952")
    for seed, name in enumerate(names):
        save(head(seed), root / "imagesTr" / f"{name}.nii.gz")
        save(tumour(), root / "labelsTr" / f"{name}.nii.gz")
    training = [
        {"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"}
        for name in names
    ]
    listing = {"modality": MODALITIES, "labels": LABELS, "training": training}
    (root / "dataset.json").write_text(json.dumps(listing))
    return root


@pytest.fixture
def rewrite(msd: Path) -> Callable[..., Path]:
    """Change fields of the MSD folder's dataset.json."""

    def change(**fields: Any) -> Path:
        listing = json.loads((msd / "dataset.json").read_text())
        listing.update(fields)
        (msd / "dataset.json").write_text(json.dumps(listing))
        return msd

    return change


@pytest.fixture
def brats(tmp_path: Path) -> Callable[..., Path]:
    """Write the two patients of `msd` under BraTS names and label values."""

    def write(year: int, *, enhancing: int | None = None, under: str = "") -> Path:
        root = tmp_path / f"brats{year}"
        suffixes = (
            ("_flair", "_t1", "_t1ce", "_t2", "_seg")
            if year < 2023
            else ("-t2f", "-t1n", "-t1c", "-t2w", "-seg")
        )
        top = enhancing or (4 if year < 2023 else 3)
        theirs = np.array([0, 2, 1, top], np.uint8)
        for seed in range(2):
            name = f"Brats18_X_{seed}_1" if year < 2023 else f"BraTS-GLI-0000{seed}-000"
            channels = head(seed)
            volumes: list[NDArray[Any]] = [channels[..., c] for c in range(4)]
            volumes.append(theirs[tumour()])
            for suffix, volume in zip(suffixes, volumes, strict=True):
                save(volume, root / under / name / f"{name}{suffix}.nii.gz")
        return root

    return write
