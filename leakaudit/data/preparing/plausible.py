"""Whether a mask can be a tumour of this brain, and whether modalities are images of their own.

Neither can be known, but some files are certainly not what their names say: a mask of the brain, a
mask beside it, a copy of one modality under the name of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from leakaudit.data.findings import Finding

# In brats_slabs, slabs around tumours, a mask covers up to 0.38 of the brain and nothing outside.
_MOST_OF_A_BRAIN: Final = 0.6
_OUTSIDE: Final = 0.1
# In brats_slabs two modalities correlate by up to 0.97; a copy with fewer bits by more than 0.9999.
_ONE_IMAGE: Final = 0.999


def check_mask(mask: NDArray[Any], images: NDArray[np.float32]) -> list[Finding]:
    """Check that a mask marks a tumour of this brain.

    Args:
        mask: in our classes, ``(slices, y, x)``.
        images: prepared, ``(slices, modalities, y, x)``, background 0.
    """
    marked, brain = mask > 0, (images > 0).any(axis=1)
    total = int(marked.sum())
    if not total:
        return []
    outside = (marked & ~brain).sum() / total
    covered = (marked & brain).sum() / max(1, brain.sum())
    if outside <= _OUTSIDE and covered <= _MOST_OF_A_BRAIN:
        return []
    what = (
        f"marks voxels outside the brain (more than {_OUTSIDE:.0%} of its own)"
        if outside > _OUTSIDE
        else f"marks more than {_MOST_OF_A_BRAIN:.0%} of the brain"
    )
    return [
        Finding(
            kind="mask-place",
            grave=True,
            words=f"A mask {what}: it may be one of the brain or of tissue, be inverted, lie "
            "elsewhere or be somebody else's. Look at a picture.",
        )
    ]


def check_copies(images: Sequence[NDArray[np.float32]], modalities: Sequence[str]) -> list[Finding]:
    """Check that no two modalities are one image under two names.

    Args:
        images: prepared modalities, each ``(slices, y, x)``, background 0.
        modalities: their names.
    """
    findings = []
    for (one, name), (other, other_name) in combinations(zip(images, modalities, strict=True), 2):
        both = (one > 0) & (other > 0)
        if _correlation(one[both], other[both]) > _ONE_IMAGE:
            findings.append(
                Finding(
                    kind="equal-modalities",
                    grave=True,
                    words=f"{name} and {other_name} are the same image: one of the files is a copy "
                    "under the other's name, and who holds the one holds the other.",
                )
            )
    return findings


def _correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Correlate the values at the same voxels; 0 if either is one value everywhere."""
    if one.size < 2:
        return 0.0
    first, second = one - one.mean(dtype=np.float64), other - other.mean(dtype=np.float64)
    length = float(np.sqrt((first @ first) * (second @ second)))
    return float(first @ second) / length if length else 0.0
