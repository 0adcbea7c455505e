"""Heads with and without their skull on a background of 0."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from leakaudit.data import phantom_cohort
from leakaudit.data.preparing.skulls import check_skull


@cache
def stripped() -> NDArray[np.float32]:
    return phantom_cohort(patients=2, slices=4, size=96, seed=3).patients[1].images


def with_skull(images: NDArray[np.float32], pixels: int) -> NDArray[np.float32]:
    """The same with a scalp around a skull of so many pixels."""
    head = images.copy()
    for one in head:
        brain = ndimage.binary_fill_holes(one.any(axis=0))
        skull = ndimage.binary_dilation(brain, iterations=pixels)
        scalp = ndimage.binary_dilation(skull, iterations=pixels) & ~skull
        one[:, skull & ~brain] = 0.05
        one[:, scalp] = np.random.default_rng(0).uniform(0.4, 0.8, int(scalp.sum()))
    return head


@pytest.mark.parametrize("pixels", [2, 3, 4])
def test_a_skull_is_found(pixels: int) -> None:
    (found,) = check_skull(with_skull(stripped(), pixels))
    assert (found.kind, found.grave) == ("not-stripped", True)


def test_a_stripped_brain_has_none() -> None:
    assert check_skull(stripped()) == []
    assert check_skull(stripped()[..., ::4, ::4]) == []
    assert check_skull(np.zeros_like(stripped())) == []
    # A bright rim in one modality is grey matter.
    mixed = with_skull(stripped(), 3)
    mixed[:, 0] = stripped()[:, 0]
    assert check_skull(mixed) == []
