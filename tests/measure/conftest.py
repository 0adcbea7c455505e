from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Images = NDArray[np.float32]
MakeBrains = Callable[..., Images]


def textured_brains(
    n: int, *, modalities: int = 2, spatial: tuple[int, ...] = (48, 48), seed: int = 0
) -> Images:
    """Ellipsoids of differing outline, each filled with a texture of its own, in [0.25, 0.95]."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, s) for s in spatial), indexing="ij"))
    images = np.zeros((n, modalities, *spatial), dtype=np.float32)
    for image in images:
        radii = rng.uniform(0.4, 0.75, len(spatial)).reshape(-1, *(1,) * len(spatial))
        inside = ((grid / radii) ** 2).sum(axis=0) < 1
        for modality in image:
            texture = gaussian_filter(rng.standard_normal(spatial), 2.0)
            low, high = texture.min(), texture.max()
            modality[inside] = (0.25 + 0.7 * (texture - low) / (high - low))[inside]
    return images


@pytest.fixture
def make_brains() -> MakeBrains:
    return textured_brains
