"""Positions that were mixed with each other: a coarse image by ridge regression from all."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import final

import torch
from torch.nn import functional

from leakaudit.api import Images
from leakaudit_attacks.reading_releases.screening import Own, pooled
from leakaudit_attacks.reading_releases.standardising import Standard

# Released values that are regressed on, and the side of the images that are found.
_VALUES, _SIDE = 16_384, 24
_STRENGTHS = tuple(10.0**power for power in range(-6, 2))


@final
class FromEverywhere:
    """Coarse images by a ridge from all positions of a level to all of an image.

    The pairs are probe images, as many as wanted. The strength of the ridge is that which serves
    own patients best who lent nothing to the probes.
    """

    def __init__(
        self, level: torch.Tensor, answers: Iterable[torch.Tensor], probes: Images, own: Own
    ) -> None:
        """Fit.

        Args:
            level: released of the own slices, ``(N, C, *spatial)``.
            answers: released of the probes, some at a time, each ``(K, C, *spatial)``.
            probes: made of slices that are not held back, see `varied`.
            own: the slices.
        """
        self._standard = Standard(level, by_position=True)
        positions = level[0, 0].numel()
        self._channels = min(self._standard.channels, max(1, _VALUES // positions))
        self._shape = [min(_SIDE, side) for side in probes.shape[2:]]
        self._modalities = probes.shape[1]
        self._examples = torch.cat([self._values(some) for some in answers])
        self._usual = self._examples.mean(dim=0)
        self._examples = self._examples - self._usual
        targets = pooled(probes, torch.Size(self._shape)).flatten(1)
        self._mean = targets.mean(dim=0)
        sizes, axes = torch.linalg.eigh((self._examples @ self._examples.T).double())
        turned = axes.T @ (targets - self._mean).double()
        scale = sizes.mean().clamp_min(1e-30)
        truth = pooled(own.images[own.held], torch.Size(self._shape)).flatten(1)
        least, self._weights = math.inf, torch.zeros_like(turned).float()
        for strength in _STRENGTHS:
            shrunk = turned / (sizes.clamp_min(0) + strength * scale)[:, None]
            weights = (axes @ shrunk).float()
            found = self._found(level[own.held], weights)
            error = float((found - truth).square().sum())
            if error < least:
                least, self._weights = error, weights

    def __call__(self, level: torch.Tensor) -> torch.Tensor:
        """``(B, C, *spatial)`` to ``(B, M + C, *spatial)``: the coarse image, and the values."""
        coarse = self._found(level, self._weights).view(-1, self._modalities, *self._shape)
        mode = "bilinear" if level.ndim == 4 else "trilinear"
        found: torch.Tensor = functional.interpolate(
            coarse, list(level.shape[2:]), mode=mode, align_corners=False
        )
        # What few examples tell of a place beats a coarse image only once a decoder has learned it.
        return torch.cat([found.double(), level.double()], dim=1)

    def __str__(self) -> str:
        """In words."""
        return "a coarse image found from all positions together"

    def _values(self, level: torch.Tensor) -> torch.Tensor:
        parts = [self._standard(part)[:, : self._channels].flatten(1) for part in level.split(32)]
        return torch.cat(parts)

    def _found(self, level: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        kernel = (self._values(level) - self._usual) @ self._examples.T
        found: torch.Tensor = kernel @ weights + self._mean
        return found


def varied(own: Own, count: int, generator: torch.Generator) -> Images:
    """Probe images: slices that are not held back, turned, moved, mirrored at random.

    Each part of every modality is made brighter or darker.

    Returns:
        ``(count, M, *spatial)``, values in [0, 1].
    """
    images = own.images[~own.held.to(own.images.device)]
    drawn = images[torch.randint(len(images), (count,), generator=generator).to(images.device)]
    dims = images.ndim - 2
    turn = torch.eye(dims, dims + 1).expand(count, -1, -1).clone()
    turn += 0.12 * torch.randn(turn.shape, generator=generator)
    mirrored = torch.randint(2, (count, 1), generator=generator) * 2 - 1
    turn[:, :, 0] *= mirrored
    grid = functional.affine_grid(turn.to(images), list(drawn.shape), align_corners=False)
    moved = functional.grid_sample(drawn, grid, align_corners=False)
    mode = "bilinear" if dims == 2 else "trilinear"
    bright = torch.zeros_like(moved)
    for side in (4, 8, 16):
        field = torch.randn(count, images.shape[1], *[side] * dims, generator=generator)
        bright += functional.interpolate(
            field.to(images), list(images.shape[2:]), mode=mode, align_corners=False
        )
    return (moved * (1 + 0.4 * bright)).clamp(0, 1)
