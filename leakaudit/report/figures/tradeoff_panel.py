"""Geometry of Dice (x) against SSIM (y), drawn by ``figures.html.j2``; y runs downwards."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from leakaudit.records import Interval
from leakaudit.report.figures.labels import (
    LINE_HEIGHT,
    Box,
    Label,
    place,
    text_width,
    wrapped,
)
from leakaudit.report.figures.markers import shape
from leakaudit.report.figures.scales import Canvas, Tick, Values, marks, scale, ticks

_LABEL_WIDTH = 176.0
_ROUNDS = 3
_KEY_INDENT = 24.0  # as in figures.html.j2


@dataclass(frozen=True)
class Point:
    """One setting to be drawn.

    Args:
        name: in words, on one line.
        label: what stands beside it, up to three lines; empty for a marker alone.
        dice: mean Dice.
        ssim: SSIM inside the brain of the worst attack.
        shape: index of the defense's marker, -1 for the undefended system.
        pareto: whether it is on the Pareto front.
        sweep: the points of one name are joined by a line; empty for none.
        rank: where it stands on that line.
        dot: whether it is mere background: no marker, no interval, no name.
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
        label: None if its name stands below the plot or nowhere.
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
    label: Label | None
    number: int = 0


@dataclass(frozen=True)
class DrawnFloor:
    """A reference line in figure units."""

    floor: Floor
    y: float
    label: Label | None


@dataclass(frozen=True)
class KeyEntry:
    """A name that found no place in the plot, below it beside its marker; both bear a number."""

    number: int
    lines: tuple[str, ...]
    path: str
    y: float
    pareto: bool


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
    """Lay out one plot. A name that finds no place in it stands in a key below.

    Args:
        points: what is drawn, and what is background.
        floors: the reference lines; named where there is room.
        shared: the scales.
        canvas: what it is drawn on.
    """
    to_x = scale(shared.x, canvas.plot.left, canvas.plot.right)
    to_y = scale(shared.y, canvas.plot.bottom, canvas.plot.top)
    every = [_drawn(point, to_x, to_y) for point in points]
    bare = [one for one in every if not one.point.dot]
    dots = [one for one in every if one.point.dot]
    markers = [_around(one, canvas.marker) for one in bare]
    front = _front(every)
    sweeps = _sweeps(bare)
    bars = [bar for one in bare if one.point.label for bar in _bars(one)] + _stairs(front)
    bars += [box for sweep in sweeps for box in _beads(sweep)]
    bars += [_around(one, 3.0) for one in dots]
    drawn_floors, taken = _named_floors(floors, to_y, canvas.plot, markers, bars)
    plot = canvas.plot
    lines = [Box(plot.left, one.y - 1, plot.right, one.y + 1) for one in drawn_floors]
    placed = _labelled(bare, canvas, [*markers, *taken], [*bars, *lines])
    homeless = [number for number, one in enumerate(placed) if one.point.label and not one.label]
    for count, number in enumerate(homeless, 1):
        placed[number] = replace(placed[number], number=count)
    key, height = _key([placed[number] for number in homeless], canvas)
    return Panel(
        width=canvas.width,
        height=height,
        plot=canvas.plot,
        zoom=canvas.marker / 9.0,
        x_ticks=marks(shared.x, to_x, canvas.every),
        y_ticks=marks(shared.y, to_y, canvas.every),
        dots=tuple(dots),
        points=tuple(placed),
        floors=tuple(drawn_floors),
        front="".join((f"M{front[0][0]},{front[0][1]}", *(f"V{y}H{x}" for x, y in front[1:])))
        if front
        else "",
        sweeps=tuple("M" + "L".join(f"{x},{y}" for x, y in sweep) for sweep in sweeps),
        key=key,
    )


def _drawn(
    point: Point, to_x: Callable[[float], float], to_y: Callable[[float], float]
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
        label=None,
    )


def _labelled(
    bare: Sequence[DrawnPoint], canvas: Canvas, hard: Sequence[Box], soft: Sequence[Box]
) -> list[DrawnPoint]:
    """The points with their names where there is room.

    Names are placed one by one and then, twice, each anew among all others: the first ones had not
    known where the last ones would stand.
    """
    placed = list(bare)
    for _ in range(_ROUNDS):
        for number, one in enumerate(placed):
            names = [other.label.box for other in placed if other is not one and other.label]
            label = _placed(one, bare, canvas, [*hard, *names], soft)
            placed[number] = replace(one, label=label)
    return placed


def _placed(
    one: DrawnPoint,
    others: Sequence[DrawnPoint],
    canvas: Canvas,
    hard: Sequence[Box],
    soft: Sequence[Box],
) -> Label | None:
    if not one.point.label:
        return None
    lines = [part for line in one.point.label for part in wrapped(line, _LABEL_WIDTH)]
    return place(
        tuple(lines),
        one.x,
        one.y,
        frame=canvas.frame,
        gap=canvas.marker,
        reach=canvas.reach,
        hard=hard,
        soft=soft,
        rivals=[(other.x, other.y) for other in others if (other.x, other.y) != (one.x, one.y)],
    )


def _key(homeless: Sequence[DrawnPoint], canvas: Canvas) -> tuple[tuple[KeyEntry, ...], float]:
    """Names below the plot, and how high the figure is with them."""
    key: list[KeyEntry] = []
    below = canvas.height
    for one in homeless:
        lines = _key_lines(one.point.name, canvas.width - canvas.plot.left - _KEY_INDENT)
        key.append(KeyEntry(one.number, lines, one.path, below + 8, one.point.pareto))
        below += 20 + LINE_HEIGHT * (len(lines) - 1)
    return tuple(key), below


def _key_lines(name: str, width: float) -> tuple[str, ...]:
    """A long name broken before a plus sign, so that it fits beside a marker below the plot."""
    lines: list[str] = []
    for part in name.split(" + "):
        longer = f"{lines[-1]} + {part}" if lines else part
        if lines and text_width((longer,)) <= width:
            lines[-1] = longer
        else:
            lines += wrapped(f"+ {part}" if lines else part, width)
    return tuple(lines)


def _around(one: DrawnPoint, reach: float) -> Box:
    return Box(one.x - reach, one.y - reach, one.x + reach, one.y + reach)


def _bars(one: DrawnPoint) -> tuple[Box, Box]:
    return (
        Box(one.left, one.y - 2, one.right, one.y + 2),
        Box(one.x - 2, one.top, one.x + 2, one.bottom),
    )


def _named_floors(
    floors: Sequence[Floor],
    to_y: Callable[[float], float],
    plot: Box,
    markers: Sequence[Box],
    bars: Sequence[Box],
) -> tuple[list[DrawnFloor], list[Box]]:
    """The reference lines with their names on the lines' free stretch, and what the names cover."""
    drawn: list[DrawnFloor] = []
    taken: list[Box] = []
    others = [
        Box(plot.left, to_y(one.value) - 1, plot.right, to_y(one.value) + 1) for one in floors
    ]
    for floor in sorted(floors, key=lambda one: -one.value):
        y = to_y(floor.value)
        width = text_width((floor.label,))
        spots: list[tuple[int, Label]] = []
        for top in (y - LINE_HEIGHT - 3, y + 3):
            for anchor, left in (("start", plot.left + 6), ("end", plot.right - 6 - width)):
                box = Box(left, top, left + width, top + LINE_HEIGHT)
                if (
                    floor.label
                    and box.inside(plot)
                    and not any(box.overlaps(b) for b in (*markers, *taken))
                ):
                    hits = sum(box.overlaps(b) for b in (*bars, *others))
                    x = left if anchor == "start" else left + width
                    baseline = top + 0.78 * LINE_HEIGHT
                    spots.append((hits, Label((floor.label,), x, baseline, anchor, box, False)))
        label = min(spots, key=lambda spot: spot[0])[1] if spots else None
        taken.extend([label.box] if label else [])
        drawn.append(DrawnFloor(floor, y, label))
    return drawn, taken


def _front(points: Sequence[DrawnPoint]) -> list[tuple[float, float]]:
    """The corners of the staircase that bounds what the Pareto points leave undominated."""
    front = sorted((one.x, one.y) for one in points if one.point.pareto)
    return front if len(front) > 1 else []


def _stairs(front: Sequence[tuple[float, float]]) -> list[Box]:
    boxes = []
    for (x, y), (next_x, next_y) in pairwise(front):
        boxes.append(Box(x - 2, min(y, next_y), x + 2, max(y, next_y)))
        boxes.append(Box(x, next_y - 2, next_x, next_y + 2))
    return boxes


def _sweeps(points: Sequence[DrawnPoint]) -> list[list[tuple[float, float]]]:
    """The strengths of one defense in their order, where there are two or more."""
    named: dict[str, list[DrawnPoint]] = {}
    for one in points:
        if one.point.sweep:
            named.setdefault(one.point.sweep, []).append(one)
    ordered = [sorted(of_one, key=lambda one: one.point.rank) for of_one in named.values()]
    return [[(one.x, one.y) for one in of_one] for of_one in ordered if len(of_one) > 1]


def _beads(sweep: Sequence[tuple[float, float]]) -> list[Box]:
    """Small boxes along a line, where names had better not stand."""
    boxes = []
    for (x, y), (next_x, next_y) in pairwise(sweep):
        count = max(1, round(math.hypot(next_x - x, next_y - y) / 8))
        for step in range(1, count):
            at_x, at_y = (a + (b - a) * step / count for a, b in ((x, next_x), (y, next_y)))
            boxes.append(Box(at_x - 1, at_y - 1, at_x + 1, at_y + 1))
    return boxes
