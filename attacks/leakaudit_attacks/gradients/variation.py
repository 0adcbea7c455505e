"""Variations of the adversary's own patients, for attacks that learn from few of them."""

from __future__ import annotations

import torch
from torch.nn import functional

from leakaudit.api import Images, Masks, normal_like, uniform_like


def varied(images: Images, masks: Masks, generator: torch.Generator) -> tuple[Images, Masks]:
    """Each slice mirrored or not, bent a little, its modalities brightened or darkened.

    An affine map of the axes (standard deviation 0.07, shifts 0.03 of the image), mirrored along
    the last axis half of the time; then a power of the intensities between 0.75 and 1.33, which
    differs by modality. A slice and its mask are bent alike.

    Args:
        images: ``(B, M, *spatial)``, values in [0, 1].
        masks: ``(B, *spatial)`` class indices.
        generator: source of the draws.
    """
    count, dims = len(images), images.ndim - 2
    bend = 0.07 * normal_like(images.new_empty(count, dims, dims + 1), generator)
    bend[..., -1] *= 0.4
    bend[..., :dims] += torch.eye(dims, device=images.device)
    # The last axis of an image is the first coordinate of a grid.
    bend[uniform_like(images.new_empty(count), generator) < 0.5, :, 0] *= -1
    grid = functional.affine_grid(bend, list(images.shape), align_corners=False)
    bent = functional.grid_sample(images, grid, align_corners=False).clamp(0, 1)
    labels = functional.grid_sample(
        masks.unsqueeze(1).to(images.dtype), grid, mode="nearest", align_corners=False
    )
    drawn = uniform_like(images.new_empty(count, images.shape[1], *[1] * dims), generator)
    return bent ** (0.75 * (4 / 3 / 0.75) ** drawn), labels.squeeze(1).round().to(masks.dtype)
