"""Statistics that tell the releases of one set of encoders from those of another."""

from __future__ import annotations

from typing import final

import torch
from torch.nn import functional

from leakaudit.api import Levels

# Regions per axis in which a level is averaged: where in the picture a channel answers.
_REGIONS = 8


@final
class ReleaseStatistics:
    """Distance of a batch's statistics to those of the releases that were received.

    Per level, on channels scaled to mean 0 and variance 1 of what was received: mean and deviation,
    the covariance of channels with each other and with their neighbours one voxel on, the third
    moment, and mean and deviation over the batch in each of 8 regions per axis.
    """

    def __init__(self, received: Levels) -> None:
        """Record what is usual.

        Args:
            received: joined levels, shallow to deep, each ``(slices, C, *spatial)``, 2 slices at
                least.
        """
        axes = [_all_but_channels(level) for level in received]
        pairs = list(zip(received, axes, strict=True))
        # In float64, and without a least deviation, so that no scale of a release hides it.
        self._means = [level.double().mean(axis, keepdim=True) for level, axis in pairs]
        deviations = [level.double().std(axis, keepdim=True) for level, axis in pairs]
        self._deviations = [torch.where(each > 0, each, 1.0) for each in deviations]
        self._usual = [_statistics(level) for level in self.scaled(received)]

    def scaled(self, levels: Levels) -> Levels:
        """Levels in units of what was received: mean 0 and variance 1 per channel."""
        return tuple(
            ((level - mean) / deviation).to(torch.float32)
            for level, mean, deviation in zip(levels, self._means, self._deviations, strict=True)
        )

    def distance(self, scaled: Levels) -> torch.Tensor:
        """Mean squared difference, summed over statistics, mean over levels; a scalar."""
        apart = [
            (found - usual).square().mean()
            for level, wanted in zip(scaled, self._usual, strict=True)
            for found, usual in zip(_statistics(level), wanted, strict=True)
        ]
        return torch.stack(apart).sum() / len(scaled)


def _statistics(level: torch.Tensor) -> list[torch.Tensor]:
    axes = _all_but_channels(level)
    mean = level.mean(axes)
    centred = level - level.mean(axes, keepdim=True)
    cube = centred.pow(3).mean(axes)
    # The root brings the third moment to the scale of the others.
    skewness = cube.sign() * (cube.abs() + 1e-6).pow(1 / 3)
    extents = [min(_REGIONS, extent) for extent in level.shape[2:]]
    regions = functional.interpolate(level, extents, mode="area")
    varied = (regions.var(dim=0) + 1e-4).sqrt()
    return [
        mean,
        level.var(axes).add(1e-6).sqrt(),
        _covariance(centred, centred),
        *(_covariance(*_neighbours(centred, axis)) for axis in range(2, level.ndim)),
        skewness,
        regions.mean(dim=0),
        varied,
    ]


def _neighbours(level: torch.Tensor, axis: int) -> tuple[torch.Tensor, torch.Tensor]:
    count = level.shape[axis] - 1
    return level.narrow(axis, 0, count), level.narrow(axis, 1, count)


def _covariance(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    rows, columns = (each.transpose(0, 1).flatten(1) for each in (one, other))
    return rows @ columns.T / rows.shape[1]


def _all_but_channels(level: torch.Tensor) -> tuple[int, ...]:
    return (0, *range(2, level.ndim))
