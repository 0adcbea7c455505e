"""A network from what crossed the cut to images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

import torch
from monai.networks.nets.basic_unet import TwoConv
from torch import nn
from torch.nn import functional

from leakaudit.api import Images, Levels


@final
class Decoder(nn.Module):
    """From one tensor per level, all sites joined, to images in [0, 1], deep to shallow.

    Every level that crossed enters at its own resolution; levels that did not are upsampled
    through.
    """

    def __init__(self, entering: Mapping[int, int], width: int, start: Images) -> None:
        """Build a decoder that puts out ``start`` until training says otherwise.

        Args:
            entering: channels of each level that crossed, by its number.
            width: channels of every block.
            start: ``(1, modalities, *spatial)``, values in [0, 1].
        """
        super().__init__()
        self.entering = dict(entering)
        dims = start.ndim - 2
        activation = ("LeakyReLU", {"negative_slope": 0.1, "inplace": False})
        blocks: list[nn.Module] = []
        carried = 0
        for level in range(max(entering), -1, -1):
            channels = carried + entering.get(level, 0)
            norm = ("instance", {"affine": True})
            blocks.append(TwoConv(dims, channels, width, activation, norm, True))
            carried = width
        self.blocks = nn.ModuleList(blocks)
        convolution = nn.Conv2d if dims == 2 else nn.Conv3d
        self.output = convolution(width, 2 * start.shape[1], kernel_size=3, padding=1)
        for parameter in self.output.parameters():
            nn.init.zeros_(parameter)
        self.interpolation = "bilinear" if dims == 2 else "trilinear"
        self.base: torch.Tensor
        self.register_buffer("base", start.clamp(0.02, 0.98).logit())

    def forward(self, levels: Levels) -> Images:
        """Decode joined levels, shallow to deep, into ``(B, modalities, *spatial)``."""
        by_number = dict(zip(sorted(self.entering), levels, strict=True))
        x: torch.Tensor | None = None
        for number, block in zip(range(max(self.entering), -1, -1), self.blocks, strict=True):
            parts = []
            if number in by_number:
                parts.append(by_number[number])
            if x is not None:
                parts.append(
                    functional.interpolate(
                        x, scale_factor=2, mode=self.interpolation, align_corners=False
                    )
                )
            x = block(torch.cat(parts, dim=1))
        change, doubt = self.output(x).chunk(2, dim=1)
        images: torch.Tensor = (change + (1 + doubt) * self.base).sigmoid()
        return images
