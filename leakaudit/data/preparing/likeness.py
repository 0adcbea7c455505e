"""Finds images that are equal or nearly so under two names, and modalities of other patients.

Scans are compared by small signatures: fine structure inside the brain, at 24 to 47 pixels a side
and eight heights of the brain, modality by modality. Coarse structure is left out since all heads
share it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from leakaudit.data.cohort import BRAIN_THRESHOLD, area_mean
from leakaudit.data.findings import Finding

Signature = NDArray[np.float32]
"""``(modalities, values)``, each modality of length 1."""

_SIDE: Final = 24
_HEIGHTS: Final = 8
_COARSE: Final = 1 / 16  # of the side: standard deviation of the filter that finds coarse structure
# Different patients of brats_slabs and phantoms correlate by at most 0.68 over all modalities;
# copies with noise, a shift of half a pixel, another contrast or slice by 0.9 and more.
_ALIKE: Final = 0.8
_EQUAL: Final = 0.995
# Of what is left to 1, where patients resemble each other more than real ones do.
_NEARER: Final = 0.25


@final
@dataclass(frozen=True, kw_only=True)
class Likeness:
    """The patients of a cohort who are alike.

    Args:
        together: places of patients with equal or nearly equal images, in pairs.
        foreign: pairs whose one modality is equal and whose others are not, with its place.
    """

    together: tuple[tuple[int, int], ...]
    foreign: tuple[tuple[int, int, int], ...]


def signature(images: NDArray[np.float32]) -> Signature:
    """Return the signature by which a patient is recognised.

    Args:
        images: all prepared slices, ``(slices, modalities, y, x)`` in [0, 1], not all zero.
    """
    return np.stack([_of_modality(images[:, m]) for m in range(images.shape[1])])


def _of_modality(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the signature of one modality, so that its file is recognised beside others."""
    brain = (images > BRAIN_THRESHOLD).any(axis=(1, 2))
    heights = np.flatnonzero(brain) if brain.any() else np.arange(len(images))
    places = (np.arange(_HEIGHTS) + 0.5) * (heights[-1] + 1 - heights[0]) / _HEIGHTS
    factor = max(1, images.shape[-1] // _SIDE)
    side = images.shape[-1] // factor * factor
    chosen = images[heights[0] + places.astype(np.intp)]
    small = area_mean(_centred(chosen)[..., :side, :side], factor)
    spread = _COARSE * small.shape[-1]
    fine = small - ndimage.gaussian_filter(small, (0, spread, spread))
    flat = (fine * (small > BRAIN_THRESHOLD)).ravel()
    length = float(np.linalg.norm(flat))
    return np.asarray(flat / (length or 1), np.float32)


def _centred(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Slices moved so that the brain is in the middle, wherever it was cropped or mirrored."""
    brain = (images > BRAIN_THRESHOLD).sum(axis=0)
    if not brain.any():
        return images
    centre = ndimage.center_of_mass(brain)
    shift = [(extent - 1) / 2 - at for extent, at in zip(brain.shape, centre, strict=True)]
    return np.asarray(ndimage.shift(images, (0, *shift), order=1), np.float32)


def find_likeness(signatures: Sequence[Signature]) -> Likeness:
    """Compare everybody with everybody, copies that are mirrored or turned by 90 degrees included.

    Args:
        signatures: of all patients, of one shape.
    """
    count = len(signatures)
    if count < 2:
        return Likeness(together=(), foreign=())
    every = np.stack(signatures)
    side = round((every.shape[2] / _HEIGHTS) ** 0.5)
    first, second = np.triu_indices(count, 1)
    pairs = np.full((every.shape[1], len(first)), -1, np.float32)
    whole = np.full(len(first), -1, np.float32)
    boxes = every.reshape(*every.shape[:2], _HEIGHTS, side, side)
    for turned in _turned(boxes):
        other = np.ascontiguousarray(turned).reshape(every.shape)
        alike = np.stack(
            [
                (every[:, modality] @ other[:, modality].T)[first, second]
                for modality in range(every.shape[1])
            ]
        )
        pairs = np.maximum(pairs, alike)
        whole = np.maximum(whole, alike.mean(axis=0))
    # Much more alike than patients of this cohort usually are, or equal.
    usual = float(np.median(whole))
    same = whole >= min(_EQUAL, max(_ALIKE, 1 - _NEARER * (1 - usual)))
    together = [(int(first[k]), int(second[k])) for k in np.flatnonzero(same)]
    foreign = [
        (int(first[k]), int(second[k]), modality)
        for modality, one in enumerate(pairs)
        for k in np.flatnonzero((one >= _EQUAL) & ~same)
    ]
    return Likeness(together=tuple(together), foreign=tuple(foreign))


def _turned(boxes: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """Signatures as they are, mirrored along each axis, and with rows and columns exchanged."""
    for mirrors in itertools.product((1, -1), repeat=3):
        mirrored = boxes[..., :: mirrors[0], :: mirrors[1], :: mirrors[2]]
        yield mirrored
        yield mirrored.swapaxes(-1, -2)


SAME_IMAGES: Final = Finding(
    kind="same-person",
    grave=False,
    words="Images are equal or nearly so under several names: they count as scans of one person, "
    "who has one part and is attacked once at most.",
)
SAME_NAME: Final = Finding(
    kind="same-person",
    grave=False,
    words="Several scans are of one person by their names: the person has one part and is attacked "
    "once at most.",
)


DOUBTFUL_NAME: Final = Finding(
    kind="same-person",
    grave=True,
    words="Scans are taken for one person by words in their names, such as P1_scan_2, which "
    "leaves fewer than half as many persons as names, and their images are not alike. If they are "
    "of different persons, as where P1 is a hospital, rename them; else accept this.",
)
NOT_BY_NAME: Final = Finding(
    kind="same-person",
    grave=True,
    words="Names such as P1_scan_2 say few persons, too few to split, and images are not alike: "
    "each name counts as a person. If several are scans of one person, name them sub-P1_ses-2.",
)


def foreign_modality(modality: str) -> Finding:
    """Word the finding that patients share one modality and differ in the others.

    Args:
        modality: its name.
    """
    return Finding(
        kind="foreign-modality",
        grave=True,
        words=f"{modality} is the same image under several names although the other modalities "
        "differ: at least one patient has a file of somebody else. They count as one person.",
    )
