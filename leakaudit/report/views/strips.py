"""An interval on the scale 0 to 1, small enough for a table row."""

from __future__ import annotations

from dataclasses import dataclass

from leakaudit.records import Interval

_WIDTH = 120.0


@dataclass(frozen=True)
class Strip:
    """An interval on the scale 0 to 1, for a table row."""

    at: float
    low: float
    high: float
    floor: float


def strip(interval: Interval, floor: float) -> Strip:
    """The place of a mean, its interval and its floor on a scale from 0 to 1, clipped to it."""

    def at(value: float) -> float:
        return min(1.0, max(0.0, value)) * (_WIDTH - 8) + 4

    low, high = min(interval.ends), max(interval.ends)
    return Strip(at=at(interval.mean), low=at(low), high=at(high), floor=at(floor))
