"""The way back from released values to levels: through `Defense.apply`, or around it."""

from __future__ import annotations

import abc
from typing import final

import torch

from leakaudit.api import Defense, Levels


class Pull(abc.ABC):
    """Runs a defense forward, and leads a gradient back."""

    def __init__(self, defense: Defense) -> None:
        """Keep the defense, fitted."""
        self._defense = defense

    def release(self, levels: Levels, drawn: Levels) -> Levels:
        """Release by the defense itself, which is not shown that anybody differentiates."""
        with torch.no_grad():
            return self._defense.apply(tuple(level.detach() for level in levels), drawn)

    def draw(self, levels: Levels, *labels: int) -> Levels:
        """A draw of its own for each sample; the same for the same labels."""
        seed = sum((label + 1) * 1_000_003**place for place, label in enumerate(labels))
        generator = torch.Generator().manual_seed(seed % 2**62)
        return self._defense.draw(tuple(level.detach() for level in levels), generator)

    @abc.abstractmethod
    def back(self, levels: Levels, drawn: Levels, slopes: Levels) -> Levels:
        """The gradient to ``levels`` of what is released of them.

        Args:
            levels: that were released.
            drawn: what was drawn.
            slopes: the gradient to each released level, float64 of any size.
        """


@final
class Through(Pull):
    """By autograd, as the defense says."""

    def back(self, levels: Levels, drawn: Levels, slopes: Levels) -> Levels:
        """The gradient of `Defense.apply`, scaled to 1 on its way, through any type."""
        levels = tuple(level.detach().requires_grad_() for level in levels)
        with torch.enable_grad():
            released = self._defense.apply(levels, drawn)
        whole = [torch.zeros_like(level, dtype=torch.float64) for level in levels]
        for level, slope in zip(released, slopes, strict=True):
            if not level.requires_grad:
                continue
            top = _top(slope)
            own = torch.autograd.grad(
                level,
                levels,
                (slope / top).to(level),
                retain_graph=True,
                materialize_grads=True,
            )
            for index, each in enumerate(own):
                whole[index] += each.double() * top
        return tuple(
            total.nan_to_num(0.0, 0.0, 0.0).to(level)
            for total, level in zip(whole, levels, strict=True)
        )


def _top(slope: torch.Tensor) -> torch.Tensor:
    return slope.abs().amax().clamp_min(1e-300)
