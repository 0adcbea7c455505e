"""Pictures of what attacks recovered: drawn once, kept as PNG files beside the report.

A picture is named by the SHA-256 of its file. The index says which stands where; it and the files
hold all that a page needs, so that a report is rendered again without the run and its patients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, final

import numpy as np
from pydantic import Field

from leakaudit.errors import UsageError
from leakaudit.records import CellRecord, Record, ReportRecord
from leakaudit.report.pictures.pixels import (
    Blur,
    Plane,
    as_text_size,
    blur_for,
    difference,
    digest,
    png,
)
from leakaudit.report.pictures.selection import (
    Place,
    Wanted,
    measured_cells,
    places,
    strongest_cells,
)

# Together they keep a report of 500 cells under 25 MB, and what a browser has to open in bounds.
MOST_PICTURES = 2_500
MOST_BYTES = 16_000_000

Level = Literal["blurred", "full"]
Rule = Literal["all", "strongest", "worst patients", "most recovered"]
_Name = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


@final
@dataclass(frozen=True)
class GalleryItem:
    """One modality, or the mask, of one patient in one cell; planes ``(H, W)`` in [0, 1].

    Args:
        modality: its name.
        original: the patient.
        reconstruction: what the attack returned.
        guess: the blind floor's; None if it is not at hand.
    """

    modality: str
    original: Plane
    reconstruction: Plane
    guess: Plane | None = None


Source = Callable[[CellRecord, str], Sequence[GalleryItem]]


class Quad(Record):
    """Names of the pictures of one modality of one patient; no guess if none was at hand."""

    modality: str
    width: int
    height: int
    original: _Name
    reconstruction: _Name
    difference: _Name
    guess: _Name | None

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, in their order."""
        every = (self.original, self.reconstruction, self.difference, self.guess)
        return tuple(name for name in every if name is not None)


class Shown(Record):
    """One patient of a cell."""

    place: Place
    patient: str
    quads: tuple[Quad, ...]


class PictureSet(Record):
    """The patients of one cell."""

    cell: str
    shown: tuple[Shown, ...]


class GalleryIndex(Record):
    """The pictures that are drawn, and those that are not.

    Args:
        level: ``"blurred"`` or ``"full"``, of all pictures.
        sigma: standard deviation of the blur in voxels; None without one.
        step: every so many voxels are kept; None without a blur.
        rule: what was left out to keep the report small.
        sets: by cell, in the record's order.
        left_out: cells that the rule left out.
        missing: cells whose reconstructions were not at hand.
    """

    level: Level
    sigma: float | None = None
    step: int | None = None
    rule: Rule = "all"
    sets: tuple[PictureSet, ...] = ()
    left_out: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def names(self) -> set[str]:
        """The names of all pictures."""
        quads = (quad for one in self.sets for shown in one.shown for quad in shown.quads)
        return {name for quad in quads for name in quad.names}


@final
@dataclass(frozen=True)
class Gallery:
    """The index, and the PNG files by their names."""

    index: GalleryIndex
    pictures: Mapping[str, bytes]


def draw_gallery(
    record: ReportRecord,
    source: Source,
    *,
    most_pictures: int = MOST_PICTURES,
    most_bytes: int = MOST_BYTES,
) -> Gallery:
    """Draw what the record may show at its level of images.

    If that is too much, the strongest attack of each setting is drawn alone; if that still is too
    much, of it the patient who was recovered most; and of these as many as fit, the attacks first
    that gain most over the blind floor.

    Args:
        record: which cells have a valid figure, and the patients' scores.
        source: gives the planes of a cell and patient; nothing if they are not at hand.
        most_pictures: that are drawn.
        most_bytes: that the pictures take in a page.

    Raises:
        UsageError: the record allows no images, or planes are not finite 2D planes of one shape.
    """
    if record.images not in ("blurred", "full"):
        raise UsageError(
            f"expected a record with blurred or full images to draw, got images {record.images!r}"
        )
    level: Level = "blurred" if record.images == "blurred" else "full"
    blur = blur_for(record.data.spatial) if level == "blurred" else None
    cells = {cell.cell: cell for cell in measured_cells(record)}
    drawer = _Drawer(cells, source, blur, most_pictures, most_bytes)
    rule, wanted = _chosen(record, drawer)
    sets = [
        PictureSet(cell=key, shown=tuple(drawer.shown(key, wanted[key])))
        for key in cells
        if key in wanted
    ]
    index = GalleryIndex(
        level=level,
        sigma=blur.sigma if blur else None,
        step=blur.step if blur else None,
        rule=rule,
        sets=tuple(one for one in sets if one.shown),
        left_out=tuple(key for key in cells if key not in wanted),
        missing=tuple(one.cell for one in sets if not one.shown),
    )
    return Gallery(index, {name: drawer.pictures[name] for name in sorted(index.names)})


def _chosen(record: ReportRecord, drawer: _Drawer) -> tuple[Rule, Wanted]:
    """The first rule that leaves no more than may be drawn, and whom it draws."""
    three = {cell.cell: places(cell) for cell in measured_cells(record)}
    strongest = {cell.cell: three[cell.cell] for cell in strongest_cells(record)}
    worst = {key: patients[:1] for key, patients in strongest.items()}
    tiers: tuple[tuple[Rule, Wanted], ...] = (
        ("all", three),
        ("strongest", strongest),
        ("worst patients", worst),
    )
    for rule, wanted in tiers:
        if len(drawer.fitting(wanted)) == len(wanted):
            return rule, wanted
    return "most recovered", {key: worst[key] for key in drawer.fitting(worst)}


class _Drawer:
    """Draws whom it is asked for, each once, and counts what that takes."""

    def __init__(
        self,
        cells: Mapping[str, CellRecord],
        source: Source,
        blur: Blur | None,
        most_pictures: int,
        most_bytes: int,
    ) -> None:
        self.pictures: dict[str, bytes] = {}
        self._cells = cells
        self._source = source
        self._blur = blur
        self._most = most_pictures, most_bytes
        self._quads: dict[tuple[str, str], tuple[Quad, ...]] = {}

    def shown(self, key: str, patients: Sequence[tuple[Place, str]]) -> Iterator[Shown]:
        """These patients of a cell, but for those whose planes are not at hand."""
        for place, patient in patients:
            if quads := self._drawn(key, patient):
                yield Shown(place=place, patient=patient, quads=quads)

    def fitting(self, wanted: Wanted) -> list[str]:
        """The first cells of ``wanted`` whose pictures stay within the limits, in their order."""
        count = size = 0
        found = []
        for key, patients in wanted.items():
            names = [
                name
                for _, patient in patients
                for quad in self._drawn(key, patient)
                for name in quad.names
            ]
            count += len(names)
            size += sum(as_text_size(self.pictures[name]) for name in names)
            if count > self._most[0] or size > self._most[1]:
                break
            found.append(key)
        return found

    def _drawn(self, key: str, patient: str) -> tuple[Quad, ...]:
        if (key, patient) not in self._quads:
            items = self._source(self._cells[key], patient)
            self._quads[key, patient] = tuple(self._quad(item, patient) for item in items)
        return self._quads[key, patient]

    def _quad(self, item: GalleryItem, patient: str) -> Quad:
        _check(item, patient)
        planes = [item.original, item.reconstruction]
        planes += [] if item.guess is None else [item.guess]
        ready = [np.clip(plane, 0.0, 1.0) for plane in planes]
        if self._blur is not None:
            ready = [self._blur(plane) for plane in ready]
        original, reconstruction = ready[:2]
        height, width = original.shape
        return Quad(
            modality=item.modality,
            width=width,
            height=height,
            original=self._named(original),
            reconstruction=self._named(reconstruction),
            difference=self._named(difference(original, reconstruction)),
            guess=self._named(ready[2]) if len(ready) > 2 else None,
        )

    def _named(self, plane: Plane) -> str:
        data = png(plane)
        name = digest(data)
        self.pictures[name] = data
        return name


def _check(item: GalleryItem, patient: str) -> None:
    named: Iterable[tuple[str, Plane | None]] = (
        ("original", item.original),
        ("reconstruction", item.reconstruction),
        ("guess", item.guess),
    )
    for name, plane in named:
        if plane is None:
            continue
        if plane.ndim != 2 or plane.shape != item.original.shape or not np.isfinite(plane).all():
            raise UsageError(
                f"expected finite 2D planes of one shape in the gallery, got a {name} of shape "
                f"{plane.shape} for patient {patient!r}, modality {item.modality!r}"
            )
