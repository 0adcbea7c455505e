"""Lines over any steps, with their table: in one plot, or one for each defense if they are many.

The template draws what a `SeriesView` holds; what the steps are the view's own module says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from leakaudit.records import Interval
from leakaudit.report.figures.scales import FACET, NARROW, WIDE, Values
from leakaudit.report.figures.series_panel import (
    Series,
    SeriesPanel,
    Value,
    score_ticks,
    series_panel,
)
from leakaudit.report.text.formatting import figure
from leakaudit.report.text.pointers import strip_marks
from leakaudit.report.text.protections import Protection, in_lines, in_words
from leakaudit.report.views.settings import CellView
from leakaudit.report.views.sweeps import Sweep, sweeps

SSIM, MASK_DICE = "SSIM inside the brain", "Dice of the recovered mask"
_MOST_LINES = 7
_MOST_IN_FACET = 6


@dataclass(frozen=True)
class StepName:
    """The name of a step, in short lines, and in the fewest letters for a small plot."""

    lines: tuple[str, ...]
    short: tuple[str, ...]

    @property
    def words(self) -> str:
        """The name in one line."""
        return ", ".join(self.lines)


@dataclass(frozen=True)
class StepCell:
    """A line's value at a step: a figure with its floor, or the reason why there is none.

    ``absent`` is a step that the audit never asked of it.
    """

    score: Interval | None
    floor: float | None
    cell: CellView | None
    missing: str
    absent: bool = False


@dataclass(frozen=True)
class Line:
    """One line with the numbers behind it; ``parts`` is what protects the setting."""

    parts: tuple[Protection, ...]
    link: str
    cells: tuple[StepCell, ...]

    @property
    def name(self) -> str:
        """The protection of the setting."""
        return in_words(self.parts)[0]

    @property
    def details(self) -> str:
        """How strong it is."""
        return in_words(self.parts)[1]


@dataclass(frozen=True)
class SeriesFacet:
    """The lines of one sweep before the background of all lines."""

    anchor: str
    name: str
    details: str
    panel: SeriesPanel


@dataclass(frozen=True)
class SeriesView:
    """A figure of lines with its table.

    Args:
        anchor: its identifier.
        title: what is meant.
        unit: what is drawn upwards.
        description: the figure in words.
        steps: their names.
        wide: all lines in one plot; None if they are too many.
        narrow: the same for a narrow screen.
        facets: a plot for every sweep, if they are too many.
        lines: the numbers.
    """

    anchor: str
    title: str
    unit: str
    description: str
    steps: tuple[str, ...]
    wide: SeriesPanel | None
    narrow: SeriesPanel | None
    facets: tuple[SeriesFacet, ...]
    lines: tuple[Line, ...]


def step_cell(view: CellView | None, *, absent: bool) -> StepCell:
    """The figure of a cell at a step, whether of images or of masks.

    Args:
        view: the cell, if there is one.
        absent: whether the audit never asked for one.
    """
    if view is not None and view.leakage is not None:
        return StepCell(view.leakage.ssim_brain, view.leakage.blind_floor, view, "")
    if view is not None and view.masks is not None:
        return StepCell(view.masks.dice, view.masks.blind_floor, view, "")
    missing = "no valid figure" if view is None else view.state.lower()
    return StepCell(None, None, None, "not in this audit" if absent else missing, absent)


def series_view(
    anchor: str,
    title: str,
    unit: str,
    axis: tuple[str, str],
    steps: Sequence[StepName],
    lines: Sequence[Line],
) -> SeriesView:
    """Lines over steps, laid out for a wide and a narrow screen.

    Args:
        anchor: identifier of the figure.
        title: what is meant.
        unit: what is drawn upwards.
        axis: what the steps are, in a few words, and in fewer.
        steps: the name of each.
        lines: what to draw, each with a cell for every step.
    """
    found = sweeps([line.parts for line in lines])
    drawn = [_series(line, number) for number, line in enumerate(lines)]
    scale = score_ticks(drawn)
    wide = narrow = None
    facets: tuple[SeriesFacet, ...] = ()
    if len(lines) <= _MOST_LINES:
        names = [step.lines for step in steps]
        wide = series_panel(drawn, names, scale, WIDE, axis=axis[0])
        narrow = series_panel(drawn, names, scale, NARROW, axis=axis[0])
    else:
        facets = _facets(anchor, found, drawn, steps, axis[1], scale)
    return SeriesView(
        anchor,
        title,
        unit,
        _description(drawn, steps, unit),
        tuple(step.words for step in steps),
        wide,
        narrow,
        facets,
        tuple(lines),
    )


def _series(line: Line, number: int) -> Series:
    values = tuple(
        None if cell.score is None or cell.floor is None else Value(cell.score, cell.floor)
        for cell in line.cells
    )
    label = in_lines(line.parts)
    absent = frozenset(step for step, cell in enumerate(line.cells) if cell.absent)
    name = ", ".join(label).replace(", + ", " + ")
    return Series(name, label, values, number if line.parts else -1, absent)


def _facets(
    anchor: str,
    found: Sequence[Sweep],
    drawn: Sequence[Series],
    steps: Sequence[StepName],
    axis: str,
    scale: Values,
) -> tuple[SeriesFacet, ...]:
    plain = [replace(one, label=("none",)) for one in drawn if one.shape < 0]
    facets: list[SeriesFacet] = []
    for sweep in found:
        for start in range(0, len(sweep.members), _MOST_IN_FACET):
            some = slice(start, start + _MOST_IN_FACET)
            own = [
                replace(drawn[member], label=tuple(filter(None, [label])), shape=number)
                for number, (member, label) in enumerate(
                    zip(sweep.members[some], sweep.labels[some], strict=True)
                )
            ]
            others = [one for number, one in enumerate(drawn) if number not in sweep.members[some]]
            panel = series_panel(
                [*plain, *own],
                [step.short for step in steps],
                scale,
                FACET,
                axis=axis,
                crowd=others,
            )
            facets.append(SeriesFacet(f"{anchor}-{len(facets)}", sweep.name, sweep.details, panel))
    return tuple(facets)


def _description(drawn: Sequence[Series], steps: Sequence[StepName], unit: str) -> str:
    """Every line in words; beyond a dozen how many there are."""
    if len(drawn) > 12:
        return f"{len(drawn)} lines of {unit}; the table has their numbers"
    words = []
    for one in drawn:
        reached = [
            f"{figure(value.score.mean)} at {step.words}"
            for value, step in zip(one.values, steps, strict=True)
            if value is not None
        ]
        words.append(f"{one.name}: {', '.join(reached)}")
    return strip_marks(f"{unit}. {'; '.join(words)}")
