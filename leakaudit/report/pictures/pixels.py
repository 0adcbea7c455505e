"""Pixels of a picture: blurred or not, differences, and PNG files."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import gaussian_filter

Plane: TypeAlias = npt.NDArray[np.floating[Any]]

# An absolute difference of this much, of an intensity range of 1, is white; so is a larger one.
DIFFERENCE_WHITE = 0.5
# A blurred picture has at most so many samples along its longer side.
MOST_SAMPLES = 16
# Standard deviation of the blur in sampling steps. At the highest frequency that the samples hold
# the Gaussian leaves exp(-2 (pi 0.75 / 2)^2) = 6 % of the amplitude, so little is folded back.
_SIGMA_IN_STEPS = 0.75


@dataclass(frozen=True)
class Blur:
    """A Gaussian low-pass filter, after which every ``step``-th voxel is kept.

    Args:
        sigma: standard deviation of the Gaussian in voxels.
        step: distance of the voxels that are kept, in each direction.
    """

    sigma: float
    step: int

    def __call__(self, plane: Plane) -> Plane:
        """The plane as the filter and the sampling leave it; beyond its border it goes on."""
        low = gaussian_filter(plane.astype(np.float64), self.sigma, mode="nearest", truncate=4.0)
        kept: Plane = low[self.step // 2 :: self.step, self.step // 2 :: self.step]
        return kept


def blur_for(spatial: Sequence[int]) -> Blur:
    """The blur of planes of these extents: at most `MOST_SAMPLES` samples a side are left.

    It follows the extents, so that a finer image of the same head does not stay legible.
    """
    step = max(2, math.ceil(max(spatial[-2:]) / MOST_SAMPLES))
    return Blur(sigma=_SIGMA_IN_STEPS * step, step=step)


def difference(one: Plane, other: Plane) -> Plane:
    """Absolute difference of two planes in [0, 1], so that `DIFFERENCE_WHITE` or more is 1."""
    return np.clip(np.abs(one - other) / DIFFERENCE_WHITE, 0.0, 1.0)


def png(plane: Plane) -> bytes:
    """A gray 8-bit PNG without metadata; 0 is black and 1 is white."""
    gray = np.rint(np.clip(plane, 0.0, 1.0) * 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(gray).save(stream, format="PNG", optimize=False)
    return stream.getvalue()


def digest(data: bytes) -> str:
    """SHA-256 of a picture in hex, which is its name."""
    return hashlib.sha256(data).hexdigest()


def as_text_size(data: bytes) -> int:
    """Bytes that the picture takes within a page, as base64."""
    return 4 * math.ceil(len(data) / 3)
