"""Originals beside reconstructions, as PNG ``data:`` images."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from leakaudit.errors import UsageError
from leakaudit.records import ReportRecord, State


@dataclass(frozen=True)
class GalleryItem:
    """One modality of one victim, as it is and as the attack rebuilt it.

    Args:
        cell: key of the cell.
        patient: the patient's identifier.
        modality: name of the modality.
        original: slice of the patient, ``(H, W)``, in [0, 1].
        reconstruction: what the attack returned, same shape and range.
    """

    cell: str
    patient: str
    modality: str
    original: npt.NDArray[np.floating[Any]]
    reconstruction: npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Picture:
    """A `GalleryItem` ready to be drawn; both images are ``data:`` addresses."""

    patient: str
    modality: str
    original: str
    reconstruction: str
    width: int
    height: int


def pictures_by_cell(
    record: ReportRecord, items: Sequence[GalleryItem]
) -> dict[str, tuple[Picture, ...]]:
    """The pictures to draw, by cell, in the order of the record.

    Nothing is drawn unless the record allows full images, and nothing for a cell that has no
    valid figure: its reconstruction would be read as one.

    Raises:
        UsageError: an item names no cell of the record, or its images are not 2D, not of one
            shape or not finite.
    """
    states = {cell.cell: cell.state for cell in record.cells}
    for item in items:
        if item.cell not in states:
            raise UsageError(
                f"a gallery item names the cell {item.cell!r}, which the record does not have; "
                "pass the items of this run"
            )
    if record.images != "full":
        return {}
    drawn = {
        cell: tuple(_picture(item) for item in items if item.cell == cell)
        for cell, state in states.items()
        if state is State.OK
    }
    return {cell: pictures for cell, pictures in drawn.items() if pictures}


def _picture(item: GalleryItem) -> Picture:
    for name in ("original", "reconstruction"):
        image = getattr(item, name)
        if image.ndim != 2 or image.shape != item.original.shape or not np.isfinite(image).all():
            raise UsageError(
                f"expected finite 2D images of one shape in the gallery, got an {name} of shape "
                f"{image.shape} for patient {item.patient!r}, modality {item.modality!r}"
            )
    height, width = item.original.shape
    return Picture(
        patient=item.patient,
        modality=item.modality,
        original=_png(item.original),
        reconstruction=_png(item.reconstruction),
        width=width,
        height=height,
    )


def _png(image: npt.NDArray[np.floating[Any]]) -> str:
    """A gray 8-bit PNG without metadata, as a ``data:`` address."""
    gray = np.rint(np.clip(image, 0.0, 1.0) * 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(gray).save(stream, format="PNG", optimize=False)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
