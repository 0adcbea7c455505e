"""Whether a head still has its skull although what lies around it is 0."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from leakaudit.data.findings import Finding

_SLICES: Final = 8
# Of the greatest depth: so far is looked, and so far for the skull.
_DEEPEST: Final = 0.6
_NEAR: Final = 0.3
_FEWEST_SHELLS: Final = 6
# Rim and brain over the dark between them. In brats_slabs and phantoms, which are stripped, the
# least of the modalities' is at most 1.03; in phantoms with a drawn scalp and skull at least 7.
_PARTED: Final = 1.5


def check_skull(images: NDArray[np.float32]) -> list[Finding]:
    """A finding if a rim is parted from the brain by something dark in every modality.

    Fat is bright and bone is dark in all of them, which the grey matter of a brain is not.

    Args:
        images: prepared, ``(slices, modalities, y, x)``, background 0.
    """
    heads = np.asarray((images > 0).any(axis=1))
    heights = np.flatnonzero(heads.any(axis=(1, 2)))
    if not heights.size:
        return []
    places = heights[((np.arange(_SLICES) + 0.5) * heights.size / _SLICES).astype(np.intp)]
    filled = [ndimage.binary_fill_holes(np.pad(heads[place], 1)) for place in places]
    depth = np.stack([ndimage.distance_transform_edt(one)[1:-1, 1:-1] for one in filled])
    deepest = float(depth.max())
    shells = np.ceil(depth).astype(np.intp)  # 0 outside, then 1, 2, ... pixels below the outline
    count = int(_DEEPEST * deepest)
    if count < _FEWEST_SHELLS:
        return []  # too small to tell
    voxels = np.bincount(shells.ravel(), minlength=count + 1)[1 : count + 1]
    if not voxels.all():
        return []
    chosen = images[places]
    parted = [
        _parted(
            np.bincount(shells.ravel(), chosen[:, m].ravel(), count + 1)[1 : count + 1] / voxels
        )
        for m in range(images.shape[1])
    ]
    return [_SKULL] if min(parted) >= _PARTED else []


def _parted(profile: NDArray[np.float64]) -> float:
    """How much brighter than the dark between them a rim and what lies deeper are."""
    outer = np.maximum.accumulate(profile)
    deeper = np.maximum.accumulate(profile[::-1])[::-1]
    near = max(1, round(_NEAR / _DEEPEST * profile.size))
    parts = np.minimum(outer, deeper)[:near]
    return float((parts / np.maximum(profile[:near], np.finfo(np.float32).tiny)).max())


_SKULL: Final = Finding(
    kind="not-stripped",
    grave=True,
    words="A rim is parted from the brain by something dark in every modality, as a scalp is by "
    "the skull: figures inside the brain are about the whole head. Strip the skull and set what "
    "lies outside to 0.",
)
