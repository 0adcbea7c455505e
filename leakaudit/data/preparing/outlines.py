"""Whether the modalities of a patient show one brain, by their outlines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from leakaudit.data.findings import Finding
from leakaudit.data.nifti_files.geometry import binned, explained

# Share of an outline that lies within a pixel of the other modalities' outline. In brats_slabs it
# is at least 0.98 (0.68 where a FLAIR covers two thirds of the brain); another patient's is at
# most 0.73.
_COINCIDES: Final = 0.85
_WITHIN: Final = 0.01  # share of a brain outside the others' that still counts as inside
_COVERS: Final = 0.85
_SAME_STRUCTURE: Final = 0.4  # variance that another modality explains; of another patient's 0.37
_PLANE: Final = np.zeros((3, 3, 3), bool)
_PLANE[1] = ndimage.generate_binary_structure(2, 1)


def check_outlines(
    images: Sequence[NDArray[np.float32]], modalities: Sequence[str]
) -> list[Finding]:
    """Check that the outlines of all modalities show one brain.

    Args:
        images: prepared modalities, each ``(slices, y, x)``, background 0.
        modalities: their names.
    """
    if len(images) < 2:
        return []
    brains = [one > 0 for one in images]
    if all((one != brains[0]).sum() <= _WITHIN * brains[0].sum() for one in brains):
        return []
    brains = [_filled(one) for one in brains]
    findings = []
    for place, (name, brain) in enumerate(zip(modalities, brains, strict=True)):
        others = [one for other, one in enumerate(brains) if other != place]
        usual = np.sum(others, axis=0) * 2 > len(others)
        if not usual.any() or _coincidence(brain, usual) >= _COINCIDES:
            continue
        outside = (brain & ~usual).sum() / brain.sum()
        covered = (brain & usual).sum() / usual.sum()
        if outside <= _WITHIN and covered < _COVERS and _same_structure(images, place):
            findings.append(
                Finding(
                    kind="partly-covered",
                    grave=False,
                    words=f"{name} shows a part of the brain alone.",
                )
            )
        else:
            findings.append(_foreign(name, among=len(images)))
    return findings


def _foreign(name: str, among: int) -> Finding:
    which = f"{name} shows" if among > 2 else "Two modalities show"
    return Finding(
        kind="foreign-modality",
        grave=True,
        words=f"{which} another outline of the brain than the patient's other files: it may be "
        "somebody else's, or not be registered. Look at a picture.",
    )


def _filled(brain: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.stack([ndimage.binary_fill_holes(one) for one in brain])


def _outline(brain: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(brain & ~ndimage.binary_erosion(brain, _PLANE))


def _coincidence(brain: NDArray[np.bool_], usual: NDArray[np.bool_]) -> float:
    """Share of a brain's outline that lies within a pixel of another outline."""
    outline = _outline(brain)
    near = ndimage.binary_dilation(_outline(usual), _PLANE)
    return float((outline & near).sum() / outline.sum())


def _same_structure(images: Sequence[NDArray[Any]], place: int) -> bool:
    """Whether some other modality explains this one as those of one patient do."""
    one = images[place]
    for other, values in enumerate(images):
        both = (one > 0) & (values > 0)
        if other != place and explained(one[both], binned(values[both])) >= _SAME_STRUCTURE:
            return True
    return False
