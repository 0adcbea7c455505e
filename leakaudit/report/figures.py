"""Geometry of the figures, computed here and drawn by ``figures.html.j2``; y runs downwards."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from leakaudit.records import Interval
from leakaudit.report.formatting import MINUS
from leakaudit.report.labels import LINE_HEIGHT, Box, Label, place, text_width
from leakaudit.report.markers import SHAPES, UNDEFENDED_SHAPE

WIDTH, HEIGHT = 500.0, 400.0
PLOT = Box(48.0, 16.0, 420.0, 346.0)
FRAME = Box(PLOT.left, PLOT.top, WIDTH, PLOT.bottom)  # names may leave the plot to the right
STRIP_WIDTH = 120.0
_MARKER = 9.0
_LABEL_LENGTH = 26
_KEY_INDENT = 24.0  # as in figures.html.j2


@dataclass(frozen=True)
class Point:
    """One setting to be drawn.

    Args:
        label: its name, one to three lines.
        dice: mean Dice.
        ssim: SSIM inside the brain of the worst attack.
        shape: index of the defence's marker, -1 for the undefended system.
        pareto: whether it is on the Pareto front.
        sweep: the points of one name are joined by a line; empty for none.
        rank: where it stands on that line.
    """

    label: tuple[str, ...]
    dice: Interval
    ssim: Interval
    shape: int
    pareto: bool
    sweep: str = ""
    rank: float = 0.0

    @property
    def name(self) -> str:
        """The label in one line."""
        return ", ".join(self.label).replace(", + ", " + ")


@dataclass(frozen=True)
class Floor:
    """A horizontal reference line: ``kind`` is ``"blind"`` or ``"outline"``."""

    kind: str
    label: str
    value: float


@dataclass(frozen=True)
class Tick:
    """A mark on an axis."""

    at: float
    text: str


@dataclass(frozen=True)
class DrawnPoint:
    """A point in figure units; ``label`` is None if its name stands below the plot."""

    point: Point
    x: float
    y: float
    left: float
    right: float
    top: float
    bottom: float
    path: str
    label: Label | None


@dataclass(frozen=True)
class DrawnFloor:
    """A reference line in figure units."""

    floor: Floor
    y: float
    label: Label | None


@dataclass(frozen=True)
class KeyEntry:
    """A name that found no place in the plot, beside its marker below it."""

    lines: tuple[str, ...]
    path: str
    y: float
    pareto: bool


@dataclass(frozen=True)
class Panel:
    """A trade-off plot, ready to be drawn."""

    width: float
    height: float
    plot: Box
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    points: tuple[DrawnPoint, ...]
    floors: tuple[DrawnFloor, ...]
    front: str
    sweeps: tuple[str, ...]
    key: tuple[KeyEntry, ...]


@dataclass(frozen=True)
class Strip:
    """An interval on the scale 0 to 1, for a table row."""

    at: float
    low: float
    high: float
    floor: float


def panels(content: Sequence[tuple[Sequence[Point], Sequence[Floor]]]) -> tuple[Panel, ...]:
    """Lay out Dice (x) against SSIM (y), one panel for each (points, floors), on common scales.

    An interval that leaves the possible range, Dice 0 to 1 or SSIM to 1, is cut off there.
    """
    points = [point for group, _ in content for point in group]
    dice = [min(1.0, max(0.0, value)) for point in points for value in _ends(point.dice)]
    ssim = [min(1.0, value) for point in points for value in _ends(point.ssim)]
    values = [floor.value for _, floors in content for floor in floors]
    x_ticks = _ticks(min(dice, default=0.0), max(dice, default=1.0))
    y_ticks = _ticks(min([0.0, *ssim, *values]), 1.0)
    return tuple(_panel(group, floors, x_ticks, y_ticks) for group, floors in content)


def strip(interval: Interval, floor: float) -> Strip:
    """The place of a mean, its interval and its floor on a scale from 0 to 1, clipped to it."""

    def at(value: float) -> float:
        return min(1.0, max(0.0, value)) * (STRIP_WIDTH - 8) + 4

    low, high = min(_ends(interval)), max(_ends(interval))
    return Strip(at=at(interval.mean), low=at(low), high=at(high), floor=at(floor))


def _panel(
    points: Sequence[Point],
    floors: Sequence[Floor],
    x_ticks: Sequence[tuple[float, str]],
    y_ticks: Sequence[tuple[float, str]],
) -> Panel:
    to_x = _scale(x_ticks, PLOT.left, PLOT.right)
    to_y = _scale(y_ticks, PLOT.bottom, PLOT.top)
    bare = [_drawn(point, to_x, to_y) for point in points]
    markers = [
        Box(one.x - _MARKER, one.y - _MARKER, one.x + _MARKER, one.y + _MARKER) for one in bare
    ]
    front = _front(bare)
    sweeps = _sweeps(bare)
    bars = [bar for one in bare for bar in _bars(one)] + _stairs(front)
    bars += [box for sweep in sweeps for box in _beads(sweep)]
    drawn_floors, taken = _named_floors(floors, to_y, markers, bars)
    lines = [Box(PLOT.left, one.y - 1, PLOT.right, one.y + 1) for one in drawn_floors]
    placed: list[DrawnPoint] = []
    for one in bare:
        label = place(
            tuple(_short(line) for line in one.point.label),
            one.x,
            one.y,
            frame=FRAME,
            hard=[*markers, *taken],
            soft=[*bars, *lines],
            rivals=[(other.x, other.y) for other in bare if other is not one],
        )
        taken.extend([label.box] if label else [])
        placed.append(replace(one, label=label))
    homeless = [one for one in placed if one.label is None]
    key: list[KeyEntry] = []
    below = HEIGHT
    for one in homeless:
        wrapped = _wrapped(one.point.name)
        key.append(KeyEntry(wrapped, one.path, below + 8, one.point.pareto))
        below += 20 + LINE_HEIGHT * (len(wrapped) - 1)
    return Panel(
        width=WIDTH,
        height=below,
        plot=PLOT,
        x_ticks=tuple(Tick(to_x(value), text) for value, text in x_ticks),
        y_ticks=tuple(Tick(to_y(value), text) for value, text in y_ticks),
        points=tuple(placed),
        floors=tuple(drawn_floors),
        front="".join((f"M{front[0][0]},{front[0][1]}", *(f"V{y}H{x}" for x, y in front[1:])))
        if front
        else "",
        sweeps=tuple("M" + "L".join(f"{x},{y}" for x, y in sweep) for sweep in sweeps),
        key=tuple(key),
    )


def _ends(interval: Interval) -> tuple[float, ...]:
    ends = (interval.low, interval.mean, interval.high)
    return tuple(value for value in ends if value is not None)


def _ticks(low: float, high: float) -> tuple[tuple[float, str], ...]:
    """Round values that span ``low`` to ``high`` in four to seven steps, with their text."""
    span = max(high - low, 0.02)
    step = next(
        step
        for step in (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, *(10.0**n for n in range(1, 300)))
        if span / step <= 6.0
    )
    digits = 3 if step < 0.01 else 2 if step < 0.1 else 1
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    if last - first < 2:
        first, last = first - 1, last + 1
    return tuple(
        (number * step, f"{number * step:.{digits}f}".replace("-", MINUS))
        for number in range(first, last + 1)
    )


def _scale(
    ticks: Sequence[tuple[float, str]], start: float, end: float
) -> Callable[[float], float]:
    low, high = ticks[0][0], ticks[-1][0]

    def scale(value: float) -> float:
        inside = min(high, max(low, value))
        return round(start + (inside - low) / (high - low) * (end - start), 2)

    return scale


def _drawn(
    point: Point, to_x: Callable[[float], float], to_y: Callable[[float], float]
) -> DrawnPoint:
    return DrawnPoint(
        point=point,
        x=to_x(point.dice.mean),
        y=to_y(point.ssim.mean),
        left=to_x(min(_ends(point.dice))),
        right=to_x(max(_ends(point.dice))),
        top=to_y(max(_ends(point.ssim))),
        bottom=to_y(min(_ends(point.ssim))),
        path=UNDEFENDED_SHAPE if point.shape < 0 else SHAPES[point.shape % len(SHAPES)],
        label=None,
    )


def _bars(one: DrawnPoint) -> tuple[Box, Box]:
    return (
        Box(one.left, one.y - 2, one.right, one.y + 2),
        Box(one.x - 2, one.top, one.x + 2, one.bottom),
    )


def _named_floors(
    floors: Sequence[Floor],
    to_y: Callable[[float], float],
    markers: Sequence[Box],
    bars: Sequence[Box],
) -> tuple[list[DrawnFloor], list[Box]]:
    """The reference lines with their names on the lines' free stretch, and what the names cover."""
    drawn: list[DrawnFloor] = []
    taken: list[Box] = []
    others = [
        Box(PLOT.left, to_y(one.value) - 1, PLOT.right, to_y(one.value) + 1) for one in floors
    ]
    for floor in sorted(floors, key=lambda one: -one.value):
        y = to_y(floor.value)
        width = text_width((floor.label,))
        spots: list[tuple[int, Label]] = []
        for top in (y - LINE_HEIGHT - 3, y + 3):
            for anchor, left in (("start", PLOT.left + 6), ("end", PLOT.right - 6 - width)):
                box = Box(left, top, left + width, top + LINE_HEIGHT)
                if box.inside(PLOT) and not any(box.overlaps(b) for b in (*markers, *taken)):
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
    """The strengths of one defence in the order of their parameter, where there are two or more."""
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


def _wrapped(name: str) -> tuple[str, ...]:
    """A long name broken before a plus sign, so that it fits beside a marker below the plot."""
    lines: list[str] = []
    for part in name.split(" + "):
        longer = f"{lines[-1]} + {part}" if lines else part
        if lines and text_width((longer,)) <= WIDTH - PLOT.left - _KEY_INDENT:
            lines[-1] = longer
        else:
            lines.append(f"+ {part}" if lines else part)
    return tuple(lines)


def _short(line: str) -> str:
    return line if len(line) <= _LABEL_LENGTH else f"{line[: _LABEL_LENGTH - 1]}…"
