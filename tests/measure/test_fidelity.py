from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage.metrics import peak_signal_noise_ratio

from leakaudit.data.cohort import brain_mask
from leakaudit.errors import CellError
from leakaudit.measure._checks import require_brain, require_finite, require_pair
from leakaudit.measure.fidelity import (
    mae,
    ncc,
    psnr,
    ssim_brain,
    ssim_image,
    ssim_map,
    ssim_modalities,
    ssim_region,
)

MakeBrains = Callable[..., NDArray[np.float32]]
EXTENTS = [(48, 40), (16, 18, 20)]


def reference_map(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
    """Wang et al. 2004, equations 14 to 16 and 13, written from the paper."""
    a, b = a.astype(np.float64), b.astype(np.float64)

    def local(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(gaussian_filter(values, 1.5, truncate=3.5, mode="reflect"))

    mean_a, mean_b = local(a), local(b)
    variance_a = local(a**2) - mean_a**2
    variance_b = local(b**2) - mean_b**2
    covariance = local(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    structure = (2 * covariance + c2) / (variance_a + variance_b + c2)
    return luminance * structure


@pytest.fixture(params=EXTENTS, ids=["2d", "3d"])
def pair(
    request: pytest.FixtureRequest, make_brains: MakeBrains
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    truth = make_brains(3, spatial=request.param)
    noise = np.random.default_rng(1).normal(0, 0.1, truth.shape)
    return np.clip(truth + noise, 0, 1).astype(np.float32), truth


def test_the_modalities_by_themselves_have_the_mean_that_they_have_together(pair: Any) -> None:
    reconstruction, truth = pair
    mixed = np.concatenate([truth[:, :1], reconstruction[:, 1:]], axis=1)
    brain = brain_mask(truth)
    found = ssim_modalities(mixed, truth, brain)
    assert found.shape == truth.shape[:2]
    assert found[:, 0] == pytest.approx(1)
    assert (found[:, 1:] < 0.95).all()
    assert found.mean(axis=1) == pytest.approx(ssim_brain(mixed, truth, brain))


def test_ssim_map_equals_the_paper(pair: Any) -> None:
    reconstruction, truth = pair
    found = ssim_map(reconstruction, truth)
    assert found.dtype == np.float64
    for i, j in np.ndindex(truth.shape[:2]):
        expected = reference_map(reconstruction[i, j], truth[i, j])
        np.testing.assert_allclose(found[i, j], expected, rtol=1e-6, atol=1e-9)


def test_ssim_brain_averages_the_full_map_over_the_brain_then_over_modalities(pair: Any) -> None:
    reconstruction, truth = pair
    brain = brain_mask(truth)
    expected = [
        np.mean([reference_map(reconstruction[i, j], truth[i, j])[brain[i]].mean() for j in (0, 1)])
        for i in range(3)
    ]
    np.testing.assert_allclose(ssim_brain(reconstruction, truth, brain), expected, rtol=1e-7)


def test_ssim_image_leaves_out_the_border_as_scikit_image_does(pair: Any) -> None:
    reconstruction, truth = pair
    inner = (slice(5, -5),) * (truth.ndim - 2)
    expected = [
        np.mean([reference_map(reconstruction[i, j], truth[i, j])[inner].mean() for j in (0, 1)])
        for i in range(3)
    ]
    np.testing.assert_allclose(ssim_image(reconstruction, truth), expected, rtol=1e-7)


def test_the_original_scores_perfectly(pair: Any) -> None:
    _, truth = pair
    brain = brain_mask(truth)
    np.testing.assert_allclose(ssim_brain(truth, truth, brain), 1)
    np.testing.assert_allclose(ssim_image(truth, truth), 1)
    np.testing.assert_allclose(ncc(truth, truth, brain), 1)
    assert np.array_equal(mae(truth, truth, brain), np.zeros(3))
    assert np.array_equal(psnr(truth, truth), np.full(3, np.inf))


def test_an_all_black_image_scores_high_over_the_image_and_low_inside_the_brain(
    make_brains: MakeBrains,
) -> None:
    truth = make_brains(3, spatial=(96, 96))
    black = np.zeros_like(truth)
    assert (ssim_image(black, truth) > 0.4).all()
    assert (ssim_brain(black, truth, brain_mask(truth)) < 0.1).all()


def test_more_noise_scores_lower_everywhere(make_brains: MakeBrains) -> None:
    truth = make_brains(3)
    brain = brain_mask(truth)
    noise = np.random.default_rng(1).normal(0, 1, truth.shape)
    little, much = (np.clip(truth + s * noise, 0, 1).astype(np.float32) for s in (0.02, 0.2))
    assert (ssim_brain(little, truth, brain) > ssim_brain(much, truth, brain)).all()
    assert (psnr(little, truth) > psnr(much, truth)).all()
    assert (mae(little, truth, brain) < mae(much, truth, brain)).all()
    assert (ncc(little, truth, brain) > ncc(much, truth, brain)).all()


def test_psnr_equals_scikit_image_and_is_infinite_for_the_copy_alone(pair: Any) -> None:
    reconstruction, truth = pair
    reconstruction = reconstruction.copy()
    reconstruction[1] = truth[1]
    found = psnr(reconstruction, truth)
    for i in (0, 2):
        expected = peak_signal_noise_ratio(
            truth[i].astype(np.float64), reconstruction[i].astype(np.float64), data_range=1.0
        )
        assert found[i] == pytest.approx(expected)
    assert found[1] == np.inf


def test_mae_and_ncc_do_not_look_outside_the_brain(make_brains: MakeBrains) -> None:
    truth = make_brains(2)
    brain = brain_mask(truth)
    outside = np.where(brain[:, None], truth, np.float32(0.9))
    assert np.array_equal(mae(outside, truth, brain), np.zeros(2))
    np.testing.assert_allclose(ncc(outside, truth, brain), 1)
    brighter = np.where(brain[:, None], truth + np.float32(0.04), np.float32(0.9))
    np.testing.assert_allclose(mae(brighter, truth, brain), 0.04, rtol=1e-5)


def test_ssim_of_a_region_is_the_map_over_it_and_none_where_there_is_none(pair: Any) -> None:
    reconstruction, truth = pair
    region = brain_mask(truth)
    region[:, : truth.shape[2] // 2] = False
    region[1] = False
    found = ssim_region(reconstruction, truth, region)
    assert found[1] is None
    maps = ssim_map(reconstruction, truth)
    for index in (0, 2):
        expected = np.mean([maps[index, j][region[index]].mean() for j in (0, 1)])
        assert found[index] == pytest.approx(expected)
    whole = ssim_region(reconstruction, truth, brain_mask(truth))
    np.testing.assert_allclose(
        np.array(whole, float), ssim_brain(reconstruction, truth, brain_mask(truth))
    )


def test_ncc_equals_numpy_and_ignores_brightness_and_contrast(pair: Any) -> None:
    reconstruction, truth = pair
    brain = brain_mask(truth)
    expected = [
        np.mean(
            [
                np.corrcoef(reconstruction[i, j][brain[i]], truth[i, j][brain[i]])[0, 1]
                for j in (0, 1)
            ]
        )
        for i in range(3)
    ]
    np.testing.assert_allclose(ncc(reconstruction, truth, brain), expected, rtol=1e-5)
    dimmed = (0.3 * reconstruction + 0.2).astype(np.float32)
    np.testing.assert_allclose(ncc(dimmed, truth, brain), expected, rtol=1e-4)
    np.testing.assert_allclose(ncc(1 - truth, truth, brain), -1, rtol=1e-5)


def test_a_modality_without_variance_counts_zero_in_ncc(make_brains: MakeBrains) -> None:
    truth = make_brains(2)
    half = truth.copy()
    half[:, 1] = 0.3
    brain = brain_mask(truth)
    np.testing.assert_allclose(ncc(half, truth, brain), 0.5, rtol=1e-6)
    # A constant that float32 arithmetic blurred is a constant still, whatever it correlates with.
    half[:, 1] += 3e-7 * truth[:, 1]
    assert half[:, 1].std() > 0
    np.testing.assert_allclose(ncc(half, truth, brain), 0.5, rtol=1e-6)


def test_each_victim_is_scored_on_its_own(pair: Any) -> None:
    reconstruction, truth = pair
    brain = brain_mask(truth)
    together = ssim_brain(reconstruction, truth, brain)
    rows = [slice(i, i + 1) for i in range(3)]
    alone = [ssim_brain(reconstruction[row], truth[row], brain[row]) for row in rows]
    np.testing.assert_array_equal(together, np.concatenate(alone))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["reconstruction", "truth"])
@pytest.mark.parametrize("measure", [ssim_brain, ssim_image, psnr, mae, ncc, ssim_map])
def test_refuses_values_that_are_not_finite(
    make_brains: MakeBrains, measure: Any, where: str, bad: float
) -> None:
    images = {"reconstruction": make_brains(2), "truth": make_brains(2)}
    brain = brain_mask(images["truth"])
    images[where][1, 0, 3, 3] = bad
    arguments = (*images.values(), brain) if measure in (ssim_brain, mae, ncc) else images.values()
    with pytest.raises(CellError, match=rf"the {where} has NaN or infinite"):
        measure(*arguments)


@pytest.mark.parametrize("measure", [ssim_brain, mae, ncc])
def test_refuses_an_empty_brain(make_brains: MakeBrains, measure: Any) -> None:
    truth = make_brains(3)
    brain = brain_mask(truth)
    brain[1] = False
    with pytest.raises(CellError, match=r"\[1\] is empty"):
        measure(truth, truth, brain)


def test_refuses_an_image_smaller_than_the_window(make_brains: MakeBrains) -> None:
    truth = make_brains(1, spatial=(10, 32))
    with pytest.raises(CellError, match=r"at least 11 voxels along each axis, got \(10, 32\)$"):
        ssim_map(truth, truth)
    wide_enough = make_brains(1, spatial=(11, 32))
    assert np.isfinite(ssim_image(wide_enough, wide_enough)).all()


BROADCASTING = """
import numpy as np
from leakaudit.errors import CellError
from leakaudit.measure import fidelity, utility
truth = np.random.default_rng(0).random((3, 2, 16, 16))
brain = np.ones((3, 16, 16), dtype=bool)
masks = np.ones((3, 16, 16), dtype=int)
calls = [
    (measure, wrong, truth)
    for measure in (fidelity.ssim_map, fidelity.ssim_image, fidelity.psnr)
    for wrong in (truth[:1], truth[:, :1])
]
calls += [
    (measure, *wrong)
    for measure in (fidelity.ssim_brain, fidelity.mae, fidelity.ncc)
    for wrong in ((truth[:1], truth, brain), (truth, truth, brain[:1]))
]
calls += [(utility.dice_patient, masks[:1], masks, "p")]
refused = 0
for measure, *arguments in calls:
    try:
        measure(*arguments)
    except CellError:
        refused += 1
print(refused, len(calls))
"""


def test_shapes_that_would_broadcast_are_refused_at_run_time_too() -> None:
    # In a process of its own: under pytest jaxtyping refuses before the measure does.
    done = subprocess.run(
        [sys.executable, "-c", BROADCASTING], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["13", "13"]


def test_images_and_brains_that_do_not_fit_are_told_with_their_shapes() -> None:
    images = np.zeros((2, 1, 4, 4))
    message = "reconstruction (2, 1, 4, 4) and truth (1, 1, 4, 4) differ in shape"
    with pytest.raises(CellError, match=f"^{re.escape(message)}$"):
        require_pair(images, images[:1])
    brain = np.ones((2, 4, 5), dtype=bool)
    message = "brain (2, 4, 5) does not fit images of shape (2, 1, 4, 4)"
    with pytest.raises(CellError, match=f"^{re.escape(message)}$"):
        require_brain(images, brain)
    message = "the brain of the patients at [0, 1] is empty; choose another slice"
    with pytest.raises(CellError, match=f"^{re.escape(message)}$"):
        require_brain(images, np.zeros((2, 4, 4), dtype=bool))
    with pytest.raises(CellError, match=r"^the scan has NaN or infinite values; no figure can be"):
        require_finite("scan", images / np.float64("nan"))
