"""The input of the gallery's template: pictures as ``data:`` images, beside figures.

Figures are handed on as they stand in the record; only sentences are made here.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

from leakaudit.errors import UsageError
from leakaudit.records import (
    CellRecord,
    Leakage,
    MaskLeakage,
    MaskScore,
    PatientScore,
    ReportRecord,
)
from leakaudit.report.pictures.gallery import Gallery, Quad
from leakaudit.report.pictures.selection import Place, measured_cells, score, scores
from leakaudit.report.text.formatting import spoken
from leakaudit.report.text.validity import valid_rebuilt

PLACE_WORDS: dict[Place, str] = {
    "only": "The only patient",
    "worst": "Recovered most (worst case)",
    "median": "In the middle (median)",
    "best": "Recovered least (best case)",
}
_GUESSES = {
    "zeros": "a black image",
    "mean": "the average of the auxiliary patients",
    "auxiliary mean": "the average of the auxiliary patients",
    "median": "the voxelwise median of the auxiliary patients",
    "medoid": "the most typical of the auxiliary patients, so a picture of a patient as well",
    "no tumour": "no tumour anywhere",
    "average mask": "the average tumour mask of the auxiliary patients",
    "own images alone": "what the same attack makes of the site's own images alone",
    "own features alone": "what the same attack makes of the server's own features alone",
}
_GUESSERS = {
    "own images alone": "somebody who has the site's own images alone",
    "own features alone": "somebody who has the server's own features alone",
}
_ANYBODY = "somebody who saw nothing"


@dataclass(frozen=True)
class PictureView:
    """One picture; without ``source`` it was not at hand."""

    label: str
    alt: str
    source: str


@dataclass(frozen=True)
class QuadView:
    """Original, reconstruction, difference and guess of one modality."""

    modality: str
    width: int
    height: int
    pictures: tuple[PictureView, ...]


@dataclass(frozen=True)
class PatientView:
    """One patient: the place among those attacked, the figures, the pictures."""

    place: str
    patient: str
    score: PatientScore | MaskScore
    quads: tuple[QuadView, ...]


@dataclass(frozen=True)
class SetView:
    """The pictures of one cell.

    ``guess`` says what the blind floor's guess is and ``guesser`` who makes it; ``above`` counts
    the patients of whom the attack recovered more than that. ``top`` is the patient recovered most.
    """

    cell: CellRecord
    anchor: str
    figures: Leakage | MaskLeakage
    masks: bool
    patients: tuple[PatientView, ...]
    top: PatientScore | MaskScore
    above: int
    guess: str
    guesser: str
    guess_missing: bool


@dataclass(frozen=True)
class GalleryView:
    """The gallery of a report; ``kept`` are the samples a side that a blur leaves."""

    level: str
    sigma: float | None
    step: int | None
    kept: tuple[int, ...]
    volumes: bool
    rule: str
    sets: tuple[SetView, ...]
    left_out: tuple[CellRecord, ...]
    missing: tuple[CellRecord, ...]
    invalid: int


def gallery_view(record: ReportRecord, gallery: Gallery | None) -> GalleryView | None:
    """Return the gallery of the page; None if the record allows no images or none were drawn.

    Nothing is shown of a cell that has no valid figure: its reconstruction would be read as one.

    Raises:
        UsageError: the pictures are of another level than the record allows.
    """
    if record.images == "none" or gallery is None:
        return None
    index = gallery.index
    if index.level != record.images:
        raise UsageError(
            f"expected pictures of level {record.images!r}, as the record says, got {index.level!r}"
        )
    cells = {cell.cell: cell for cell in measured_cells(record)}
    anchors = {cell.cell: f"cell-{number}" for number, cell in enumerate(record.cells, 1)}
    data = {
        name: f"data:image/png;base64,{base64.b64encode(picture).decode('ascii')}"
        for name, picture in gallery.pictures.items()
    }
    sets = []
    for one in index.sets:
        cell = cells.get(one.cell)
        figures = valid_rebuilt(cell)
        if cell is None or figures is None:
            continue
        by_patient = {each.patient: each for each in scores(cell)}
        guesses = figures.blind_floor_name.split(", ")  # of folds each may have its own
        sets.append(
            SetView(
                cell=cell,
                anchor=anchors[cell.cell],
                figures=figures,
                masks=cell.recovers == "masks",
                patients=tuple(
                    PatientView(
                        place=PLACE_WORDS[shown.place],
                        patient=shown.patient,
                        score=by_patient[shown.patient],
                        quads=tuple(
                            _quad(quad, cell, shown.patient, cell.result_of(shown.patient)[1], data)
                            for quad in shown.quads
                        ),
                    )
                    for shown in one.shown
                    if shown.patient in by_patient
                ),
                top=max(by_patient.values(), key=score),
                above=sum(score(each) > each.blind_floor for each in by_patient.values()),
                guess=" or ".join(_GUESSES.get(name, name) for name in guesses),
                guesser=next((_GUESSERS[name] for name in guesses if name in _GUESSERS), _ANYBODY),
                guess_missing=any(
                    quad.guess is None for shown in one.shown for quad in shown.quads
                ),
            )
        )
    first = next((quad for one in index.sets for shown in one.shown for quad in shown.quads), None)
    return GalleryView(
        level=index.level,
        sigma=index.sigma,
        step=index.step,
        kept=(first.height, first.width) if first else (),
        volumes=len(record.data.spatial) == 3,
        rule=index.rule,
        sets=tuple(sets),
        left_out=tuple(cells[key] for key in index.left_out if key in cells),
        missing=tuple(cells[key] for key in index.missing if key in cells),
        invalid=sum(cell.cell not in cells for cell in record.cells if not cell.control_only),
    )


def _quad(quad: Quad, cell: CellRecord, patient: str, guess: str, data: dict[str, str]) -> QuadView:
    whose = f"patient {patient}, {quad.modality}"
    attack = spoken(cell.attack_name, start=False)
    drawn = _GUESSES.get(guess, guess)
    return QuadView(
        modality=quad.modality,
        width=quad.width,
        height=quad.height,
        pictures=(
            PictureView("Original", f"Original, {whose}", data[quad.original]),
            PictureView("Recovered", f"What {attack} returned, {whose}", data[quad.reconstruction]),
            PictureView(
                "Difference",
                f"Absolute difference of original and reconstruction, {whose}: the brighter, the "
                "more they differ",
                data[quad.difference],
            ),
            PictureView(
                "Blind guess",
                f"Blind guess for {whose}: {drawn}",
                data[quad.guess] if quad.guess is not None else "",
            ),
        ),
    )
