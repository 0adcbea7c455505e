from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.affines import apply_affine
from numpy.typing import NDArray

from leakaudit.data.nifti_files.geometry import Grid, explained, settle, turned
from leakaudit.errors import DataError

SHAPE = (12, 10, 6)
LPS = np.array([[-1.0, 0, 0, 40], [0, -1, 0, 50], [0, 0, 1, -7], [0, 0, 0, 1]])
CODES = ["".join(one) for order in itertools.permutations(("LR", "PA", "SI"))
         for one in itertools.product(*order)]  # fmt: skip


def grid(affine: NDArray[Any], shape: tuple[int, ...] = SHAPE) -> Grid:
    return Grid.of(shape, affine, is_oriented=True)


def scan() -> tuple[NDArray[Any], NDArray[Any]]:
    """Intensities and a mask that explains them, on one side."""
    rng = np.random.default_rng(0)
    masks = np.zeros(SHAPE, np.int8)
    masks[1:4, 2:5, 1:4] = 1
    return rng.normal(5, 0.3, SHAPE) + 3.0 * masks, masks


def evidence_of(values: NDArray[Any]) -> Any:
    return lambda masks: explained(values.ravel(), masks.ravel())


@pytest.mark.parametrize("codes", CODES)
def test_every_orientation_comes_back_upright(codes: str) -> None:
    values = np.random.default_rng(1).random(SHAPE)
    moved, place = turned(values, grid(LPS), codes)
    assert place.codes == codes
    back, lps = turned(moved, place, "LPS")
    np.testing.assert_array_equal(back, values)
    np.testing.assert_allclose(lps.affine, LPS)
    # Independent of us: nibabel finds every voxel at the same place of the body.
    here = apply_affine(place.affine, (1, 2, 3))
    there = np.rint(apply_affine(np.linalg.inv(LPS), here)).astype(int)
    assert moved[1, 2, 3] == values[tuple(there)]


@pytest.mark.parametrize("codes", CODES)
def test_a_mask_in_any_orientation_is_laid_on_the_scan(codes: str) -> None:
    values, masks = scan()
    moved, place = turned(masks, grid(LPS), codes)
    settled = settle(moved, place, grid(LPS), evidence_of(values))
    np.testing.assert_array_equal(settled.values, masks)
    assert settled.how == ("agreed" if codes == "LPS" else "turned")
    assert settled.is_sure


@pytest.mark.parametrize("affine", [np.eye(4), np.diag([2.0, 2, 3, 1])])
def test_an_identity_says_nothing(affine: NDArray[Any]) -> None:
    values, masks = scan()
    assert not grid(affine).is_known
    settled = settle(masks, grid(affine), grid(LPS), evidence_of(values))
    assert (settled.how, settled.is_sure) == ("as stored", True)
    np.testing.assert_array_equal(settled.values, masks)
    # Mirrored as an identity would have it, if it were meant: the voxels show that as well.
    settled = settle(masks[::-1, ::-1], grid(affine), grid(LPS), evidence_of(values))
    assert (settled.how, settled.is_sure) == ("turned", True)
    np.testing.assert_array_equal(settled.values, masks)


def test_a_header_that_mirrors_what_lies_right_is_not_followed() -> None:
    values, masks = scan()
    mirrored = LPS @ np.diag([-1.0, 1, 1, 1])
    mirrored[0, 3] = LPS[0, 3] - (SHAPE[0] - 1)
    settled = settle(masks, grid(mirrored), grid(LPS), evidence_of(values))
    assert (settled.how, settled.is_sure) == ("as stored", True)
    np.testing.assert_array_equal(settled.values, masks)


def test_where_voxels_say_nothing_it_is_not_sure() -> None:
    values, _ = scan()
    middle = np.zeros(SHAPE, np.int8)
    middle[5:7, 4:6] = 1  # its own mirror image
    mirrored = LPS @ np.diag([-1.0, 1, 1, 1])
    mirrored[0, 3] = LPS[0, 3] - (SHAPE[0] - 1)
    settled = settle(middle, grid(mirrored), grid(LPS), evidence_of(values))
    assert (settled.how, settled.is_sure) == ("turned", False)
    settled = settle(middle, grid(np.eye(4)), grid(LPS), evidence_of(values))
    assert (settled.how, settled.is_sure) == ("as stored", False)


def moved_by(*millimetres: float) -> NDArray[np.float64]:
    affine = LPS.copy()
    affine[:3, 3] += millimetres
    return affine


def test_a_shifted_origin_is_refused_or_shown_wrong_by_the_voxels() -> None:
    values, masks = scan()
    settled = settle(masks, grid(moved_by(-4, 0, 0)), grid(LPS), evidence_of(values))
    assert (settled.how, settled.is_sure) == ("as stored", True)
    # The header tells the truth and the voxels lie elsewhere.
    elsewhere = np.roll(masks, 4, axis=0)
    with pytest.raises(DataError, match=r"lies elsewhere .* its voxels agree; resample"):
        settle(elsewhere, grid(moved_by(4, 0, 0)), grid(LPS), evidence_of(values))
    with pytest.raises(DataError, match="do not show where"):
        settle(np.zeros_like(masks), grid(moved_by(-4, 0, 0)), grid(LPS), evidence_of(values))


def test_a_rotation_or_another_voxel_size_is_refused_where_voxels_do_not_deny_it() -> None:
    values, _ = scan()
    blank = np.zeros(SHAPE, np.int8)
    turn = np.eye(4)
    turn[:2, :2] = [[0.8, -0.6], [0.6, 0.8]]
    for affine in (turn @ LPS, LPS @ np.diag([1.5, 1.5, 1, 1])):
        with pytest.raises(DataError, match="lies elsewhere"):
            settle(blank, grid(affine), grid(LPS), evidence_of(values))


def test_half_a_voxel_is_rounding_and_one_is_said() -> None:
    values, masks = scan()
    near = settle(masks, grid(moved_by(0.3, 0, 0)), grid(LPS), evidence_of(values))
    assert near.how == "agreed"
    one = settle(np.zeros_like(masks), grid(moved_by(1, 0, 0)), grid(LPS), evidence_of(values))
    assert (one.how, one.is_sure) == ("as stored", False)


def test_another_shape_is_refused() -> None:
    values, masks = scan()
    for affine in (LPS, np.eye(4)):
        with pytest.raises(DataError, match="shape"):
            settle(masks[:-1], grid(affine, (11, 10, 6)), grid(LPS), evidence_of(values))


def test_a_flat_affine_is_refused() -> None:
    flat = LPS.copy()
    flat[:, 1] = flat[:, 0]
    with pytest.raises(DataError, match="on a plane"):
        grid(flat)
    assert not Grid.of(SHAPE, flat, is_oriented=False).is_known


def test_tilt() -> None:
    assert grid(LPS).tilt == 0
    turn = np.eye(4)
    turn[:2, :2] = [[0.8, -0.6], [0.6, 0.8]]
    assert grid(turn @ LPS).tilt == pytest.approx(np.degrees(np.arccos(0.8)))


@settings(max_examples=30)
@given(st.integers(0, 2**16), st.integers(2, 5))
def test_explained_is_the_correlation_ratio(seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    values, labels = rng.random(60), rng.integers(0, classes, 60)
    within = sum(
        ((values[labels == c] - values[labels == c].mean()) ** 2).sum() for c in set(labels)
    )
    total = ((values - values.mean()) ** 2).sum()
    assert explained(values, labels) == pytest.approx(1 - within / total)
    assert explained(np.ones(60), labels) == 0
