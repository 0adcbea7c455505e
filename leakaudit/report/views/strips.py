"""An interval on its scale, small enough for a table row."""

from __future__ import annotations

from dataclasses import dataclass

from leakaudit.records import Interval

_WIDTH = 120.0


@dataclass(frozen=True)
class Strip:
    """An interval on its scale, for a table row; ``floor`` is None without one."""

    at: float
    low: float
    high: float
    floor: float | None


def strip(
    interval: Interval, floor: float | None = None, least: float = 0.0, most: float = 1.0
) -> Strip:
    """The place of a mean, its interval and its floor on a scale, clipped to it.

    Args:
        interval: the mean and its interval.
        floor: what a blind guess gets; None without one.
        least: where the scale begins.
        most: where it ends.
    """

    def at(value: float) -> float:
        return min(1.0, max(0.0, (value - least) / (most - least))) * (_WIDTH - 8) + 4

    low, high = min(interval.ends), max(interval.ends)
    return Strip(
        at=at(interval.mean), low=at(low), high=at(high), floor=None if floor is None else at(floor)
    )
