"""Distribution over patients: how far apart the victims of each setting's worst attack lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leakaudit.records import Kind
from leakaudit.report.figures.rows import DotRow, RowScale, dot_row, row_scale
from leakaudit.report.figures.series import MASK_DICE, SSIM
from leakaudit.report.pictures.selection import middle, most_recovered_first, score
from leakaudit.report.text.words import kind_words
from leakaudit.report.views.settings import CellView, MatrixView, SettingView


@dataclass(frozen=True)
class PatientRow:
    """One setting under its worst attack.

    Args:
        setting: the setting.
        cell: the cell of its worst attack.
        count: how many patients.
        highest: score of the patient of whom most was recovered.
        patient: who that is; empty if nobody is to be named.
        median: of the patients, the upper of the middle two if their number is even.
        lowest: score of the patient of whom least was recovered.
        floor: the blind floor, a mean over the same patients.
        drawn: the dots.
    """

    setting: SettingView
    cell: CellView
    count: int
    highest: float
    patient: str
    median: float
    lowest: float
    floor: float
    drawn: DotRow


@dataclass(frozen=True)
class PatientGroup:
    """The settings of one table of the matrix."""

    title: str
    rows: tuple[PatientRow, ...]


@dataclass(frozen=True)
class PatientsView:
    """One kind of victims and of what is recovered."""

    anchor: str
    title: str
    unit: str
    scale: RowScale
    groups: tuple[PatientGroup, ...]


def patients(matrices: Sequence[MatrixView], *, named: bool = True) -> tuple[PatientsView, ...]:
    """A table for each kind of victims and of what is recovered, a row for each setting.

    Args:
        matrices: the settings.
        named: whether the patient of whom most was recovered is named.
    """
    kinds = sorted({one.kind for each in matrices for s in each.settings for one in s.exposures})
    views: list[PatientsView] = []
    for kind in kinds:
        met = [(matrix.title, _worst(matrix, kind)) for matrix in matrices]
        scores = [_scores(cell) for _, found in met for _, cell in found]
        if not scores:
            continue
        shared = row_scale([value for some in scores for value in some])
        views.append(
            PatientsView(
                f"patients-{len(views)}",
                _whom(kind),
                MASK_DICE if kind[1] == "masks" else SSIM,
                shared,
                tuple(
                    PatientGroup(title, tuple(_row(*one, shared, named) for one in found))
                    for title, found in met
                    if found
                ),
            )
        )
    return tuple(views)


def _worst(matrix: MatrixView, kind: Kind) -> list[tuple[SettingView, CellView]]:
    """Settings with the cell of their worst attack of a kind, if it has patients."""
    return [
        (setting, exposure.cell)
        for setting in matrix.settings
        for exposure in setting.exposures
        if exposure.kind == kind and exposure.cell is not None and _scores(exposure.cell)
    ]


def _row(setting: SettingView, cell: CellView, shared: RowScale, named: bool) -> PatientRow:
    figures = cell.rebuilt
    assert figures is not None  # _worst leaves out what has none
    ranked = most_recovered_first(figures.patients)
    median = score(middle(ranked))
    at = next(number for number, one in enumerate(figures.patients) if one is ranked[0])
    drawn = dot_row(_scores(cell), at, median, figures.blind_floor, shared)
    return PatientRow(
        setting=setting,
        cell=cell,
        count=len(ranked),
        highest=score(ranked[0]),
        patient=ranked[0].patient if named else "",
        median=median,
        lowest=score(ranked[-1]),
        floor=figures.blind_floor,
        drawn=drawn,
    )


def _scores(cell: CellView) -> list[float]:
    """One score for each patient, images or masks."""
    figures = cell.rebuilt
    return figures.by_patient()[0] if figures is not None else []


def _whom(kind: Kind) -> str:
    words = kind_words(*kind) if kind[0] else "patients"
    return f"{words[:1].upper()}{words[1:]}"
