"""Where the names in a figure go, so that none covers a marker or another name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

LINE_HEIGHT = 14.0
GLYPH_WIDTH = 6.6
_GAP = 9.0
_RADII = (0.0, 8.0, 18.0, 30.0, 44.0, 60.0)


@dataclass(frozen=True)
class Box:
    """A rectangle in figure units, y downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Box) -> bool:
        """Whether the two share any area."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def inside(self, other: Box) -> bool:
        """Whether ``other`` holds all of this box."""
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.top >= other.top
            and self.bottom <= other.bottom
        )


@dataclass(frozen=True)
class Label:
    """Lines of text at a place.

    Args:
        lines: the text.
        x: where the text starts, or ends if ``anchor`` is ``"end"``.
        y: baseline of the first line.
        anchor: SVG ``text-anchor``.
        box: what the text covers.
        leader: whether a line leads from the marker to the text.
    """

    lines: tuple[str, ...]
    x: float
    y: float
    anchor: str
    box: Box
    leader: bool


def text_width(lines: Sequence[str]) -> float:
    """An upper estimate of the width of the longest line."""
    return max(len(line) for line in lines) * GLYPH_WIDTH


def place(
    lines: tuple[str, ...],
    x: float,
    y: float,
    *,
    frame: Box,
    hard: Sequence[Box],
    soft: Sequence[Box],
    rivals: Sequence[tuple[float, float]] = (),
) -> Label | None:
    """The best free place around a point, or None if there is none.

    Args:
        lines: the text.
        x: of the point.
        y: of the point.
        frame: what the label must stay inside.
        hard: what it must not cover: markers and other labels.
        soft: what it should not cover: error bars and reference lines.
        rivals: other points, which should not be nearer to the text than its own.
    """
    width, height = text_width(lines), LINE_HEIGHT * len(lines)
    best: tuple[float, Label] | None = None
    for radius in _RADII:
        for rank, (step_x, step_y) in enumerate(_DIRECTIONS):
            anchor = "start" if step_x > 0 else "end" if step_x < 0 else "middle"
            at_x = x + step_x * (_GAP + radius)
            middle = y + step_y * (_GAP + radius + height / 2)
            left = at_x - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
            box = Box(left, middle - height / 2, left + width, middle + height / 2)
            if not box.inside(frame) or any(box.overlaps(other) for other in hard):
                continue
            doubtful = any(
                _distance(box, *rival) < 1.5 * _distance(box, x, y) + 4.0 for rival in rivals
            )
            cost = radius + rank + 12.0 * sum(box.overlaps(other) for other in soft)
            cost += 40.0 if doubtful else 0.0
            if best is None or cost < best[0]:
                baseline = box.top + 0.78 * LINE_HEIGHT
                label = Label(lines, at_x, baseline, anchor, box, leader=doubtful or radius > 8.0)
                best = (cost, label)
    return best[1] if best else None


def _distance(box: Box, x: float, y: float) -> float:
    """From a point to the nearest point of a box."""
    across = max(box.left - x, 0.0, x - box.right)
    return math.hypot(across, max(box.top - y, 0.0, y - box.bottom))


_DIRECTIONS = ((1, 0), (-1, 0), (1, -1), (-1, -1), (1, 1), (-1, 1), (0, -1), (0, 1))
