"""What the optimising attacks share: a prior, a start and a box-constrained descent."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from leakaudit.api import AuxiliaryPatients, Capability, Images, Observation, Progress


def total_variation(images: Images) -> torch.Tensor:
    """Isotropic total variation per sample, mean over modalities and voxels, shape ``(B,)``.

    Reference: Rudin, Osher, Fatemi 1992. The root is smoothed by 1e-6, so that its gradient is
    finite in flat regions.
    """
    square = torch.zeros_like(images)
    for axis in range(2, images.ndim):
        step = images.diff(dim=axis)
        last = torch.zeros_like(images.narrow(axis, 0, 1))
        square = square + torch.cat([step, last], dim=axis).square()
    return (square + 1e-6).sqrt().flatten(1).mean(dim=1)


def auxiliary_mean(auxiliary: AuxiliaryPatients, victims: int) -> Images:
    """The mean of the auxiliary patients' middle slices, once per victim."""
    mean = auxiliary.images[auxiliary.middle.to(auxiliary.images.device)].mean(dim=0)
    return mean.expand(victims, *mean.shape).clone()


def start_image(observation: Observation, device: torch.device) -> Images:
    """The auxiliary mean where auxiliary patients are granted, else mid-grey."""
    if Capability.AUXILIARY_PATIENTS in observation.granted:
        return auxiliary_mean(observation.auxiliary, observation.layout.victims).to(device)
    return torch.full(observation.layout.image_shape, 0.5, device=device)


def descend(
    objective: Callable[[Images, int], torch.Tensor],
    start: Images,
    *,
    iterations: int,
    learning_rate: float,
    progress: Progress,
) -> Images:
    """Minimise by Adam with a cosine schedule, every image kept in [0, 1].

    Args:
        objective: ``objective(candidate, step)``, one value per victim; its sum is minimised, which
            leaves the victims independent of each other.
        start: ``(victims, M, *spatial)``.
        iterations: steps to take.
        learning_rate: of the first step.
        progress: called after every step.

    Returns:
        The candidate after the last step.
    """
    candidate = start.detach().clone().requires_grad_()
    optimizer = torch.optim.Adam([candidate], lr=learning_rate)
    for step in range(iterations):
        rate = learning_rate * (1 + math.cos(math.pi * step / iterations)) / 2
        optimizer.param_groups[0]["lr"] = rate
        (candidate.grad,) = torch.autograd.grad(objective(candidate, step).sum(), candidate)
        optimizer.step()
        with torch.no_grad():
            candidate.clamp_(0, 1)
        progress(step + 1, iterations)
    return candidate.detach()
