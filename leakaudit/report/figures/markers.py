"""Marker shapes: one for each defense, so that colour never has to tell them apart."""

from __future__ import annotations

# Marker outlines around the origin. The first is the undefended system's alone.
UNDEFENDED_SHAPE = (
    "M-9,0a9,9 0 1,0 18,0a9,9 0 1,0 -18,0zM-4.5,0a4.5,4.5 0 1,0 9,0a4.5,4.5 0 1,0 -9,0z"
)
SHAPES = (
    "M-5.5,-5.5h11v11h-11z",
    "M0,-7.5L7,5.5H-7z",
    "M0,-7.8L7.8,0L0,7.8L-7.8,0z",
    "M0,7.5L7,-5.5H-7z",
    "M-2.4,-7h4.8v4.6h4.6v4.8h-4.6v4.6h-4.8v-4.6h-4.6v-4.8h4.6z",
    "M0,-7.5L7.1,-2.3L4.4,6.1H-4.4L-7.1,-2.3z",
    "M-7.5,0L-3.8,-6.5H3.8L7.5,0L3.8,6.5H-3.8z",
    "M0,-8L2.2,-2.6L8,-2.5L3.5,1.2L5,6.8L0,3.6L-5,6.8L-3.5,1.2L-8,-2.5L-2.2,-2.6z",
    "M-6,-7H6L0,0L6,7H-6L0,0z",
    "M-7,-6V6L0,0L7,6V-6L0,0z",
    "M-7,4a7,7 0 0,1 14,0z",
    "M-6.6,-3.4L-3.4,-6.6L0,-3.2L3.4,-6.6L6.6,-3.4L3.2,0L6.6,3.4L3.4,6.6L0,3.2L-3.4,6.6L-6.6,3.4"
    "L-3.2,0z",
)


def shape(number: int) -> str:
    """The outline of a defense by its number, of the undefended system if that is negative."""
    return UNDEFENDED_SHAPE if number < 0 else SHAPES[number % len(SHAPES)]
