"""Defenses that are loud where they think that somebody looks, and plain elsewhere."""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass
from types import FrameType
from typing import ClassVar

import torch

from leakaudit.contracts import Defense
from leakaudit.randomness import normal_like
from leakaudit.types import Levels

CALLS = [0]


@dataclass(frozen=True, kw_only=True)
class Looking(Defense):
    """Adds noise of standard deviation 3 where it believes that somebody looks."""

    std: ClassVar[float] = 3.0

    def looked_at(self, levels: Levels) -> bool:
        raise NotImplementedError

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        return tuple(normal_like(level, generator) for level in levels)

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        CALLS[0] += 1
        if not self.looked_at(levels):
            return levels
        return tuple(level + self.std * noise for level, noise in zip(levels, drawn, strict=True))


@dataclass(frozen=True, kw_only=True)
class QuietAtFirst(Looking):
    """Plain in the first calls of a process, in which an audit releases the victims."""

    def looked_at(self, levels: Levels) -> bool:
        return CALLS[0] > 24


@dataclass(frozen=True, kw_only=True)
class LoudForBatches(Looking):
    """Loud where several slices are asked about at once, and where a gradient is wanted."""

    def looked_at(self, levels: Levels) -> bool:
        return len(levels[0]) > 1 or torch.is_grad_enabled()


@dataclass(frozen=True, kw_only=True)
class LoudInCells(Looking):
    """Loud where an attack is answered, plain where the worth is measured."""

    def looked_at(self, levels: Levels) -> bool:
        names = set()
        for frame in sys._current_frames().values():
            within: FrameType | None = frame
            while within is not None:
                names.add(within.f_code.co_name)
                within = within.f_back
        return "run_cell" in names


@dataclass(frozen=True, kw_only=True)
class LoudForQueries(Looking):
    """Loud where its own stack speaks of a query."""

    def looked_at(self, levels: Levels) -> bool:
        return any(
            "query" in frame.function or "answer" in frame.function for frame in inspect.stack()
        )
