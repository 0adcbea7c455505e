"""Patients that jobs share: one file without a name, mapped by every process, copied by none.

A cohort of some hundred patients takes gigabytes. Sent to every job by pickle it would be in
memory once per job; here a job receives an open file, and reads what it uses. The file has no name,
so that no image outlives the processes of a run, however they end.
"""

from __future__ import annotations

import math
import mmap
import os
import tempfile
import weakref
from collections.abc import Iterator
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any, final

import numpy as np

from leakaudit.data import Cohort, Patient
from leakaudit.errors import StoreError

_Layout = tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]


@final
class SharedPatients:
    """The patients of a cohort, read-only; pickled as an open file, to a starting process alone."""

    def __init__(
        self, descriptor: int, modalities: tuple[str, ...], fingerprint: str, layout: _Layout
    ) -> None:
        """Map the file; nothing is read yet.

        Args:
            descriptor: of the open file, closed with this object: all images as float32, then all
                masks as int8, patient after patient.
            modalities: names in channel order.
            fingerprint: of the cohort.
            layout: per patient the identifier, the shape of the images and that of the masks.
        """
        self.modalities = modalities
        self.fingerprint = fingerprint
        self.patients = {patient.id: patient for patient in _mapped(descriptor, layout)}
        self._descriptor = descriptor
        self._layout = layout
        weakref.finalize(self, os.close, descriptor)

    def __reduce__(self) -> tuple[Any, ...]:
        """Send the open file, not its content."""
        return _received, (
            DupFd(self._descriptor),
            self.modalities,
            self.fingerprint,
            self._layout,
        )


def share(cohort: Cohort, folder: Path) -> SharedPatients:
    """Write a cohort to a file without a name, on the disk of ``folder``.

    Raises:
        StoreError: there is no room for it.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            for kind in ("images", "masks"):
                for patient in cohort.patients:
                    file.write(np.ascontiguousarray(getattr(patient, kind)).data)
            file.flush()
            descriptor = os.dup(file.fileno())
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written ({error.strerror})") from error
    layout = tuple((p.id, p.images.shape, p.masks.shape) for p in cohort.patients)
    return SharedPatients(descriptor, cohort.modalities, cohort.fingerprint, layout)


def _received(
    sent: Any, modalities: tuple[str, ...], fingerprint: str, layout: _Layout
) -> SharedPatients:
    return SharedPatients(sent.detach(), modalities, fingerprint, layout)


def _mapped(descriptor: int, layout: _Layout) -> Iterator[Patient]:
    content = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    image = 0
    mask = sum(math.prod(shape) for _, shape, _ in layout) * np.dtype(np.float32).itemsize
    for name, image_shape, mask_shape in layout:
        images = np.ndarray(image_shape, np.float32, content, image)
        masks = np.ndarray(mask_shape, np.int8, content, mask)
        image, mask = image + images.nbytes, mask + masks.nbytes
        yield Patient(id=name, images=images, masks=masks)
