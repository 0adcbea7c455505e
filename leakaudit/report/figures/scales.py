"""Scales of a figure: what it is drawn on, where a value lies, which values are named."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from leakaudit.report.figures.labels import Box
from leakaudit.report.text.formatting import MINUS

Values = Sequence[tuple[float, str]]


@dataclass(frozen=True)
class Canvas:
    """The canvas of a figure, in figure units.

    Args:
        width: of the whole figure.
        height: likewise; a key is added below.
        plot: where values lie.
        every: of so many ticks of an axis one is named.
        marker: how far a marker reaches from its middle.
    """

    width: float
    height: float
    plot: Box
    every: int = 1
    marker: float = 9.0


# One for a wide column and paper, one for a telephone, one to be set beside its like, and one for
# the first screen.
WIDE = Canvas(580.0, 410.0, Box(52.0, 14.0, 566.0, 356.0))
NARROW = Canvas(340.0, 380.0, Box(46.0, 14.0, 326.0, 326.0))
FACET = Canvas(250.0, 190.0, Box(30.0, 8.0, 232.0, 152.0), every=2, marker=5.4)
COMPACT = Canvas(400.0, 210.0, Box(46.0, 8.0, 384.0, 160.0), marker=8.0)


@dataclass(frozen=True)
class Tick:
    """A mark on an axis."""

    at: float
    text: str


def ticks(low: float, high: float) -> tuple[tuple[float, str], ...]:
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


def scale(values: Values, start: float, end: float) -> Callable[[float], float]:
    """Where a value lies between ``start`` and ``end``; one beyond the ticks at the last of them.

    Args:
        values: the ticks, rising.
        start: where the first lies.
        end: where the last does.
    """
    low, high = values[0][0], values[-1][0]

    def at(value: float) -> float:
        inside = min(high, max(low, value))
        return round(start + (inside - low) / (high - low) * (end - start), 2)

    return at


def marks(values: Values, at: Callable[[float], float], every: int = 1) -> tuple[Tick, ...]:
    """The ticks in figure units; every ``every``-th has its number."""
    return tuple(
        Tick(at(value), text if number % every == 0 else "")
        for number, (value, text) in enumerate(values)
    )
