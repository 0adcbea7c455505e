"""Geometry of lines over steps that have an order and no distance: cut levels, observed epochs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from leakaudit.records import Interval
from leakaudit.report.figures.labels import LINE_HEIGHT, Box, wrapped
from leakaudit.report.figures.markers import shape
from leakaudit.report.figures.scales import Canvas, Tick, Values, marks, scale, ticks

_STEP_GAP = 4.0


@dataclass(frozen=True)
class Value:
    """The value of a line at a step, and the floor there."""

    score: Interval
    floor: float


@dataclass(frozen=True)
class Series:
    """One line.

    Args:
        name: in words, on one line.
        label: what stands at its end, in up to three lines; nothing if it needs no name.
        values: one for each step; None where there is no figure.
        shape: index of its marker, -1 for the undefended system.
        absent: steps that were never asked for, over which the line goes on; where an attack has no
            valid figure it is broken.
    """

    name: str
    label: tuple[str, ...]
    values: tuple[Value | None, ...]
    shape: int
    absent: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Step:
    """A place on the horizontal axis; its name, in short lines."""

    lines: tuple[str, ...]
    x: float


@dataclass(frozen=True)
class DrawnValue:
    """A value in figure units."""

    x: float
    y: float
    top: float
    bottom: float


@dataclass(frozen=True)
class DrawnSeries:
    """A line in figure units."""

    name: str
    marker: str
    values: tuple[DrawnValue, ...]
    line: str


@dataclass(frozen=True)
class SeriesKey:
    """A name beside its marker, below the plot."""

    lines: tuple[str, ...]
    marker: str
    y: float


@dataclass(frozen=True)
class SeriesPanel:
    """A plot of lines, ready to be drawn; ``crowd`` is its background of other lines."""

    width: float
    height: float
    plot: Box
    zoom: float
    axis: str
    axis_y: float
    steps: tuple[Step, ...]
    y_ticks: tuple[Tick, ...]
    floors: str
    crowd: tuple[str, ...]
    series: tuple[DrawnSeries, ...]
    key: tuple[SeriesKey, ...]


def score_ticks(series: Sequence[Series]) -> Values:
    """The scale of all lines, their intervals and floors: at least 0 to 1."""
    lows = [
        low
        for one in series
        for value in one.values
        if value is not None
        for low in (*value.score.ends, value.floor)
    ]
    return ticks(min([0.0, *lows]), 1.0)


def series_panel(
    series: Sequence[Series],
    steps: Sequence[tuple[str, ...]],
    y_values: Values,
    canvas: Canvas,
    *,
    axis: str = "",
    crowd: Sequence[Series] = (),
) -> SeriesPanel:
    """Lay out lines over steps.

    Args:
        series: the lines, few enough to be told apart.
        steps: the name of each step in short lines.
        y_values: the scale.
        canvas: what it is drawn on.
        axis: name of the horizontal axis.
        crowd: lines of the background.
    """
    plot = Box(canvas.plot.left, canvas.plot.top, canvas.width - 14, canvas.plot.bottom)
    to_y = scale(y_values, plot.bottom, plot.top)
    room = (plot.right - plot.left) / max(len(steps), 1)
    middles = [round(plot.left + room * (number + 0.5), 2) for number in range(len(steps))]
    names = [
        tuple(part for line in lines for part in wrapped(line, room - _STEP_GAP)) for lines in steps
    ]
    spread = min(0.5 * room, canvas.marker * 1.4 * max(len(series) - 1, 0))
    drawn: list[DrawnSeries] = []
    for number, one in enumerate(series):
        aside = spread * (number / (len(series) - 1) - 0.5) if len(series) > 1 else 0.0
        values = tuple(
            _drawn(value, round(x + aside, 2), to_y)
            for x, value in zip(middles, one.values, strict=True)
            if value is not None
        )
        path = _path(one, middles, aside, to_y)
        drawn.append(DrawnSeries(one.name, shape(one.shape), values, path))
    below = plot.bottom + 20 + LINE_HEIGHT * (max(map(len, names), default=1) - 1)
    axis_y = below + (24 if canvas.every == 1 else 16) if axis else below
    named = [
        (one, ", ".join(given.label).replace(", + ", " + "))
        for one, given in zip(drawn, series, strict=True)
        if given.label
    ]
    key, height = _key(named, canvas, axis_y + 6)
    return SeriesPanel(
        width=canvas.width,
        height=height,
        plot=plot,
        zoom=canvas.marker / 9.0,
        axis=axis,
        axis_y=axis_y,
        steps=tuple(Step(lines, x) for lines, x in zip(names, middles, strict=True)),
        y_ticks=marks(y_values, to_y, canvas.every),
        floors=_floors([*series, *crowd], middles, room, to_y),
        crowd=tuple(_path(one, middles, 0.0, to_y) for one in crowd),
        series=tuple(drawn),
        key=key,
    )


def _drawn(value: Value, x: float, to_y: Callable[[float], float]) -> DrawnValue:
    found = value.score.ends
    return DrawnValue(x, to_y(value.score.mean), to_y(max(found)), to_y(min(found)))


def _path(
    series: Series, middles: Sequence[float], aside: float, to_y: Callable[[float], float]
) -> str:
    """The line from step to step, broken where one has no valid figure."""
    path, pen = "", "M"
    for number, (x, value) in enumerate(zip(middles, series.values, strict=True)):
        if value is None:
            pen = pen if number in series.absent else "M"
            continue
        path += f"{pen}{round(x + aside, 2)},{to_y(value.score.mean)}"
        pen = "L"
    return path


def _floors(
    series: Sequence[Series],
    middles: Sequence[float],
    room: float,
    to_y: Callable[[float], float],
) -> str:
    """The floors, each as wide as the steps that it holds for."""
    held: dict[float, set[int]] = {}
    for one in series:
        for number, value in enumerate(one.values):
            if value is not None:
                held.setdefault(round(to_y(value.floor), 1), set()).add(number)
    path = []
    for y, numbers in sorted(held.items()):
        for number in sorted(numbers):
            if number - 1 not in numbers:
                path.append(f"M{round(middles[number] - room / 2, 1)},{y}")
            if number + 1 not in numbers:
                path.append(f"H{round(middles[number] + room / 2, 1)}")
    return "".join(path)


def _key(
    named: Sequence[tuple[DrawnSeries, str]], canvas: Canvas, below: float
) -> tuple[tuple[SeriesKey, ...], float]:
    """Names below the plot, and how high the figure is with them."""
    key: list[SeriesKey] = []
    below += LINE_HEIGHT if named else 0.0
    for one, name in named:
        lines = wrapped(name, canvas.width - canvas.plot.left - 24.0)
        key.append(SeriesKey(lines, one.marker, below))
        below += 20 + LINE_HEIGHT * (len(lines) - 1)
    return tuple(key), below
