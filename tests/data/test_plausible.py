"""Files that are certainly not what their names say, though every voxel of them can be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from leakaudit.data import CANONICAL, load_folder
from leakaudit.data.preparing.intensities import rescale
from leakaudit.data.preparing.plausible import check_copies, check_mask
from tests.data.conftest import head, save, tumour

HEAD = (head(0) / 500).astype(np.float32).transpose(2, 3, 1, 0)
BRAIN = (HEAD > 0).all(axis=1)
MASK = tumour().transpose(2, 1, 0)
SMALL: dict[str, Any] = {"size": 16, "crop": 32}


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (MASK, ""),
        (np.zeros_like(MASK), ""),
        (BRAIN, "more than 60% of the brain"),
        (~BRAIN, "outside the brain"),
        (np.roll(MASK, 14, axis=-1), "outside the brain"),
    ],
)
def test_masks_of_something_else(mask: NDArray[Any], words: str) -> None:
    found = check_mask(mask, HEAD)
    assert [(one.kind, one.grave) for one in found] == ([("mask-place", True)] if words else [])
    assert all(words in one.words for one in found)


def test_a_copy_under_the_name_of_another_modality() -> None:
    own = list(HEAD.transpose(1, 0, 2, 3))
    assert check_copies(own, CANONICAL) == []
    copy = np.rint(own[0] * 255).astype(np.float32)
    (found,) = check_copies([*own[:3], copy], CANONICAL)
    assert (found.kind, found.grave) == ("equal-modalities", True)
    assert "T1w and T2w" in found.words
    even = (own[0] > 0).astype(np.float32)
    assert check_copies([own[0], even], CANONICAL[:2]) == []


def flat(root: Path, masks: list[NDArray[Any]], *, order: tuple[int, ...] = (0, 1, 2)) -> Path:
    """Patients in one folder, their axes in another order."""
    for number, mask in enumerate(masks):
        channels = head(number, (36, 36, 6))
        for channel, kind in enumerate(("flair", "t1", "t1ce", "t2")):
            save(channels[..., channel].transpose(order), root / f"P{number}_{kind}.nii.gz")
        save(np.asarray(mask, np.uint8).transpose(order), root / f"P{number}_seg.nii.gz")
    return root


def test_a_mask_of_somebody_else_and_slices_along_another_axis(tmp_path: Path) -> None:
    masks = [np.roll(tumour((36, 36, 6)), shift, axis=1) for shift in (-2, 0, 2, 2)]
    kinds = {
        (one.kind, one.patients)
        for one in load_folder(flat(tmp_path / "a", masks), labels="msd", **SMALL).cautions
    }
    assert ("mask-place", ("P2", "P3")) in kinds
    assert not any(kind == "mask-place" and "P0" in names for kind, names in kinds)
    cohort = load_folder(flat(tmp_path / "b", masks[:2], order=(2, 1, 0)), labels="msd", **SMALL)
    (told,) = (one for one in cohort.cautions if one.kind == "no-orientation")
    assert told.grave
    assert "do not seem to lie along the third axis" in told.words


def test_whole_numbers_around_zero_are_no_z_score() -> None:
    values = head(0)[..., 0]
    moved = rescale(values - np.int16(np.median(values[values > 0])))
    assert [one.kind for one in moved.findings] == ["offset"]
    np.testing.assert_array_equal(moved.values, values)
