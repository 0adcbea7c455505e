"""Encoders that are trained against a decoder which reads their release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast, final

import torch
from torch import nn
from torch.nn import functional

from leakaudit.api import Images, Levels, SiteLayout, Stage, require_between
from leakaudit_defenses.papers import cited
from leakaudit_defenses.unchanged import ReleaseUnchanged


@final
@dataclass(frozen=True, kw_only=True)
class Adversarial(ReleaseUnchanged):
    """Train each encoder against a decoder of its own that learns to undo what is released.

    Every site trains a small decoder from its releases to its images, and adds ``weight`` times
    the share of the images' variance that this decoder explains to its encoder's loss. What the
    decoder does not find, another one may: it is a training partner, no bound, and carries no
    guarantee. The release itself is left as it is.

    Args:
        weight: of the penalty beside the loss of the segmentation, at least 0.
        width: channels of the decoder's hidden layers.

    Reference: Xiao et al. 2020 (arXiv:1911.10143); Li et al. 2021 (DeepObfuscator,
    arXiv:1909.04126).
    """

    weight: float = 1.0
    width: int = 32

    acts_on: ClassVar[frozenset[Stage]] = frozenset({Stage.TRAINING})
    off: ClassVar[Mapping[str, Any] | None] = {"weight": 0.0}
    citations = cited("xiao2020adversarial", "li2021deepobfuscator")

    def __post_init__(self) -> None:
        """Check the configuration.

        Raises:
            ConfigError: ``weight`` is negative, or ``width`` is outside 1 to 1024.
        """
        require_between(self, 0, 1e6, "weight")
        require_between(self, 1, 1024, "width")

    def companion(self, site: SiteLayout) -> nn.Module:
        """The site's decoder."""
        return _Decoder(site, self.width)

    def companion_loss(
        self, companion: nn.Module, images: Images, released: Levels
    ) -> torch.Tensor:
        """Mean squared error of what the decoder makes of a release."""
        return functional.mse_loss(companion(released), images)

    def penalty(
        self, images: Images, released: Levels, companion: nn.Module | None
    ) -> torch.Tensor | None:
        """``weight`` times the explained share of the images' variance, in [0, weight].

        The variance is that around each modality's mean over batch and places: a decoder that knows
        no more than how bright images are explains nothing. Never below 0: an encoder gains nothing
        by making the decoder worse than that, which a decoder learns to put right.
        """
        if companion is None or self.weight == 0:
            return None
        axes = (0, *range(2, images.ndim))
        around = (images - images.mean(dim=axes, keepdim=True)).square().mean().clamp_min(1e-12)
        missed = functional.mse_loss(companion(released), images)
        return self.weight * (1 - missed / around).clamp_min(0)


class _Decoder(nn.Module):
    """Every level enlarged to the image's size; two convolutions on all of them together."""

    def __init__(self, site: SiteLayout, width: int) -> None:
        super().__init__()
        convolution = cast(type[nn.Conv2d], nn.Conv3d if site.spatial_dims == 3 else nn.Conv2d)
        self.scales = site.scales
        self.enter = nn.ModuleList(convolution(channels, width, 1) for channels in site.channels)
        self.inner = convolution(width * len(site.channels), width, 3, padding=1)
        self.leave = convolution(width, site.modalities, 3, padding=1)

    def forward(self, released: Levels) -> torch.Tensor:
        enlarged = [
            functional.interpolate(enter(level), scale_factor=scale)
            for enter, level, scale in zip(self.enter, released, self.scales, strict=True)
        ]
        hidden = functional.leaky_relu(torch.cat(enlarged, dim=1), 0.1)
        images: torch.Tensor = self.leave(functional.leaky_relu(self.inner(hidden), 0.1))
        return images.sigmoid()
