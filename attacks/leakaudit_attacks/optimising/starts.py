"""Where a search starts: constant, noise, or what the adversary's own patients look like."""

from __future__ import annotations

import torch

from leakaudit.api import (
    AuxiliaryPatients,
    Capability,
    Images,
    Observation,
    normal_like,
    uniform_like,
)


def middle_slices(auxiliary: AuxiliaryPatients) -> Images:
    """The slice of each auxiliary patient at which a victim is observed."""
    return auxiliary.images[auxiliary.middle.to(auxiliary.images.device)]


def auxiliary_mean(auxiliary: AuxiliaryPatients, victims: int) -> Images:
    """The mean of the auxiliary patients' middle slices, once per victim."""
    mean = middle_slices(auxiliary).mean(dim=0)
    return mean.expand(victims, *mean.shape).clone()


def start_image(observation: Observation, device: torch.device) -> Images:
    """The auxiliary mean where auxiliary patients are granted, else mid-grey, once per victim."""
    if Capability.AUXILIARY_PATIENTS in observation.granted:
        return auxiliary_mean(observation.auxiliary, observation.layout.victims).to(device)
    return torch.full(observation.layout.image_shape, 0.5, device=device)


def noise_images(
    observation: Observation, restarts: int, device: torch.device, generator: torch.Generator
) -> torch.Tensor:
    """Uniform noise on [0, 1), ``(restarts, victims, M, *spatial)``."""
    shape = (restarts, *observation.layout.image_shape)
    return uniform_like(torch.empty(shape, device=device), generator)


def disturbed(
    image: Images, restarts: int, strength: float, generator: torch.Generator
) -> torch.Tensor:
    """``image`` itself, then copies with Gaussian noise: ``(restarts, victims, M, *spatial)``."""
    copies = image.expand(restarts, *image.shape).clone()
    if restarts > 1:
        copies[1:] += strength * normal_like(copies[1:], generator)
    return copies.clamp(0, 1)
