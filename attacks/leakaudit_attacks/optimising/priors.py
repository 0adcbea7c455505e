"""Priors on images: terms that an optimising attack adds to its objective.

Each takes candidates ``(restarts * victims, M, *spatial)`` and gives one value per candidate. Where
batches of several slices are searched for, their modalities follow one another along that axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from leakaudit.api import Images, SystemLayout


def total_variation(images: Images) -> torch.Tensor:
    """Isotropic total variation, mean over modalities and voxels, shape ``(B,)``.

    Reference: Rudin, Osher, Fatemi 1992. The root is smoothed by 1e-6, so that its gradient is
    finite in flat regions. It can be differentiated once.
    """
    variation: torch.Tensor = _TotalVariation.apply(images)  # type: ignore[no-untyped-call]
    return variation


class _TotalVariation(torch.autograd.Function):
    """By hand, since autograd's way of it goes over the images twice as often."""

    @staticmethod
    def forward(ctx: Any, images: torch.Tensor) -> torch.Tensor:
        square = torch.full_like(images, 1e-6)
        steps = [images.diff(dim=axis) for axis in range(2, images.ndim)]
        for axis, step in enumerate(steps, start=2):
            square.narrow(axis, 0, step.shape[axis]).addcmul_(step, step)
        length = square.sqrt_()
        ctx.save_for_backward(length, *steps)
        return length.flatten(1).mean(dim=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        length, *steps = ctx.saved_tensors
        each = gradients[0] / length[0].numel()
        share = each.view(-1, *(1,) * (length.ndim - 1)) / length
        slope = torch.zeros_like(length)
        for axis, step in enumerate(steps, start=2):
            count = step.shape[axis]
            flow = step * share.narrow(axis, 0, count)
            slope.narrow(axis, 1, count).add_(flow)
            slope.narrow(axis, 0, count).sub_(flow)
        return slope


def anisotropic_total_variation(images: Images) -> torch.Tensor:
    """Sum over the axes of the mean absolute step between neighbours, shape ``(B,)``.

    Reference: Geiping et al. 2020 (arXiv:2003.14053).
    """
    steps = [images.diff(dim=axis).abs().flatten(1).mean(dim=1) for axis in range(2, images.ndim)]
    return torch.stack(steps).sum(dim=0)


def mean_square(images: Images) -> torch.Tensor:
    """Mean of the squared intensities, shape ``(B,)``: the L2 prior of Yin et al. 2021."""
    return images.square().flatten(1).mean(dim=1)


def distance_to(prior: torch.Tensor, images: Images) -> torch.Tensor:
    """Mean squared difference to a prior image ``(1, M, *spatial)``, shape ``(B,)``.

    A candidate that is a batch of several slices is held to it slice by slice.

    Hatamizadeh et al. 2022 (arXiv:2202.06924) start from a prior image; holding on to it is ours.
    """
    apart: torch.Tensor = images.unflatten(1, (-1, prior.shape[1])) - prior.unsqueeze(1)
    return apart.square().flatten(1).mean(dim=1)


def group_distance(images: Images, victims: int) -> torch.Tensor:
    """Mean squared difference to the mean over a victim's restarts, shape ``(B,)``.

    Reference: Yin et al. 2021 (arXiv:2104.07586), with the mean for their registered
    consensus: brains stand where they stand.
    """
    grouped = images.unflatten(0, (-1, victims))
    centred: torch.Tensor = grouped - grouped.mean(dim=0, keepdim=True)
    return centred.flatten(0, 1).square().flatten(1).mean(dim=1)


class NormalisationStatistics:
    """Distance of the mean and the deviation before each normalisation to what is usual.

    The encoders normalise per image and keep no statistics, so that what is usual comes from the
    adversary's own patients (Yin et al. 2021 take it from the batch normalisation's record).
    """

    def __init__(self, encoders: Sequence[nn.Module], layout: SystemLayout, usual: Images) -> None:
        """Record the statistics of ``usual`` ``(N, M, *spatial)``, images in [0, 1]."""
        self._encoders = list(encoders)
        self._layout = layout
        with torch.no_grad():
            self._wanted = [one.mean(dim=0, keepdim=True) for one in self._statistics(usual)]

    def __call__(self, images: Images) -> torch.Tensor:
        """Mean squared difference over layers and channels, shape ``(B,)``."""
        size = self._layout.gradient_batch
        found = self._statistics(images.unflatten(1, (size, -1)).flatten(0, 1))
        distances = [
            (one - wanted).square().mean(dim=1)
            for one, wanted in zip(found, self._wanted, strict=True)
        ]
        of_slices: torch.Tensor = torch.stack(distances).mean(dim=0)
        return of_slices.view(-1, size).mean(dim=1)

    def _statistics(self, images: Images) -> list[torch.Tensor]:
        """Per normalisation ``(B, 2 C)``: means, then standard deviations."""
        caught: list[torch.Tensor] = []

        def catch(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            flat = inputs[0].flatten(2)
            spread = (flat.var(dim=2, unbiased=False) + 1e-6).sqrt()
            caught.append(torch.cat([flat.mean(dim=2), spread], dim=1))

        norms = [
            module
            for encoder in self._encoders
            for module in encoder.modules()
            if isinstance(module, nn.modules.instancenorm._InstanceNorm)
        ]
        handles = [norm.register_forward_pre_hook(catch) for norm in norms]
        try:
            for encoder, view in zip(self._encoders, self._layout.views(images), strict=True):
                encoder(view)
        finally:
            for handle in handles:
                handle.remove()
        return caught
