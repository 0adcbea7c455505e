"""No defence: the levels cross as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch

from leakaudit.api import Defense, Levels, Stage


@final
@dataclass(frozen=True, kw_only=True)
class Identity(Defense):
    """Release the levels unchanged: the undefended reference that every audit contains."""

    acts_on: ClassVar[frozenset[Stage]] = frozenset()
    off: ClassVar[Mapping[str, Any] | None] = {}

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        """Nothing is random."""
        del levels, generator
        return ()

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        """The levels themselves."""
        del drawn
        return levels
