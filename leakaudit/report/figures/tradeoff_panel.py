"""Geometry of Dice (x) against SSIM (y), drawn by ``figures.html.j2``; y runs downwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from leakaudit.records import Interval
from leakaudit.report.figures.labels import (
    BOLD_GLYPH_WIDTH,
    GLYPH_WIDTH,
    LINE_HEIGHT,
    Box,
    text_width,
    wrapped,
)
from leakaudit.report.figures.markers import shape
from leakaudit.report.figures.scales import Canvas, Tick, Values, marks, scale, ticks

_KEY_INDENT = 24.0  # as in figures.html.j2


@dataclass(frozen=True)
class Point:
    """One setting to be drawn.

    Args:
        name: in words, on one line.
        label: its name in the key, in lines; empty for a marker alone.
        dice: mean Dice.
        ssim: SSIM inside the brain of the worst attack.
        shape: index of the defense's marker, -1 for the undefended system.
        pareto: whether it is on the Pareto front.
        sweep: the points of one name are joined by a line; empty for none.
        rank: where it stands on that line.
        dot: whether it is mere background: no marker, no interval, no name.
        advised: whether a reader is pointed to it.
    """

    name: str
    label: tuple[str, ...]
    dice: Interval
    ssim: Interval
    shape: int
    pareto: bool
    sweep: str = ""
    rank: int = 0
    dot: bool = False
    advised: bool = False


@dataclass(frozen=True)
class Floor:
    """A horizontal reference line: ``kind`` is ``"blind"`` or ``"outline"``."""

    kind: str
    label: str
    value: float


@dataclass(frozen=True)
class Axes:
    """The scales that the panels of a report share."""

    x: Values
    y: Values


@dataclass(frozen=True)
class DrawnPoint:
    """A point in figure units.

    Args:
        point: what is drawn.
        x: of the mean.
        y: likewise.
        left: end of the interval of Dice.
        right: its other end.
        top: end of the interval of SSIM.
        bottom: its other end.
        path: outline of the marker.
        number: by which the key names it, 0 if it does not.
    """

    point: Point
    x: float
    y: float
    left: float
    right: float
    top: float
    bottom: float
    path: str
    number: int = 0


@dataclass(frozen=True)
class DrawnFloor:
    """A reference line in figure units; ``key_y`` is where the key names it, if it does."""

    floor: Floor
    y: float
    key_y: float | None


@dataclass(frozen=True)
class KeyEntry:
    """The name of a point, below the plot beside its marker; both bear a number."""

    number: int
    lines: tuple[str, ...]
    path: str
    y: float
    pareto: bool
    undefended: bool


@dataclass(frozen=True)
class Panel:
    """A trade-off plot, ready to be drawn; ``dots`` is its background, ``zoom`` of its markers."""

    width: float
    height: float
    plot: Box
    zoom: float
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    dots: tuple[DrawnPoint, ...]
    points: tuple[DrawnPoint, ...]
    floors: tuple[DrawnFloor, ...]
    front: str
    sweeps: tuple[str, ...]
    key: tuple[KeyEntry, ...]


def axes(points: Sequence[Point], floors: Sequence[Floor]) -> Axes:
    """Scales that hold every point with its intervals, and every floor.

    An interval that leaves the possible range, Dice 0 to 1 or SSIM to 1, is cut off there.
    """
    dice = [min(1.0, max(0.0, value)) for point in points for value in point.dice.ends]
    ssim = [min(1.0, value) for point in points for value in point.ssim.ends]
    low = min([0.0, *ssim, *(floor.value for floor in floors)])
    return Axes(ticks(min(dice, default=0.0), max(dice, default=1.0)), ticks(low, 1.0))


def panel(points: Sequence[Point], floors: Sequence[Floor], shared: Axes, canvas: Canvas) -> Panel:
    """Lay out one plot, and a key below it that names the points by number.

    Args:
        points: what is drawn, and what is background.
        floors: the reference lines.
        shared: the scales.
        canvas: what it is drawn on.
    """
    to_x = scale(shared.x, canvas.plot.left, canvas.plot.right)
    to_y = scale(shared.y, canvas.plot.bottom, canvas.plot.top)
    every = [_drawn(point, to_x, to_y) for point in points]
    named = [one for one in every if one.point.label and not one.point.dot]
    numbers = {id(one.point): number for number, one in enumerate(named, 1)}
    every = [_drawn(one.point, to_x, to_y, numbers.get(id(one.point), 0)) for one in every]
    bare = [one for one in every if not one.point.dot]
    key, height = _key([one for one in bare if one.number], canvas)
    drawn_floors = []
    for floor in sorted(floors, key=lambda one: -one.value):
        drawn_floors.append(
            DrawnFloor(floor, to_y(floor.value), height + 8 if floor.label else None)
        )
        height += 20 if floor.label else 0
    front = _front(every)
    return Panel(
        width=canvas.width,
        height=height,
        plot=canvas.plot,
        zoom=canvas.marker / 9.0,
        x_ticks=marks(shared.x, to_x, canvas.every),
        y_ticks=marks(shared.y, to_y, canvas.every),
        dots=tuple(one for one in every if one.point.dot),
        points=tuple(bare),
        floors=tuple(drawn_floors),
        front="".join((f"M{front[0][0]},{front[0][1]}", *(f"V{y}H{x}" for x, y in front[1:])))
        if front
        else "",
        sweeps=tuple("M" + "L".join(f"{x},{y}" for x, y in sweep) for sweep in _sweeps(bare)),
        key=key,
    )


def _drawn(
    point: Point,
    to_x: Callable[[float], float],
    to_y: Callable[[float], float],
    number: int = 0,
) -> DrawnPoint:
    return DrawnPoint(
        point=point,
        x=to_x(point.dice.mean),
        y=to_y(point.ssim.mean),
        left=to_x(min(point.dice.ends)),
        right=to_x(max(point.dice.ends)),
        top=to_y(max(point.ssim.ends)),
        bottom=to_y(min(point.ssim.ends)),
        path=shape(point.shape),
        number=number,
    )


def _key(named: Sequence[DrawnPoint], canvas: Canvas) -> tuple[tuple[KeyEntry, ...], float]:
    """Names below the plot, and how high the figure is with them."""
    key: list[KeyEntry] = []
    below = canvas.height
    for one in named:
        lines = _key_lines(
            ", ".join(one.point.label).replace(", + ", " + "),
            (canvas.width - canvas.plot.left - _KEY_INDENT) * GLYPH_WIDTH / BOLD_GLYPH_WIDTH,
        )
        key.append(
            KeyEntry(one.number, lines, one.path, below + 8, one.point.pareto, one.point.shape < 0)
        )
        below += 20 + LINE_HEIGHT * (len(lines) - 1)
    return tuple(key), below


def _key_lines(name: str, width: float) -> tuple[str, ...]:
    """A long name broken before a plus sign, so that it fits beside a marker below the plot.

    Names on the front are bold, so all of them are measured as if they were.
    """
    lines: list[str] = []
    for part in name.split(" + "):
        longer = f"{lines[-1]} + {part}" if lines else part
        if lines and text_width((longer,)) <= width:
            lines[-1] = longer
        else:
            lines += wrapped(f"+ {part}" if lines else part, width)
    return tuple(lines)


def _front(points: Sequence[DrawnPoint]) -> list[tuple[float, float]]:
    """The corners of the staircase that bounds what the Pareto points leave undominated."""
    front = sorted((one.x, one.y) for one in points if one.point.pareto)
    return front if len(front) > 1 else []


def _sweeps(points: Sequence[DrawnPoint]) -> list[list[tuple[float, float]]]:
    """The strengths of one defense in their order, where there are two or more."""
    named: dict[str, list[DrawnPoint]] = {}
    for one in points:
        if one.point.sweep:
            named.setdefault(one.point.sweep, []).append(one)
    ordered = [sorted(of_one, key=lambda one: one.point.rank) for of_one in named.values()]
    return [[(one.x, one.y) for one in of_one] for of_one in ordered if len(of_one) > 1]
