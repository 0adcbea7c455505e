"""Split-U-Net: one encoder per data site, the rest of a U-Net at the label site.

Reference: Roth et al., "Split-U-Net", DeCaF 2022 (doi:10.1007/978-3-031-18523-6_5), on MONAI's
BasicUNet (Falk et al. 2019), from whose blocks both halves are built.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import final

import torch
from torch import nn

from leakaudit.errors import ConfigError
from leakaudit.types import Levels

DEEPEST_LEVEL = 4
# Not in place: an in-place activation breaks per-sample gradients.
_ACTIVATION = ("LeakyReLU", {"negative_slope": 0.1, "inplace": False})
_NORM = ("instance", {"affine": True})


@final
@dataclass(frozen=True, kw_only=True)
class SplitUNetSpec:
    """The architecture of a Split-U-Net.

    Args:
        channels: input channels (modalities) of each data site, in site order.
        cut_level: depth of the cut, 0 to 4; a site runs ``conv_0 .. down_<cut_level>``.
        shared_skips: the levels above the cut whose tensors cross as well, a subset of
            ``0 .. cut_level - 1``.
        bottleneck: at most this many channels of each crossing level leave a site: it narrows its
            tensor by a 1x1 convolution, and the label site widens it again by one of its own. A
            level that has no more is left as it is. None for no bottleneck.
        features: channels of the five levels and of the last decoder block, per site.
        spatial_dims: 2 or 3.
        classes: output channels, background included.
    """

    channels: tuple[int, ...]
    cut_level: int
    shared_skips: tuple[int, ...]
    bottleneck: int | None = None
    features: tuple[int, ...] = (16, 16, 32, 64, 128, 16)
    spatial_dims: int = 2
    classes: int = 4

    def __post_init__(self) -> None:
        """Refuse a network that cannot be built.

        Raises:
            ConfigError: a value is outside its range, with the values that are allowed.
        """
        if not self.channels or min(self.channels) < 1:
            raise ConfigError("every site needs at least one modality")
        if not 0 <= self.cut_level <= DEEPEST_LEVEL:
            raise ConfigError(f"cut_level is {self.cut_level}; it must be 0 to {DEEPEST_LEVEL}")
        if len(self.features) != DEEPEST_LEVEL + 2 or min(self.features) < 1:
            raise ConfigError(f"features needs six positive integers, got {list(self.features)}")
        if self.spatial_dims not in (2, 3):
            raise ConfigError(f"spatial_dims is {self.spatial_dims}; it must be 2 or 3")
        if self.bottleneck is not None and self.bottleneck < 1:
            raise ConfigError(
                f"bottleneck is {self.bottleneck}; it must be 1 channel or more, or None"
            )
        allowed = range(self.cut_level)
        if sorted(set(self.shared_skips)) != list(self.shared_skips) or not all(
            level in allowed for level in self.shared_skips
        ):
            raise ConfigError(
                f"shared_skips is {list(self.shared_skips)}; at cut_level {self.cut_level} it must "
                f"be a rising subset of {list(allowed)}"
            )

    @property
    def crossing(self) -> tuple[int, ...]:
        """The levels whose tensors cross the cut, shallow to deep; the cut level is the last."""
        return (*self.shared_skips, self.cut_level)

    @property
    def narrowed(self) -> tuple[int, ...]:
        """The crossing levels that have more channels than the bottleneck lets through."""
        return tuple(level for level in self.crossing if self.width(level) < self.features[level])

    def width(self, level: int) -> int:
        """Channels of what a site sends of a crossing level."""
        return min(self.features[level], self.bottleneck or self.features[level])

    @property
    def multiple(self) -> int:
        """Spatial extents must be divisible by this many voxels."""
        return int(2**DEEPEST_LEVEL)


@final
class SiteEncoder(nn.Module):
    """A data site's part: ``conv_0 .. down_<cut_level>`` of a BasicUNet on its own modalities.

    Where there is a bottleneck a 1x1 convolution follows at each level that it narrows.
    """

    def __init__(self, spec: SplitUNetSpec, site: int) -> None:
        """Build the encoder of one site.

        Args:
            spec: the whole network.
            site: index into ``spec.channels``.
        """
        # Imported where a network is built: it takes seconds, and most commands build none.
        from monai.networks.layers.factories import Conv
        from monai.networks.nets.basic_unet import Down, TwoConv

        super().__init__()
        self.crossing = spec.crossing
        dims, widths = spec.spatial_dims, spec.features
        blocks: list[nn.Module] = [
            TwoConv(dims, spec.channels[site], widths[0], _ACTIVATION, _NORM, True)
        ]
        for level in range(1, spec.cut_level + 1):
            blocks.append(Down(dims, widths[level - 1], widths[level], _ACTIVATION, _NORM, True))
        self.blocks = nn.ModuleList(blocks)
        self.narrow = nn.ModuleDict(
            {
                str(level): Conv["conv", dims](widths[level], spec.width(level), kernel_size=1)
                for level in spec.narrowed
            }
        )

    def forward(self, images: torch.Tensor) -> Levels:
        """Encode ``(B, M, *spatial)`` images of this site.

        Returns:
            The crossing levels, shallow to deep, each
            ``(B, features[level], *spatial / 2**level)``, fewer channels after a bottleneck.
        """
        crossing: list[torch.Tensor] = []
        x = images
        for level, block in enumerate(self.blocks):
            x = block(x)
            if level in self.crossing:
                narrow = str(level) in self.narrow
                crossing.append(self.narrow[str(level)](x) if narrow else x)
        return tuple(crossing)


@final
class Server(nn.Module):
    """The label site's part: the levels below the cut, the decoder and the classifier."""

    def __init__(self, spec: SplitUNetSpec) -> None:
        """Build the label site's network for ``spec``; its widths are multiplied by the sites."""
        from monai.networks.layers.factories import Conv
        from monai.networks.nets.basic_unet import Down, UpCat

        super().__init__()
        self.crossing = spec.crossing
        self.cut_level = spec.cut_level
        dims = spec.spatial_dims
        widths = [len(spec.channels) * width for width in spec.features]
        self.downs = nn.ModuleList(
            Down(dims, widths[level - 1], widths[level], _ACTIVATION, _NORM, True)
            for level in range(spec.cut_level + 1, DEEPEST_LEVEL + 1)
        )
        ups: list[nn.Module] = []
        for level in reversed(range(DEEPEST_LEVEL)):
            withheld = level < spec.cut_level and level not in spec.shared_skips
            ups.append(
                UpCat(
                    dims,
                    widths[level + 1],
                    0 if withheld else widths[level],
                    widths[level] if level else widths[5],
                    _ACTIVATION,
                    _NORM,
                    True,
                    halves=level > 0,
                )
            )
        self.ups = nn.ModuleList(ups)
        self.classifier = Conv["conv", dims](widths[5], spec.classes, kernel_size=1)
        # For each narrowed level one per site: whose tensor it is stays known.
        self.widen = nn.ModuleDict(
            {
                str(level): nn.ModuleList(
                    Conv["conv", dims](spec.width(level), spec.features[level], kernel_size=1)
                    for _ in spec.channels
                )
                for level in spec.narrowed
            }
        )

    def forward(self, sites: Sequence[Levels]) -> torch.Tensor:
        """Segment from what the sites released.

        Args:
            sites: per site its crossing levels as `SiteEncoder` orders them.

        Returns:
            Logits ``(B, classes, *spatial)``.
        """
        logits: torch.Tensor = self.classifier(self.features(sites))
        return logits

    def features(self, sites: Sequence[Levels]) -> torch.Tensor:
        """Return the classifier's input, ``(B, C, *spatial)``; the U-shaped variant cuts here."""
        skips: dict[int, torch.Tensor] = {
            level: torch.cat(self._widened(level, [levels[index] for levels in sites]), dim=1)
            for index, level in enumerate(self.crossing)
        }
        x = skips[self.cut_level]
        for level, down in enumerate(self.downs, start=self.cut_level + 1):
            x = down(x)
            skips[level] = x
        for level, up in zip(reversed(range(DEEPEST_LEVEL)), self.ups, strict=True):
            x = up(x, skips.get(level))
        return x

    def _widened(self, level: int, sites: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return a level of all sites, with as many channels as without a bottleneck."""
        if str(level) not in self.widen:
            return sites
        convolutions: Iterable[nn.Module] = self.widen[str(level)].children()
        return [widen(sent) for widen, sent in zip(convolutions, sites, strict=True)]


@final
class SplitUNet(nn.Module):
    """All parties of one Split-U-Net; as a module it is the same network in one autograd graph."""

    def __init__(self, spec: SplitUNetSpec) -> None:
        """Build every party's part with freshly initialised weights."""
        super().__init__()
        self.spec = spec
        self.encoders = nn.ModuleList(SiteEncoder(spec, site) for site in range(len(spec.channels)))
        self.server = Server(spec)
        # Per site the networks that a defense trains beside its encoder; never sent, often none.
        self.companions = nn.ModuleList()

    def companions_of(self, site: int) -> dict[str, nn.Module]:
        """Return the networks that a site trains beside its encoder, by index of the part."""
        if not len(self.companions):
            return {}
        return dict(self.companions[site].named_children())

    def encode(self, images: Sequence[torch.Tensor]) -> tuple[Levels, ...]:
        """Run every site's encoder on its own ``(B, M, *spatial)`` images."""
        return tuple(encoder(image) for encoder, image in zip(self.encoders, images, strict=True))

    def forward(self, images: Sequence[torch.Tensor]) -> torch.Tensor:
        """Logits ``(B, classes, *spatial)`` without a defense, in one graph."""
        logits: torch.Tensor = self.server(self.encode(images))
        return logits


@cache
def centralised_spec(spec: SplitUNetSpec) -> SplitUNetSpec:
    """The centralised reference: one site with all modalities, as many parameters within 2 %.

    Args:
        spec: the Split-U-Net to match.

    Returns:
        A one-site spec whose features are those of ``spec`` times one common factor, without a
        bottleneck: nothing of it is sent anywhere.

    Raises:
        ConfigError: no factor comes within 2 % (only for degenerate widths).
    """
    wanted = parameter_count(spec)
    total = (sum(spec.channels),)

    def scaled(percent: int) -> SplitUNetSpec:
        features = tuple(max(1, round(width * percent / 100)) for width in spec.features)
        return replace(spec, channels=total, features=features, bottleneck=None)

    def error(candidate: SplitUNetSpec) -> float:
        return abs(parameter_count(candidate) / wanted - 1)

    # The count rises with the factor, so the closest is the first to reach it or the one before.
    percents = range(100, 100 * (len(spec.channels) + 1) + 1)
    reached = bisect_left(percents, wanted, key=lambda percent: parameter_count(scaled(percent)))
    best = min(map(scaled, percents[max(reached - 1, 0) : reached + 1]), key=error)
    if error(best) > 0.02:
        raise ConfigError(
            f"no centralised reference within 2 % of {wanted} parameters for {list(spec.features)}"
        )
    return best


def single_site_spec(spec: SplitUNetSpec, site: int) -> SplitUNetSpec:
    """The reference of one site on its own: the same features, its modalities, no bottleneck."""
    return replace(spec, channels=(spec.channels[site],), bottleneck=None)


@cache
def parameter_count(spec: SplitUNetSpec) -> int:
    """Trainable parameters of all parties together; nothing is allocated."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in SplitUNet(spec).parameters())
