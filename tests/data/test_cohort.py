from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from leakaudit.data import (
    Cohort,
    Patient,
    area_mean,
    brain_mask,
    centre_crop,
    normalise,
    thin_masks,
)
from leakaudit.data.cohort import check_geometry
from leakaudit.errors import ConfigError, DataError

MODALITIES = ("T1w", "FLAIR")


def patient(name: str = "A", seed: int = 0, spatial: tuple[int, ...] = (16, 16)) -> Patient:
    rng = np.random.default_rng(seed)
    masks = np.zeros((5, *spatial), np.int8)
    masks[[1, 3, 4], ..., 2:4, 2:4] = 1
    images = rng.random((5, 2, *spatial), dtype=np.float32)
    return Patient(id=name, images=images, masks=masks)


def cohort(*patients: Patient, name: str = "test") -> Cohort:
    return Cohort(name=name, modalities=MODALITIES, patients=patients, simulated=True)


def test_middle_is_the_middle_of_the_tumour_bearing_slices() -> None:
    one = patient()
    assert one.tumour_slices == (1, 3, 4)
    assert one.middle == 3
    healthy = dataclasses.replace(one, masks=np.zeros_like(one.masks))
    assert healthy.tumour_slices == ()
    assert healthy.middle == 2


def test_volume_has_one_slice() -> None:
    volume = patient(spatial=(4, 16, 16))
    assert cohort(volume).spatial == (4, 16, 16)


def test_select_keeps_the_order_asked_for() -> None:
    both = cohort(patient("A"), patient("B", 1))
    assert [p.id for p in both.select(["B", "A"])] == ["B", "A"]
    with pytest.raises(DataError, match="no such patient") as caught:
        both.select(["C"])
    assert caught.value.patient == "C"


def test_fingerprint_follows_content_and_not_the_name() -> None:
    base = cohort(patient("A"), patient("B", 1))
    assert base.fingerprint == cohort(patient("A"), patient("B", 1), name="other").fingerprint
    moved = patient("A")
    moved.images[0, 0, 0, 0] += np.float32(1e-6)
    drawn = patient("A")
    drawn.masks[0, 0, 0] = 3
    others = [
        cohort(patient("B", 1), patient("A")),
        cohort(patient("A"), patient("C", 1)),
        cohort(moved, patient("B", 1)),
        cohort(drawn, patient("B", 1)),
        dataclasses.replace(base, modalities=("FLAIR", "T1w")),
    ]
    assert len({base.fingerprint, *(other.fingerprint for other in others)}) == 6


def test_fingerprint_ignores_memory_layout() -> None:
    one = patient()
    turned = dataclasses.replace(one, images=np.asfortranarray(one.images))
    assert cohort(one).fingerprint == cohort(turned).fingerprint


def _changed(where: str, **values: Any) -> Patient:
    base = patient("BAD")
    array = getattr(base, where).copy()
    for kind, value in values.items():
        array[(0,) * array.ndim] = value
        assert kind == "value"
    return dataclasses.replace(base, **{where: array})


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (_changed("images", value=np.nan), "NaN"),
        (_changed("images", value=np.inf), "infinite"),
        (_changed("images", value=1.01), "0, 1"),
        (_changed("images", value=-0.01), "0, 1"),
        (_changed("masks", value=4), "0 to 3"),
        (_changed("masks", value=-1), "0 to 3"),
        (patient("BAD", spatial=(16, 32)), "spatial shape"),
        (dataclasses.replace(patient("BAD"), images=patient().images[:, :1]), "images of shape"),
        (patient("A"), "twice"),
    ],
)
def test_a_bad_patient_is_named(bad: Patient, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        cohort(patient("A"), bad)
    assert caught.value.patient == bad.id


def test_an_empty_cohort_is_refused() -> None:
    with pytest.raises(DataError, match="no patient"):
        cohort()


def test_modalities_are_named_once() -> None:
    with pytest.raises(DataError, match="once"):
        Cohort(name="x", modalities=("T1w", "T1w"), patients=(patient(),), simulated=True)


positive = arrays(
    np.float32,
    array_shapes(min_dims=3, max_dims=3, max_side=8),
    elements=st.floats(0, 1e6, width=32) | st.just(0.0),
)


@given(positive, st.floats(0.5, 1e4))
def test_normalise_ignores_scale_and_keeps_the_background(
    volume: NDArray[np.float32], factor: float
) -> None:
    volume = np.where(volume < 1e-3, np.float32(0), volume)
    scaled = normalise(volume)
    assert scaled.dtype == np.float32
    assert scaled.min() >= 0
    assert scaled.max() <= 1
    assert ((scaled == 0) == (volume == 0)).all()
    np.testing.assert_allclose(normalise(volume.astype(np.float64) * factor), scaled, rtol=1e-5)


def test_normalise_divides_by_the_percentile_of_the_nonzero_voxels() -> None:
    volume = np.zeros((1, 40, 40), np.float32)
    volume[0, 0, :] = volume[0, 1, :] = 1.0
    volume.ravel()[:1000] = np.arange(1, 1001)
    scaled = normalise(volume)
    top = np.percentile(np.arange(1, 1001), 99.5)
    np.testing.assert_allclose(scaled.ravel()[:990], np.arange(1, 991) / top, rtol=1e-6)
    assert scaled.ravel()[999] == 1.0


def test_normalise_of_nothing_and_of_negatives() -> None:
    assert not normalise(np.zeros((2, 4, 4), np.int16)).any()
    with pytest.raises(DataError, match=r"must be > 0"):
        normalise(np.full((2, 4, 4), -3.0))


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 40))
def test_crop_is_central_and_pads_with_zero(height: int, width: int, extent: int) -> None:
    volume = np.arange(1, 2 * height * width + 1).reshape(2, height, width)
    cropped = centre_crop(volume, extent)
    assert cropped.shape == (2, extent, extent)
    assert np.count_nonzero(cropped) == 2 * min(height, extent) * min(width, extent)
    if extent >= height and extent >= width:
        padded_back = centre_crop(centre_crop(cropped, extent), extent)
        assert set(volume.ravel()) <= set(padded_back.ravel())
    if extent % 2 == height % 2 == width % 2:  # a true centre: cropping commutes with turning
        turned = centre_crop(volume[:, ::-1, ::-1], extent)
        assert (turned == cropped[:, ::-1, ::-1]).all()


def test_area_mean_and_thinning_use_the_same_blocks() -> None:
    volume = np.arange(32, dtype=np.int16).reshape(2, 4, 4)
    means = area_mean(volume, 2)
    assert means.shape == (2, 2, 2)
    assert means[0, 0, 0] == (0 + 1 + 4 + 5) / 4
    assert thin_masks(volume, 2)[0].tolist() == [[0, 2], [8, 10]]


@given(st.sampled_from([1, 2, 3, 4]))
def test_area_mean_keeps_the_mean(factor: int) -> None:
    volume = np.random.default_rng(0).random((3, 24, 24))
    np.testing.assert_allclose(area_mean(volume, factor).mean(), volume.mean())


def test_area_mean_of_large_values_does_not_overflow() -> None:
    assert np.isfinite(area_mean(np.full((1, 2, 2), 3e38, np.float32), 2)).all()


def test_brain_is_any_modality_above_the_threshold() -> None:
    images = np.zeros((1, 2, 1, 3), np.float32)
    images[0, 0, 0] = [0.0, 0.02, 0.0]
    images[0, 1, 0] = [0.0, 0.01, 0.021]
    assert brain_mask(images).tolist() == [[[False, False, True]]]


def test_geometry() -> None:
    assert check_geometry(96, None) == (192, 2)
    assert check_geometry(64, 192) == (192, 3)
    for size, crop in ((0, None), (-16, None), (90, None), (96, 191), (96, 0), (96, -96)):
        with pytest.raises(ConfigError):
            check_geometry(size, crop)


def test_the_slice_beside_the_middle_bears_tumour_where_another_does() -> None:
    masks = np.zeros((6, 4, 4), np.int8)
    images = np.zeros((6, 1, 4, 4), np.float32)

    def beside(*tumour: int, slices: int = 6) -> int | None:
        own = masks.copy()
        own[list(tumour), 0, 0] = 1
        return Patient(id="a", images=images[:slices], masks=own[:slices]).beside_middle

    assert beside(0, 1, 5) == 0
    assert beside(2, 3, 5) == 2
    assert beside(4) == 3
    assert beside() == 2
    assert beside(0, slices=1) is None
