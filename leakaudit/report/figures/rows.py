"""Drawings in the rows of a table: patients as dots, modalities as lanes, on one scale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from leakaudit.records import Interval
from leakaudit.report.figures.markers import SHAPES
from leakaudit.report.figures.scales import Tick, Values, marks, scale, ticks

ROW_WIDTH = 220.0
DOTS_HEIGHT = 36.0
LANE = 13.0
_EDGE = 14.0
_SITE_GAP = 6.0


@dataclass(frozen=True)
class RowScale:
    """The axis that all rows of a table share."""

    width: float
    values: Values
    ticks: tuple[Tick, ...]

    @property
    def at(self) -> Callable[[float], float]:
        """Where a value lies."""
        return scale(self.values, _EDGE, self.width - _EDGE)


@dataclass(frozen=True)
class DotRow:
    """One dot for each patient, stacked where they would cover each other."""

    width: float
    height: float
    radius: float
    dots: tuple[tuple[float, float], ...]
    highest: tuple[float, float]
    median: float
    floor: float


@dataclass(frozen=True)
class DrawnLane:
    """One modality: its mean, interval and floor."""

    y: float
    at: float
    low: float
    high: float
    floor: float | None
    path: str


@dataclass(frozen=True)
class LaneRow:
    """One lane for each modality, those of one site together."""

    width: float
    height: float
    lanes: tuple[DrawnLane, ...]


def row_scale(values: Sequence[float]) -> RowScale:
    """A scale from 0, or the lowest value if that is below, to 1."""
    found = ticks(min([0.0, *values]), 1.0)
    at = scale(found, _EDGE, ROW_WIDTH - _EDGE)
    return RowScale(ROW_WIDTH, found, marks(found, at))


def dot_row(
    scores: Sequence[float], highest: int, median: float, floor: float, shared: RowScale
) -> DotRow:
    """Lay out the patients of one setting.

    Args:
        scores: one for each patient.
        highest: which of them is marked.
        median: drawn as a stroke.
        floor: drawn as a dashed line.
        shared: the axis.
    """
    radius = 3.0 if len(scores) <= 15 else 2.2 if len(scores) <= 60 else 1.6
    placed: list[tuple[float, float]] = []
    by_patient: dict[int, tuple[float, float]] = {}
    for number in sorted(range(len(scores)), key=lambda one: (scores[one], one)):
        x = shared.at(scores[number])
        near = {y for other, y in placed if abs(other - x) < 2 * radius}
        y = next((y for y in _heights(radius) if y not in near), DOTS_HEIGHT / 2)
        placed.append((x, y))
        by_patient[number] = (x, y)
    return DotRow(
        width=shared.width,
        height=DOTS_HEIGHT,
        radius=radius,
        dots=tuple(by_patient[number] for number in range(len(scores)) if number != highest),
        highest=by_patient[highest],
        median=shared.at(median),
        floor=shared.at(floor),
    )


def lane_row(lanes: Sequence[tuple[int, Interval, float | None]], shared: RowScale) -> LaneRow:
    """Lay out the modalities of one setting.

    Args:
        lanes: site, score and floor of each modality, those of a site together.
        shared: the axis.
    """
    drawn: list[DrawnLane] = []
    y, before = LANE / 2 + 1, None
    for number, (site, score, floor) in enumerate(lanes):
        y += _SITE_GAP if before not in (None, site) else 0.0
        found = score.ends
        drawn.append(
            DrawnLane(
                y=y,
                at=shared.at(score.mean),
                low=shared.at(min(found)),
                high=shared.at(max(found)),
                floor=None if floor is None else shared.at(floor),
                path=SHAPES[number % len(SHAPES)],
            )
        )
        y, before = y + LANE, site
    return LaneRow(shared.width, round(y - LANE / 2 + 1, 1), tuple(drawn))


def _heights(radius: float) -> list[float]:
    """The middle, then by turns above and below it, as far as the row goes."""
    middle, most = DOTS_HEIGHT / 2, int((DOTS_HEIGHT / 2 - radius) / (2 * radius))
    steps = [0.0, *(sign * 2 * radius * n for n in range(1, most + 1) for sign in (-1, 1))]
    return [round(middle + step, 2) for step in steps]
