"""Text in a figure: how wide it is, and how it breaks into lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from unicodedata import east_asian_width

LINE_HEIGHT = 14.0
GLYPH_WIDTH = 6.6
BOLD_GLYPH_WIDTH = 7.6
_LONGEST = 120


@dataclass(frozen=True)
class Box:
    """A rectangle in figure units, y downwards."""

    left: float
    top: float
    right: float
    bottom: float


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
