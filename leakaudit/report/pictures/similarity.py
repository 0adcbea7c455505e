"""A simulated patient at a wanted SSIM, so that a reader sees what a figure means.

The pictures come from `similarity.json`, which docs/make_similarity.py wrote: a phantom of the
program, sharp at first and blurred more from frame to frame. Between two frames pictures are mixed
in whole numbers, so equal figures give equal bytes on every machine.
"""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from leakaudit.report.pictures.pixels import png

STEPS = 32
"""Pictures from one frame to the next."""

Frames: TypeAlias = npt.NDArray[np.uint8]
_MIDDLE = STEPS // 2


@dataclass(frozen=True)
class Example:
    """The simulated patient, degraded.

    Args:
        ssim: measured inside the brain against the sharp picture, to four digits.
        source: the picture as a ``data:`` address.
    """

    ssim: float
    source: str


@cache
def example(ssim: float) -> Example:
    """The picture whose measured SSIM inside the brain is nearest to a wanted one.

    Args:
        ssim: what is wanted, at most 1; below the most degraded picture that one is given.
    """
    frames, measured = _shipped()
    step = min(range(len(measured)), key=lambda one: abs(measured[one] - ssim))
    data = base64.b64encode(png(mixed(frames, step) / 255)).decode("ascii")
    return Example(measured[step], f"data:image/png;base64,{data}")


def mixed(frames: Frames, step: int) -> Frames:
    """One picture of the series.

    Args:
        frames: [frame, row, column].
        step: from 0, the first frame, `STEPS` a frame.

    Returns:
        [row, column]
    """
    number, part = divmod(step, STEPS)
    if not part:
        first: Frames = frames[number]
        return first
    one, other = frames[number].astype(np.int64), frames[number + 1].astype(np.int64)
    between: Frames = ((one * (STEPS - part) + other * part + _MIDDLE) // STEPS).astype(np.uint8)
    return between


@cache
def _shipped() -> tuple[Frames, tuple[float, ...]]:
    """The frames, and the measured SSIM of every picture between them."""
    text = files(__package__).joinpath("similarity.json").read_text(encoding="utf-8")
    kept: dict[str, Any] = json.loads(text)
    data = zlib.decompress(base64.b64decode(kept["frames"]))
    frames = np.frombuffer(data, dtype=np.uint8).reshape(-1, kept["size"], kept["size"])
    return frames, tuple(kept["measured"])
