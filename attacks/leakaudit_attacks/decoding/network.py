"""A network from what crossed the cut to images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

import torch
from torch import nn
from torch.nn import functional

from leakaudit.api import Images, Levels

_DEEPEST = 4
_ACTIVATION = ("LeakyReLU", {"negative_slope": 0.1, "inplace": False})
_NORM = ("instance", {"affine": True})


@final
class Decoder(nn.Module):
    """From one tensor per level, all sites joined, to images in [0, 1]: down, then up again.

    A path of strided convolutions goes from the shallowest level that crossed down to level 4, or
    to the deepest level of at least 2 voxels a side. One block per level goes up from there. Every
    level that crossed enters both at its own resolution. So each pixel is found from what was
    released of the whole image, for any crossing levels.
    """

    def __init__(
        self, entering: Mapping[int, int], width: int, start: Images, deepest: int = _DEEPEST
    ) -> None:
        """Build a decoder that puts out ``start`` until training says otherwise.

        Args:
            entering: channels of each level that crossed, by its number.
            width: channels of every block.
            start: ``(1, modalities, *spatial)``, values in [0, 1].
            deepest: the level that it goes down to; never above one that crossed.
        """
        # Slow to import, and an attack is often only described.
        from monai.networks.blocks.convolutions import Convolution
        from monai.networks.nets.basic_unet import TwoConv

        super().__init__()
        self.entering = dict(entering)
        dims = start.ndim - 2
        shallowest = min(entering)
        self.deepest = max(min(deepest, _depth(start)), max(entering))
        down: dict[str, nn.Module] = {}
        carried: dict[int, int] = {}
        for level in range(shallowest, self.deepest):
            channels = carried.get(level, 0) + entering.get(level, 0)
            down[str(level)] = Convolution(
                dims, channels, width, strides=2, kernel_size=3, act=_ACTIVATION, norm=_NORM
            )
            carried[level + 1] = width
        up: dict[str, nn.Module] = {}
        below = 0
        for level in range(self.deepest, -1, -1):
            channels = below + carried.get(level, 0) + entering.get(level, 0)
            up[str(level)] = TwoConv(dims, channels, width, _ACTIVATION, _NORM, True)
            below = width
        self.down, self.up = nn.ModuleDict(down), nn.ModuleDict(up)
        convolution = nn.Conv2d if dims == 2 else nn.Conv3d
        self.output = convolution(width, 2 * start.shape[1], kernel_size=3, padding=1)
        for parameter in self.output.parameters():
            nn.init.zeros_(parameter)
        self.interpolation = "bilinear" if dims == 2 else "trilinear"
        self.base: torch.Tensor
        self.register_buffer("base", start.clamp(0.02, 0.98).logit())

    def forward(self, levels: Levels) -> Images:
        """Decode joined levels, shallow to deep, into ``(B, modalities, *spatial)``."""
        parts: list[list[torch.Tensor]] = [[] for _ in range(self.deepest + 1)]
        for number, level in zip(sorted(self.entering), levels, strict=True):
            parts[number].append(level)
        for number in range(min(self.entering), self.deepest):
            here = torch.cat(parts[number], dim=1)
            parts[number + 1].append(self.down[str(number)](here))
        for number in range(self.deepest, -1, -1):
            x = self.up[str(number)](torch.cat(parts[number], dim=1))
            if number:
                larger = functional.interpolate(
                    x, scale_factor=2, mode=self.interpolation, align_corners=False
                )
                parts[number - 1].append(larger)
        change, doubt = self.output(x).chunk(2, dim=1)
        images: torch.Tensor = (change + (1 + doubt) * self.base).sigmoid()
        return images


def _depth(images: Images) -> int:
    """The deepest level, 4 at most, at which an image has at least 2 voxels a side."""
    sides = images.shape[2:]
    return max(
        level
        for level in range(_DEEPEST + 1)
        if all(side % 2**level == 0 for side in sides)
        and (level == 0 or min(sides) // 2**level >= 2)
    )
