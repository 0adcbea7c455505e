"""The base of defenses that leave the release as it is and act elsewhere, or nowhere."""

from __future__ import annotations

import torch

from leakaudit.api import Defense, Levels


class ReleaseUnchanged(Defense):
    """Releases the levels themselves, ``(B, C, *spatial)`` each; nothing is random in it."""

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        """Nothing is random."""
        del levels, generator
        return ()

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        """The levels themselves."""
        del drawn
        return levels
