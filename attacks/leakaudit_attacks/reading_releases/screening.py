"""How well an image is told, position by position, by what stands at the same place in a level.

The measure by which ways to read a release compete before any network is trained.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch.nn import functional

from leakaudit.api import AuxiliaryPatients, Images

_STRENGTHS = (1e-4, 1e-2, 1.0)
# Rows of a fit: enough for some hundred features.
_ROWS = 12_000
# Features of a fit and channels of a quick one: of more, many epochs', the fit takes hours.
_FEATURES, _CHANNELS = 256, 64
# Rows of a quick fit, at positions where an image differs from the mean by so much.
_PLACES, _DIFFERENT = 4000, 0.03


@final
@dataclass(frozen=True, kw_only=True)
class Own:
    """Slices of the adversary's own patients, and which of them are held back.

    Args:
        images: ``(N, M, *spatial)``.
        held: ``(N,)``, true for the slices of held-back patients, who are a quarter of them.
    """

    images: Images
    held: torch.Tensor

    @staticmethod
    def of(auxiliary: AuxiliaryPatients, most: int) -> Own:
        """At most ``most`` slices, spread evenly over the patients and their slices."""
        count = len(auxiliary.images)
        chosen = torch.linspace(0, count - 1, min(most, count)).round().long()
        patient = auxiliary.patient.cpu()[chosen]
        everybody = patient.unique()
        # One patient alone is compared with itself, one slice with the others.
        if len(everybody) < 2:
            patient, everybody = torch.arange(len(chosen)), torch.arange(len(chosen))
        held = torch.isin(patient, everybody[:: max(2, min(4, len(everybody)))])
        return Own(images=auxiliary.images[chosen.to(auxiliary.images.device)], held=held)


def local_error(features: torch.Tensor, own: Own) -> float:
    """Return the part of held-back patients' images that a ridge from each position cannot explain.

    Args:
        features: of the own slices, ``(N, C, *spatial / 2**level)``.
        own: the slices.

    Returns:
        Squared error over that of the other patients' mean image, at the level's resolution, with
        the best of three strengths; 1 where nothing is told.
    """
    if bool(own.held.all()) or not bool(own.held.any()):
        return 1.0
    features = features[:, :_FEATURES]
    targets = pooled(own.images, features.shape[2:])
    around = _box(features)
    mean = targets[~own.held].mean(dim=0, keepdim=True)
    rows = torch.cat([features, around, mean.expand_as(targets)], dim=1).double()
    shown, wanted = (_positions(each[~own.held]) for each in (rows, targets - mean))
    asked, truth = (_positions(each[own.held]) for each in (rows, targets - mean))
    step = max(1, len(shown) // _ROWS)
    return _left(shown[::step], wanted[::step], asked, truth)


@final
class Places:
    """Some positions of a level, at which what is read of single values is compared quickly."""

    def __init__(self, level: torch.Tensor, own: Own, generator: torch.Generator) -> None:
        """Draw them from where the images differ.

        Args:
            level: released of the own slices, ``(N, C, *spatial)``.
            own: the slices.
            generator: of the draw.
        """
        targets = pooled(own.images, level.shape[2:])
        apart = targets - targets[~own.held].mean(dim=0, keepdim=True)
        rows = apart.abs().amax(dim=1).flatten() > _DIFFERENT
        places = torch.nonzero(rows).flatten().cpu()
        drawn = torch.randperm(len(places), generator=generator)[:_PLACES]
        chosen = places[drawn].to(level.device)
        # Of many channels, as of many epochs, some, spread evenly.
        count = level.shape[1]
        some = torch.linspace(0, count - 1, min(_CHANNELS, count)).round().long()
        self._values = _positions(level[:, some.to(level.device)])[chosen]
        self._wanted = _positions(apart)[chosen]
        self._held = own.held.repeat_interleave(level[0, 0].numel())[chosen.cpu()]

    def error(self, way: Callable[[torch.Tensor], torch.Tensor]) -> float:
        """Return the error of a ridge from a way's reading of each value alone."""
        if bool(self._held.all()) or not bool(self._held.any()):
            return 1.0
        read = torch.nan_to_num(way(self._values).double())
        held = self._held.to(read.device)
        usual, spread = read[~held].mean(dim=0), read[~held].std(dim=0)
        varies = spread > 1e-12 * read.abs().amax(dim=0)
        read = (read - usual)[:, varies] / spread[varies]
        if not read.shape[1]:
            return 1.0
        return _left(read[~held], self._wanted[~held], read[held], self._wanted[held])


def _left(
    shown: torch.Tensor, wanted: torch.Tensor, asked: torch.Tensor, truth: torch.Tensor
) -> float:
    """Squared error of a ridge on other rows, in units of what is wanted there; 1 at most."""
    shown, wanted, asked, truth = (each.double() for each in (shown, wanted, asked, truth))
    usual = shown.mean(dim=0)
    shown, asked = shown - usual, asked - usual
    sizes, axes = torch.linalg.eigh(shown.T @ shown)
    turned, across = axes.T @ (shown.T @ (wanted - wanted.mean(dim=0))), asked @ axes
    scale = sizes.mean().clamp_min(1e-30)
    errors = [
        (across @ (turned / (sizes.clamp_min(0) + strength * scale)[:, None]) - truth)
        .square()
        .sum()
        for strength in _STRENGTHS
    ]
    of_mean = truth.square().sum().clamp_min(1e-30)
    return min(1.0, float(torch.stack(errors).min() / of_mean))


def pooled(images: Images, spatial: torch.Size) -> torch.Tensor:
    """Images averaged down to a level's resolution."""
    return functional.interpolate(images, list(spatial), mode="area")


def _box(features: torch.Tensor) -> torch.Tensor:
    """The mean over each position's neighbourhood of 3 a side."""
    pool = functional.avg_pool2d if features.ndim == 4 else functional.avg_pool3d
    found: torch.Tensor = pool(features, 3, 1, 1)
    return found


def _positions(level: torch.Tensor) -> torch.Tensor:
    """``(N, C, *spatial)`` to ``(N * positions, C)``."""
    return level.flatten(2).transpose(1, 2).flatten(0, 1)
