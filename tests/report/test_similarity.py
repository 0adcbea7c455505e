"""The simulated patient of the first screen: every SSIM that is stated is measured again."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from leakaudit.measure.fidelity import ssim_brain
from leakaudit.report.pictures.similarity import Example, example


def pixels(one: Example) -> np.ndarray:
    data = base64.b64decode(one.source.removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(data)), dtype=np.float64) / 255


@pytest.mark.parametrize("wanted", [0.05, 0.17, 0.297, 0.4, 0.6, 0.8, 0.912, 0.95, 1.0])
def test_the_stated_ssim_is_that_of_the_picture(wanted: float) -> None:
    found, original = example(wanted), pixels(example(1.0))
    again = ssim_brain(pixels(found)[None, None], original[None, None], original[None] > 0)
    assert found.ssim == pytest.approx(float(again[0]), abs=6e-5)
    assert found.ssim == pytest.approx(wanted, abs=0.005)


def test_a_figure_out_of_reach_is_shown_by_the_nearest_picture_and_says_so() -> None:
    assert example(-0.2) == example(0.0)
    assert example(0.0).ssim < 0.01
    assert example(1.0).ssim == 1.0
