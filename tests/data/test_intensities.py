from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from leakaudit.data import area_mean, brain_mask, centre_crop, normalise
from leakaudit.data.preparing.intensities import Rescaled, rescale
from leakaudit.errors import DataError
from leakaudit.measure.fidelity import ssim_brain


def scan(scale: float = 1000.0) -> NDArray[np.float64]:
    """A smooth stripped head, values from near 0 up to ``scale``, background 0."""
    rng = np.random.default_rng(0)
    x, y, _ = np.indices((40, 36, 6))
    brain = ((x - 20) / 16) ** 2 + ((y - 18) / 14) ** 2 < 1
    texture = ndimage.gaussian_filter(rng.normal(size=brain.shape), 1.5)
    texture = (texture - texture[brain].min()) / np.ptp(texture[brain])
    return np.where(brain, np.ceil(texture * scale) + 1, 0)


def kinds(rescaled: Rescaled) -> set[tuple[str, bool]]:
    return {(one.kind, one.grave) for one in rescaled.findings}


def z_scored(values: NDArray[Any], background: float | None = 0.0) -> NDArray[np.float32]:
    inside = values[values != 0]
    z = (values - inside.mean()) / inside.std()
    fill = -inside.mean() / inside.std() if background is None else background
    return np.where(values != 0, z, fill).astype(np.float32)


def alike(rescaled: Rescaled, values: NDArray[Any], tolerance: float = 1e-5) -> bool:
    """Whether two are equal but for their scale."""
    ours, theirs = rescaled.values / rescaled.values.max(), values / values.max()
    return bool(np.abs(ours - theirs).max() < tolerance)


def test_a_usual_scan_is_left_as_it_is() -> None:
    values = scan().astype(np.int16)
    rescaled = rescale(values)
    assert rescaled.values is values
    assert (rescaled.findings, rescaled.clipped) == ((), 0.0)


@pytest.mark.parametrize(
    "change",
    [lambda v: v - 1024, lambda v: v + 1024, lambda v: v / v.max() * 2 - 1,
     lambda v: (v - v.mean()) / v.std(), lambda v: (v - 32768).astype(np.int16)],
    ids=["negative", "positive", "minus one to one", "z-scored with its air", "unsigned"],
)  # fmt: skip
def test_a_moved_background_is_moved_back(change: Any) -> None:
    rescaled = rescale(change(scan()))
    assert alike(rescaled, scan())
    assert (rescaled.values == 0).sum() == (scan() == 0).sum()
    assert kinds(rescaled) == {("offset", False)}


def test_a_z_score_is_undone_up_to_where_its_scale_began() -> None:
    rescaled = rescale(z_scored(scan()))
    assert kinds(rescaled) == {("z-scored", False)}
    assert ((rescaled.values > 0) == (scan() > 0)).all()
    # The brain's least voxel becomes 2 % of the top: no more than that is lost.
    assert alike(rescaled, scan(), 0.025)


def test_a_z_score_that_was_cut_off_is_grave() -> None:
    z = z_scored(scan())
    low, high = np.percentile(z[z != 0], [1, 99])
    assert kinds(rescale(np.where(z != 0, np.clip(z, low, high), 0))) == {("z-scored", True)}
    assert kinds(rescale(2 * z)) == {("z-scored", True)}


@pytest.mark.parametrize("background", [None, -5.0, -9.0])
def test_a_z_score_on_a_constant_is_grave(background: float | None) -> None:
    assert ("z-scored", True) in kinds(rescale(z_scored(scan(), background)))


def test_a_few_voxels_below_the_background_are_cut_off_and_counted() -> None:
    values = scan()
    inside = np.flatnonzero(values)
    values.flat[inside[: len(inside) // 250]] = -3
    rescaled = rescale(values)
    assert rescaled.clipped == pytest.approx((len(inside) // 250) / len(inside))
    assert kinds(rescaled) == {("clipped", False)}
    assert rescaled.values.min() == 0
    values.flat[inside[: len(inside) // 20]] = -3
    assert kinds(rescale(values)) == {("clipped", True)}


def test_integers_that_wrapped_once_are_put_back() -> None:
    whole = scan(45_000)
    rescaled = rescale(whole.astype(np.int64).astype(np.int16))
    np.testing.assert_array_equal(rescaled.values, whole)
    assert kinds(rescaled) == {("wrapped", False)}
    # Written on as floats, the same.
    floats = whole.astype(np.int64).astype(np.int16).astype(np.float32)
    np.testing.assert_array_equal(rescale(floats).values, whole)


@pytest.mark.parametrize(("top", "kind"), [(1500, np.uint8), (1500, np.int8), (200_000, np.int16),
                                           (200_000, np.uint16)])  # fmt: skip
def test_integers_that_wrapped_often_are_refused(top: float, kind: Any) -> None:
    with pytest.raises(DataError, match="ran over their range of"):
        rescale(scan(top).astype(np.int64).astype(kind))


def test_a_type_that_is_used_to_its_end_has_not_wrapped() -> None:
    for top, kind in ((254, np.uint8), (65_534, np.uint16), (32_766, np.int16)):
        assert rescale(scan(top).astype(kind)).findings == ()


@pytest.mark.parametrize("level", [0.02, 0.2])
def test_air_with_noise_is_grave(level: float) -> None:
    noise = np.abs(np.random.default_rng(1).normal(0, 1000 * level, scan().shape))
    assert ("not-stripped", True) in kinds(rescale(scan() + noise))
    assert ("not-stripped", True) in kinds(rescale(scan() + noise - 500))
    assert rescale(scan() + noise - 500).values.min() == 0


def test_a_brain_far_above_its_background_is_grave() -> None:
    values = scan()
    assert kinds(rescale(np.where(values != 0, values + 3000, 0))) == {("background-gap", True)}


def test_constants_and_masks_are_no_images() -> None:
    with pytest.raises(DataError, match="one value everywhere, 7"):
        rescale(np.full((8, 8, 8), 7.0))
    with pytest.raises(DataError, match="one value throughout, 1: a mask"):
        rescale((scan() > 0).astype(np.float32))
    assert ("few-values", True) in kinds(rescale(np.ceil(scan() / 300)))
    assert not rescale(np.zeros((8, 8, 8))).values.any()


@pytest.mark.slow
def test_a_z_score_of_real_patients_keeps_ssim(real_patients: Path) -> None:
    """Copies degraded alike score alike, before and after; cut-off tails would move them."""
    originals: list[NDArray[np.float32]] = []
    recovered: list[NDArray[np.float32]] = []
    for file in sorted((real_patients / "imagesTr").iterdir())[::3]:
        stored = np.asarray(nib.load(file).dataobj, np.float64)
        for is_original, into in ((True, originals), (False, recovered)):
            channels = []
            for m in range(4):
                channel = stored[..., m] if is_original else z_scored(stored[..., m])
                rescaled = rescale(channel)
                assert not any(one.grave for one in rescaled.findings)
                channels.append(normalise(area_mean(centre_crop(rescaled.values.T, 192), 2))[8])
            into.append(np.stack(channels))
    scores = []
    for images in (np.stack(originals), np.stack(recovered)):
        brain = brain_mask(images)
        noise = np.random.default_rng(0).normal(0, 0.1, images.shape)
        for seen in (
            ndimage.gaussian_filter(images, (0, 0, 2, 2)),
            np.clip(images + noise, 0, 1),
            np.roll(images, 1, axis=0),
        ):
            scores.append(ssim_brain(np.asarray(seen, np.float32), images, brain).mean())
    np.testing.assert_allclose(scores[3:], scores[:3], atol=0.005)


@pytest.mark.parametrize("noise", [1e-6, -1e-6])
def test_traces_around_a_brain_are_background(noise: float) -> None:
    values = scan().astype(np.float64)
    traces = np.abs(np.random.default_rng(0).normal(0, abs(noise), values.shape)) * np.sign(noise)
    rescaled = rescale(np.where(values == 0, traces * values.max(), values))
    assert [(one.kind, one.grave) for one in rescaled.findings] == [("traces", False)]
    np.testing.assert_array_equal(rescaled.values, values)
