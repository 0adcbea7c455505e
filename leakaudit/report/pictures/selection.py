"""Selects the pictures of a run: cells with a valid figure, and three patients of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

from leakaudit.records import CellRecord, MaskScore, PatientScore, ReportRecord
from leakaudit.report.text.validity import valid_rebuilt

Scored: TypeAlias = PatientScore | MaskScore
Place = Literal["only", "worst", "median", "best"]
Wanted = Mapping[str, Sequence[tuple[Place, str]]]


def measured_cells(record: ReportRecord) -> tuple[CellRecord, ...]:
    """Cells that have a valid figure of their own; those of a control alone are left out."""
    return tuple(
        cell for cell in record.cells if not cell.control_only and valid_rebuilt(cell) is not None
    )


def scores(cell: CellRecord) -> tuple[Scored, ...]:
    """The patients of a cell with a valid figure, as they stand in the record."""
    figures = valid_rebuilt(cell)
    return figures.patients if figures is not None else ()


def score(one: Scored) -> float:
    """Return the score that ranks a patient: SSIM inside the brain, of masks Dice."""
    return one.dice if isinstance(one, MaskScore) else one.ssim_brain


def most_recovered_first(patients: Sequence[Scored]) -> list[Scored]:
    """Patients from the one recovered most to the one recovered least; equals in their order."""
    return sorted(patients, key=score, reverse=True)


def middle(ranked: Sequence[Scored]) -> Scored:
    """Who of a ranking is the median: of an even number the more recovered of the middle two."""
    return ranked[(len(ranked) - 1) // 2]


def places(cell: CellRecord) -> tuple[tuple[Place, str], ...]:
    """The patient who was recovered most, the one in the middle, and the one recovered least.

    Of an even number the middle is the more recovered of the two; of equals the first in the record
    comes first. Fewer patients than three are shown once each.
    """
    ranked = most_recovered_first(scores(cell))
    if len(ranked) < 2:
        return tuple(("only", one.patient) for one in ranked)
    shown: list[tuple[Place, str]] = [("worst", ranked[0].patient), ("best", ranked[-1].patient)]
    if len(ranked) > 2:
        shown.insert(1, ("median", middle(ranked).patient))
    return tuple(shown)


def strongest_cells(record: ReportRecord) -> tuple[CellRecord, ...]:
    """The strongest attack of each setting and kind of victims, the one that gains most first."""
    gains = {
        case.worst: case.advantage.mean
        for case in record.worst
        if case.worst is not None and case.advantage is not None
    }
    found = [cell for cell in measured_cells(record) if cell.cell in gains]
    return tuple(sorted(found, key=lambda cell: gains[cell.cell], reverse=True))
