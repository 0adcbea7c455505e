"""Checks of every measure, so that no figure is NaN or mixes up patients."""

from __future__ import annotations

import numpy as np

from leakaudit.errors import CellError
from leakaudit.measure.arrays import AnyBool, AnyFloat


def require_finite(name: str, images: AnyFloat) -> None:
    """Refuse NaN and infinity.

    Raises:
        CellError: a value of the images called ``name`` is not finite.
    """
    if not np.isfinite(images).all():
        raise CellError(f"the {name} has NaN or infinite values; no figure can be given")


def require_pair(reconstruction: AnyFloat, truth: AnyFloat) -> None:
    """Refuse images that cannot be compared voxel by voxel.

    Raises:
        CellError: the shapes differ, or a value is not finite.
    """
    if reconstruction.shape != truth.shape:
        raise CellError(
            f"reconstruction {reconstruction.shape} and truth {truth.shape} differ in shape"
        )
    require_finite("reconstruction", reconstruction)
    require_finite("truth", truth)


def require_brain(images: AnyFloat, brain: AnyBool) -> None:
    """Refuse brain masks that do not fit ``images`` ``(n, m, *s)`` or are empty.

    Raises:
        CellError: the shape of ``brain`` is not ``(n, *s)``, or a patient has no brain voxel.
    """
    if brain.shape != (images.shape[0], *images.shape[2:]):
        raise CellError(f"brain {brain.shape} does not fit images of shape {images.shape}")
    empty = [i for i, inside in enumerate(brain) if not inside.any()]
    if empty:
        raise CellError(f"the brain of the patients at {empty} is empty; choose another slice")
