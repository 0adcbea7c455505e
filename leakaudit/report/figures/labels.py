"""Where the names in a figure go, so that none covers a marker or another name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from unicodedata import east_asian_width

LINE_HEIGHT = 14.0
GLYPH_WIDTH = 6.6
_LONGEST = 120
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
    return max(_glyphs(line) for line in lines) * GLYPH_WIDTH


def wrapped(text: str, width: float) -> tuple[str, ...]:
    """Text in lines that fit a width: broken at spaces, a longer word anywhere.

    What is longer than any name that one would give ends in an ellipsis; the table beside the
    figure has the whole of it.
    """
    text = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    most = max(2, int(width / GLYPH_WIDTH))
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if _glyphs(longer) <= most:
            lines[-1] = longer
            continue
        lines += [word] if lines[-1] else []
        lines[-1] = word
        while _glyphs(lines[-1]) > most:
            cut = next(n for n in range(len(lines[-1]), 0, -1) if _glyphs(lines[-1][:n]) <= most)
            lines[-1:] = [lines[-1][:cut], lines[-1][cut:]]
    return tuple(lines)


def _glyphs(line: str) -> int:
    """Its length, where a letter of East Asian scripts is as wide as two."""
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in line)


def place(
    lines: tuple[str, ...],
    x: float,
    y: float,
    *,
    frame: Box,
    gap: float,
    reach: float,
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
        gap: how near it may come to the point.
        reach: how far beyond that it may stand.
        hard: what it must not cover: markers and other labels.
        soft: what it should not cover: error bars and reference lines.
        rivals: other points, which should not be nearer to the text than its own.
    """
    width, height = text_width(lines), LINE_HEIGHT * len(lines)
    best: tuple[float, Label] | None = None
    for radius in (one for one in _RADII if one <= reach):
        for rank, (step_x, step_y) in enumerate(_DIRECTIONS):
            anchor = "start" if step_x > 0 else "end" if step_x < 0 else "middle"
            at_x = x + step_x * (gap + radius)
            middle = y + step_y * (gap + radius + height / 2)
            left = at_x - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
            box = Box(left, middle - height / 2, left + width, middle + height / 2)
            if not box.inside(frame) or any(box.overlaps(other) for other in hard):
                continue
            doubtful = any(
                _distance(box, *rival) < 1.5 * _distance(box, x, y) + 4.0 for rival in rivals
            )
            cost = radius + rank + 22.0 * sum(box.overlaps(other) for other in soft)
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
