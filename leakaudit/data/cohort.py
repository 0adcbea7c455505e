"""Patients as the audit sees them, and the fixed preparation of their images.

The order of the preparation is centre crop, area mean, scaling; scaling is part of every figure
(the same noise scores another SSIM under another scaling), so it lives in this one module.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from leakaudit.errors import ConfigError, DataError
from leakaudit.records import Caution

CLASSES: Final = ("background", "edema", "non-enhancing", "enhancing")
"""Names of the mask values 0 to 3."""

BRAIN_THRESHOLD: Final = 0.02
"""A voxel is brain where any prepared modality exceeds this."""


# Empty as long as this process has held no patient; a fork of it then holds none either.
_seen: Final[set[str]] = set()


def patients_were_here() -> bool:
    """Whether this process ever held a patient: then no plug-in's code may run in a fork of it."""
    return bool(_seen)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Patient:
    """One patient, prepared.

    Args:
        id: identifier, unique within a cohort.
        images: float32 ``(slices, modalities, *spatial)`` in [0, 1], background exactly 0. In 3D
            there is one "slice" and ``spatial`` is (depth, height, width).
        masks: int8 ``(slices, *spatial)``: 0 background, 1 edema, 2 non-enhancing, 3 enhancing.
    """

    id: str
    images: NDArray[np.float32]
    masks: NDArray[np.int8]
    _verified: str = field(default="", init=False, repr=False)

    @classmethod
    def verified(
        cls, *, id: str, images: NDArray[np.float32], masks: NDArray[np.int8], digest: str
    ) -> Patient:
        """A patient whose arrays were checked when they were prepared, and compared just now.

        Args:
            id: see the class.
            images: see the class.
            masks: see the class.
            digest: of the arrays, as of `digest_of`; neither they nor it are looked at again.
        """
        patient = cls(id=id, images=images, masks=masks)
        object.__setattr__(patient, "_verified", digest)
        return patient

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the arrays, as of `digest_of`."""
        return self._verified or digest_of(self.images, self.masks)

    def __post_init__(self) -> None:
        """Remember that this process has held a patient."""
        _seen.add("a patient")

    @cached_property
    def tumour_slices(self) -> tuple[int, ...]:
        """Indices of the slices with any tumour, ascending."""
        bears = (self.masks > 0).reshape(len(self.masks), -1).any(axis=1)
        return tuple(int(i) for i in np.flatnonzero(bears))

    @property
    def middle(self) -> int:
        """Index of the middle tumour-bearing slice; of the middle slice if none bears tumour."""
        tumour = self.tumour_slices
        return tumour[len(tumour) // 2] if tumour else len(self.masks) // 2

    @property
    def beside_middle(self) -> int | None:
        """Index of the slice nearest to the middle one; None if there is no other.

        Tumour-bearing where another slice is.
        """
        count, tumour = len(self.masks), self.tumour_slices
        near = [index for index in tumour if index != self.middle] or [
            index for index in range(count) if index != self.middle
        ]
        return min(near, key=lambda index: abs(index - self.middle), default=None)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Cohort:
    """Patients of one source with the same modalities and the same spatial shape.

    Args:
        name: ``"phantom"`` or the folder's name.
        modalities: names in channel order.
        patients: the patients, at least one.
        simulated: whether they are phantoms.
        cut_off: largest share, over patients and modalities, of the nonzero voxels that lie
            outside the centre crop, 0 to 1.
        clipped: per modality, the largest share over patients of the brain's voxels that rescaling
            set to 0; empty if nothing was rescaled.
        cautions: what a reader must know about the data.
        labels: which values of the masks were taken for what, and why; empty for phantoms.
        excluded: identifiers that the user left out.
        together: identifiers that are one person, at least two each; nobody is in two.

    Raises:
        DataError: no patient, an identifier twice, arrays of the wrong type or of unequal shape,
            values that are not finite or lie outside [0, 1], mask values outside 0 to 3.
    """

    name: str
    modalities: tuple[str, ...]
    patients: tuple[Patient, ...]
    simulated: bool
    cut_off: float = 0.0
    clipped: tuple[float, ...] = ()
    cautions: tuple[Caution, ...] = ()
    labels: str = ""
    excluded: tuple[str, ...] = ()
    together: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no later stage could make sense of."""
        if not self.patients:
            raise DataError(f"cohort {self.name!r} holds no patient, expected at least one")
        if not self.modalities or len(set(self.modalities)) != len(self.modalities):
            raise DataError(f"modalities must be named once each, got {self.modalities}")
        seen: set[str] = set()
        for patient in self.patients:
            if patient.id in seen:
                raise DataError("this identifier occurs twice in the cohort", patient=patient.id)
            seen.add(patient.id)
            _check(patient, len(self.modalities), self.spatial)

    @property
    def spatial(self) -> tuple[int, ...]:
        """Extents: (height, width) or (depth, height, width)."""
        return tuple(self.patients[0].masks.shape[1:])

    @property
    def ids(self) -> tuple[str, ...]:
        """Identifiers in the order of ``patients``."""
        return tuple(patient.id for patient in self.patients)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over identifiers, modalities, shapes, images and masks; not the name."""
        digest = hashlib.sha256()
        for name in self.modalities:
            digest.update(b"modality\0" + name.encode() + b"\0")
        for patient in self.patients:
            digest.update(b"patient\0" + patient.id.encode(errors="surrogateescape") + b"\0")
            digest.update(patient.digest.encode())
        return digest.hexdigest()

    def select(self, ids: Iterable[str]) -> tuple[Patient, ...]:
        """The patients with these identifiers, in the order asked for.

        Raises:
            DataError: an identifier that is not in the cohort.
        """
        by_id = {patient.id: patient for patient in self.patients}
        wanted = tuple(ids)
        for identifier in wanted:
            if identifier not in by_id:
                raise DataError(
                    f"no such patient in cohort {self.name!r} of {len(by_id)} patients",
                    patient=identifier,
                )
        return tuple(by_id[identifier] for identifier in wanted)


def digest_of(images: NDArray[np.float32], masks: NDArray[np.int8]) -> str:
    """SHA-256 (hex) over the shapes and values of one patient's arrays.

    Args:
        images: see `Patient`.
        masks: see `Patient`.
    """
    digest = hashlib.sha256()
    # Little-endian on every host, so that one cohort has one fingerprint.
    for array, kind in ((images, "<f4"), (masks, "|i1")):
        digest.update(repr(array.shape).encode() + b"\0")
        digest.update(np.ascontiguousarray(array, dtype=kind).data)
    return digest.hexdigest()


def check_geometry(size: int, crop: int | None) -> tuple[int, int]:
    """The crop in voxels and the whole-number factor of the area mean.

    Args:
        size: output extent in pixels, a positive multiple of 16 (four halvings in the network).
        crop: extent of the centre crop in voxels; None for ``2 * size``.

    Raises:
        ConfigError: a size or crop that breaks these rules.
    """
    if size <= 0 or size % 16:
        raise ConfigError(f"size must be a positive multiple of 16, got {size}")
    crop = 2 * size if crop is None else crop
    if crop <= 0 or crop % size:
        raise ConfigError(f"crop must be a whole multiple of size {size}, got {crop}")
    return crop, crop // size


def centre_crop(volume: NDArray[Any], extent: int) -> NDArray[Any]:
    """Crop the last two axes centrally to ``extent`` voxels, padding centrally with 0 if smaller.

    Args:
        volume: array ``(..., height, width)``.
        extent: wanted extent of both axes, in voxels.

    Returns:
        Array ``(..., extent, extent)``.
    """
    for axis in (volume.ndim - 2, volume.ndim - 1):
        have = volume.shape[axis]
        if have >= extent:
            start = (have - extent) // 2
            window = [slice(None)] * volume.ndim
            window[axis] = slice(start, start + extent)
            volume = volume[tuple(window)]
        else:
            before = (extent - have) // 2
            pads = [(0, 0)] * volume.ndim
            pads[axis] = (before, extent - have - before)
            volume = np.pad(volume, pads)
    return volume


def area_mean(volume: NDArray[Any], factor: int) -> NDArray[np.float64]:
    """Mean over blocks of ``factor x factor`` pixels of the last two axes.

    Args:
        volume: array ``(..., height, width)``, both divisible by ``factor``.
        factor: edge of a block in voxels.

    Returns:
        float64 array ``(..., height // factor, width // factor)``.
    """
    *lead, height, width = volume.shape
    blocks = volume.reshape(*lead, height // factor, factor, width // factor, factor)
    # float64: a sum of large float32 values must not overflow or depend on the block's order.
    return np.asarray(blocks.mean(axis=(-3, -1), dtype=np.float64))


def thin_masks(masks: NDArray[Any], factor: int) -> NDArray[Any]:
    """Every ``factor``-th voxel of the last two axes: a class has no mean."""
    return masks[..., ::factor, ::factor]


def normalise(volume: NDArray[Any]) -> NDArray[np.float32]:
    """Divide by the 99.5th percentile of the nonzero voxels and clip to [0, 1].

    Nothing is subtracted, so the background stays exactly 0. Meant for the whole volume of one
    patient and one modality, after the area mean.

    Args:
        volume: intensities of any shape.

    Returns:
        float32 array of the same shape in [0, 1]; zeros if the volume is all zero.

    Raises:
        DataError: the percentile is not a positive number.
    """
    inside = volume[volume != 0]
    if not inside.size:
        return np.zeros(volume.shape, np.float32)
    top = float(np.percentile(inside.astype(np.float64), 99.5))
    if not (np.isfinite(top) and top > 0):
        raise DataError(f"the 99.5th percentile of the nonzero voxels must be > 0, got {top:g}")
    scaled = np.clip(volume.astype(np.float64) / top, 0.0, 1.0)
    return np.asarray(scaled, dtype=np.float32)


def brain_mask(images: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where any modality exceeds `BRAIN_THRESHOLD`.

    Args:
        images: ``(slices, modalities, *spatial)`` in [0, 1].

    Returns:
        bool ``(slices, *spatial)``.
    """
    return np.asarray((images > BRAIN_THRESHOLD).any(axis=1))


def _check(patient: Patient, modalities: int, spatial: tuple[int, ...]) -> None:
    """Raise a DataError that names the patient unless its arrays are as documented."""

    def refuse(message: str) -> DataError:
        return DataError(message, patient=patient.id)

    images, masks = patient.images, patient.masks
    if images.dtype != np.float32 or masks.dtype != np.int8:
        raise refuse(f"expected float32 images and int8 masks, got {images.dtype}, {masks.dtype}")
    if masks.ndim not in (3, 4) or not masks.size:
        raise refuse(f"expected masks (slices, *spatial) in 2D or 3D, got shape {masks.shape}")
    if masks.shape[1:] != spatial:
        raise refuse(f"expected spatial shape {spatial} as in the cohort, got {masks.shape[1:]}")
    expected = (len(masks), modalities, *spatial)
    if images.shape != expected:
        raise refuse(f"expected images of shape {expected}, got {images.shape}")
    if patient._verified:
        return
    if not np.isfinite(images).all():
        raise refuse("images hold NaN or infinite values, expected finite ones")
    low, high = float(images.min()), float(images.max())
    if low < 0 or high > 1:
        raise refuse(f"expected images in [0, 1], got [{low:g}, {high:g}]")
    if masks.min() < 0 or masks.max() >= len(CLASSES):
        raise refuse(f"expected mask values 0 to 3, got {sorted(set(masks.ravel().tolist()))}")
