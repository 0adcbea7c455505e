"""The values that an adversary may hold: own patients, gradients, answers to queries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, final

import torch

from leakaudit.types import Images, Levels, Masks, SiteLevels

# What comes back: every modality, the modalities of the other sites, the tumour's mask, or how well
# each candidate patient fits what was released.
Recovers = Literal["images", "other-site images", "masks", "identities"]


@final
@dataclass(frozen=True, kw_only=True)
class SystemLayout:
    """The facts about the system that everybody in the protocol knows.

    Args:
        channels: modalities of each site.
        crossing: the levels that cross the cut, shallow to deep.
        features: channels of each level of a site's encoder.
        spatial: extents of an image in voxels.
        victims: how many images are to be reconstructed.
        site: which site the adversary is; None for one that is not a data site.
        gradient_batch: slices of a batch whose gradients are observed, the victim's first.
        bottleneck: at most so many channels of each crossing level are sent; None for all.
        candidates: images on the adversary's list of candidate patients; 0 without such a list.
    """

    channels: tuple[int, ...]
    crossing: tuple[int, ...]
    features: tuple[int, ...]
    spatial: tuple[int, ...]
    victims: int
    site: int | None = None
    gradient_batch: int = 1
    bottleneck: int | None = None
    candidates: int = 0

    @property
    def sent_channels(self) -> tuple[int, ...]:
        """Channels of what one site sends of each crossing level, shallow to deep."""
        widths = [self.features[level] for level in self.crossing]
        return tuple(min(width, self.bottleneck or width) for width in widths)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape ``(victims, modalities, *spatial)`` of a reconstruction."""
        return self.shape_of("images")

    def shape_of(self, recovers: Recovers) -> tuple[int, ...]:
        """Shape of what an attack returns.

        Images have the modalities as channels, a mask has one channel; of identities there is one
        score for each victim and candidate, ``(victims, candidates)``.
        """
        if recovers == "identities":
            return (self.victims, self.candidates)
        channels = {
            "images": sum(self.channels),
            "other-site images": len(self.foreign),
            "masks": 1,
        }[recovers]
        return (self.victims, channels, *self.spatial)

    @property
    def foreign(self) -> tuple[int, ...]:
        """The modalities that the adversary does not hold itself, as positions in an image."""
        first = sum(self.channels[: self.site or 0])
        held = range(first, first + self.channels[self.site]) if self.site is not None else ()
        return tuple(index for index in range(sum(self.channels)) if index not in held)

    def views(self, images: Images) -> tuple[torch.Tensor, ...]:
        """Split ``(B, modalities, *spatial)`` into each site's own modalities."""
        return tuple(images.split(list(self.channels), dim=1))


@final
@dataclass(frozen=True, kw_only=True)
class AuxiliaryPatients:
    """The adversary's own patients, disjoint from training patients and victims.

    Args:
        images: all their slices, values in [0, 1].
        masks: their tumour masks ``(slices, *spatial)``, where the threat has a use for them; else
            None.
        patient: index of the patient each slice belongs to.
        middle: index of each patient's middle slice, where a victim is observed.
    """

    images: Images
    masks: Masks | None
    patient: torch.Tensor
    middle: torch.Tensor


@final
@dataclass(frozen=True, kw_only=True)
class GradientRelease:
    """Weight gradients or updates as an aggregator receives them, at one training checkpoint.

    Args:
        checkpoint: ``"initialisation"``, ``"epoch 2"`` or ``"final"``.
        encoders: every site's encoder with the weights of that checkpoint.
        gradients: per victim the gradients of all encoders' parameters of one batch that holds
            that victim's slice and nobody else's but companions', site after site, in
            ``parameters()`` order; of an update the weights after a round minus those before.
    """

    checkpoint: str
    encoders: tuple[torch.nn.Module, ...]
    gradients: tuple[tuple[torch.Tensor, ...], ...]


# A seed in, every site's encoder with weights drawn by it out.
BuildEncoders = Callable[[int], tuple[torch.nn.Module, ...]]


Query = Callable[[Images, torch.Generator], SiteLevels]


TranscriptQuery = Callable[[Images, torch.Generator], tuple[SiteLevels, ...]]


@final
@dataclass(frozen=True, kw_only=True)
class GradientMessages:
    """The gradients that training on some batches would send.

    Args:
        weights: per batch the gradients of all encoders' parameters, site after site.
        cut: per site one cut gradient ``(slices, C, *spatial)`` per crossing level, of every slice
            of every batch.
    """

    weights: tuple[tuple[torch.Tensor, ...], ...]
    cut: SiteLevels


@final
@dataclass(frozen=True, kw_only=True)
class HeadMessages:
    """The messages of the U-shaped variant's second cut, at one training checkpoint.

    Args:
        features: sent by the server to the hospital that holds the masks, ``(B, C, *spatial)``.
        gradients: the gradient of the loss with respect to them, which returns.
    """

    features: torch.Tensor
    gradients: torch.Tensor


HeadQuery = Callable[[Images, Masks, torch.Generator], tuple[HeadMessages, ...]]


# Images, their masks and a generator in; for each observed checkpoint the gradients out.
GradientQuery = Callable[[Images, Masks, torch.Generator], tuple[GradientMessages, ...]]


# The same in, for each observed checkpoint and batch the updates of all encoders' parameters out.
UpdateQuery = Callable[
    [Images, Masks, torch.Generator], tuple[tuple[tuple[torch.Tensor, ...], ...], ...]
]


OwnGradientQuery = Callable[[Images, Masks, torch.Generator], tuple[Levels, ...]]


# The answer to the batch before in (None to begin), the next batch's release out; or the victims'.
Exchange = Callable[[SiteLevels | None, bool], SiteLevels]
