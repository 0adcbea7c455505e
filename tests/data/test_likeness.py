from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from leakaudit.data import CANONICAL, Cohort, load_folder, phantom_cohort
from leakaudit.data.preparing.likeness import find_likeness, signature
from leakaudit.data.preparing.outlines import check_outlines

Images = NDArray[np.float32]


@cache
def simulated() -> Cohort:
    """Simulated when a test asks for it: every test process imports this module."""
    return phantom_cohort(patients=6, slices=4, size=96, seed=3)


@cache
def simulated_images() -> list[Images]:
    return [patient.images for patient in simulated().patients]


def noise(like: Images) -> NDArray[np.float64]:
    return np.random.default_rng(0).normal(0, 0.05, like.shape)


def alike(*images: Images) -> Any:
    return find_likeness([signature(one) for one in images])


def as_images(values: NDArray[Any]) -> Images:
    return np.asarray(np.clip(values, 0, 1), np.float32)


COPIES: dict[str, Callable[[Images], Images]] = {
    "equal": lambda one: one,
    "noise": lambda one: as_images(one + noise(one) * (one > 0)),
    "contrast": lambda one: as_images(one**1.3),
    "mirrored": lambda one: one[..., ::-1],
    "back to front": lambda one: one[..., ::-1, :],
    "upside down": lambda one: one[::-1],
    "turned": lambda one: np.rot90(one, axes=(-2, -1)),
    "shifted": lambda one: np.roll(one, (7, -5), (-2, -1)),
    "cropped": lambda one: np.pad(one[..., 10:, :-8], ((0, 0), (0, 0), (0, 10), (8, 0))),
    "half a pixel": lambda one: as_images(ndimage.shift(one, (0, 0, 0.5, 0.5), order=1)),
    "without a slice": lambda one: one[1:],
    "padded": lambda one: np.pad(one, ((2, 3), (0, 0), (0, 0), (0, 0))),
}


def test_different_patients_are_different() -> None:
    assert alike(*simulated_images()) == alike()


@pytest.mark.parametrize("copy", COPIES)
def test_copies_under_another_name_are_found(copy: str) -> None:
    assert alike(*simulated_images(), COPIES[copy](simulated_images()[0])).together == ((0, 6),)


def test_of_two_names_equal_ones_are_found() -> None:
    assert alike(simulated_images()[0], simulated_images()[0]).together == ((0, 1),)
    assert alike(simulated_images()[0], simulated_images()[1]).together == ()


def test_a_modality_of_somebody_else_who_is_there_is_found() -> None:
    mixed = simulated_images()[0].copy()
    mixed[:, 2] = simulated_images()[5][:, 2]
    found = alike(mixed, *simulated_images()[1:])
    assert (found.together, found.foreign) == ((), ((0, 5, 2),))


@pytest.mark.slow
def test_real_patients_are_different(real_patients: Path) -> None:
    cohort = load_folder(real_patients)
    assert cohort.together == ()
    assert [(one.kind, one.patients) for one in cohort.cautions] == [
        ("partly-covered", ("BRATS_902",))
    ]
    # Somebody else's FLAIR, at the same heights of the box, wherever both show brain.
    images = [patient.images.transpose(1, 0, 2, 3) for patient in cohort.patients]
    found = []
    for one, other in zip(images, images[1:] + images[:1], strict=True):
        found += [check_outlines([one[0], one[1], other[2], one[3]], CANONICAL)]
    assert all(any(each.grave for each in findings) for findings in found)


def test_outlines_of_phantoms() -> None:
    for one, other in pairwise(simulated_images()):
        own = list(one.transpose(1, 0, 2, 3))
        assert check_outlines(own, CANONICAL) == []
        assert check_outlines(own[:1], CANONICAL) == []
        foreign = [*own[:3], other[:, 3]]
        (finding,) = check_outlines(foreign, CANONICAL)
        assert (finding.kind, finding.grave) == ("foreign-modality", True)
        assert "T2w" in finding.words


def test_a_part_of_a_brain_is_no_foreign_modality() -> None:
    own = list(simulated_images()[0].transpose(1, 0, 2, 3))
    half = own[3].copy()
    half[:, :40] = 0
    (finding,) = check_outlines([*own[:3], half], CANONICAL)
    assert (finding.kind, finding.grave) == ("partly-covered", False)


def test_a_folder_with_a_copy_has_one_person_less(msd: Path) -> None:
    for kind in ("imagesTr", "labelsTr"):
        shutil.copy(msd / kind / "BRATS_951.nii.gz", msd / kind / "BRATS_953.nii.gz")
    # Another height of the values, and written anew: the file's bytes differ.
    file = msd / "imagesTr" / "BRATS_953.nii.gz"
    image = nib.load(file)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj) * 3, image.affine), file)
    listing = json.loads((msd / "dataset.json").read_text())
    listing["training"].append(
        {"image": "imagesTr/BRATS_953.nii.gz", "label": "labelsTr/BRATS_953.nii.gz"}
    )
    (msd / "dataset.json").write_text(json.dumps(listing))
    cohort = load_folder(msd, size=16, crop=32)
    assert cohort.together == (("BRATS_951", "BRATS_953"),)
    (caution,) = (one for one in cohort.cautions if one.kind == "same-person")
    assert (caution.grave, caution.patients) == (False, ("BRATS_951", "BRATS_953"))
