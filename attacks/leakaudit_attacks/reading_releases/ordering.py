"""Positions that were released in another order, put back in that of the image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

import torch
from torch.nn import functional

from leakaudit.api import Images

# Channels by which an order is found, where every channel's own would take minutes.
_CHANNELS, _MANY_POSITIONS = 8, 4096
_POSITIONS_AT_ONCE = 1024
# Released values of probe images beyond which the best channels alone are held.
_MOST = 2**26
# Sorted values of a channel that holds a fresh order are alike in every release.
_ALIKE = 0.05


@final
@dataclass(frozen=True, kw_only=True)
class Keyed:
    """A fresh order undone by one channel that holds it.

    Args:
        key: number of that channel at every site.
        sites: how many sites' channels stand one after another.
        inverse: the channel says where each value belongs; else which value belongs there.
    """

    key: int
    sites: int
    inverse: bool

    def __call__(self, level: torch.Tensor) -> torch.Tensor:
        """``(B, C, *spatial)`` to the same, each site's channels in the order of its key."""
        parts = []
        for site in level.flatten(2).chunk(self.sites, dim=1):
            order = site[:, self.key : self.key + 1].argsort(dim=-1, stable=True)
            if not self.inverse:
                order = order.argsort(dim=-1)
            parts.append(site.gather(2, order.expand_as(site)))
        return torch.cat(parts, dim=1).view_as(level)

    def __str__(self) -> str:
        """In words."""
        return f"the order that channel {self.key} holds undone"


def keys(level: torch.Tensor, sites: int) -> tuple[Keyed, ...]:
    """Ways to undo a fresh order, by each channel that may hold one; two at most are considered."""
    first = torch.nan_to_num(level.chunk(sites, dim=1)[0].flatten(2).double())
    in_order = first.sort(dim=-1).values
    moved = (first - first.mean(dim=0)).square().mean(dim=(0, 2))
    alike = (in_order - in_order.mean(dim=0)).square().mean(dim=(0, 2))
    share = torch.where(moved > 0, alike / torch.where(moved > 0, moved, 1.0), 1.0)
    found = [key for key in share.argsort().tolist()[:2] if share[key] < _ALIKE]
    return tuple(
        Keyed(key=key, sites=sites, inverse=inverse) for key in found for inverse in (True, False)
    )


@final
@dataclass(frozen=True, kw_only=True)
class Reordered:
    """A fixed order undone.

    Args:
        channels: which of them are taken, ``(K,)``.
        order: for each position of the image the released one, ``(K or 1, positions)``.
    """

    channels: torch.Tensor
    order: torch.Tensor

    def __call__(self, level: torch.Tensor) -> torch.Tensor:
        """``(B, C, *spatial)`` to ``(B, K, *spatial)``."""
        flat = level.flatten(2)[:, self.channels.to(level.device)]
        order = self.order.to(level.device).expand(len(self.channels), -1)
        return flat.gather(2, order.expand(len(flat), -1, -1)).view(
            len(level), len(self.channels), *level.shape[2:]
        )

    def __str__(self) -> str:
        """In words."""
        of = "one for each channel" if len(self.order) > 1 else "the same for all channels"
        return f"a fixed order of positions undone, {of}"


def patterns(
    images: Images, spatial: torch.Size, count: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Probe images of black and white blocks of a level's voxels, drawn at random.

    Args:
        images: of the shape ``(N, M, *spatial)`` that probes shall have.
        spatial: the level's.
        count: how many.
        generator: of every draw.

    Returns:
        ``(count, M, *spatial)``, the same pattern in every modality, and the patterns as they are,
        ``(count, positions)``, -1 or 1.
    """
    drawn = torch.randint(2, (count, 1, *spatial), generator=generator).to(images)
    large = functional.interpolate(drawn, list(images.shape[2:]), mode="nearest")
    probes = large.expand(-1, images.shape[1], *large.shape[2:]).contiguous()
    return probes, 2 * drawn.flatten(1) - 1


def fixed_orders(answers: Iterable[torch.Tensor], shown: torch.Tensor) -> tuple[Reordered, ...]:
    """Orders in which released positions follow the patterns of probe images.

    Args:
        answers: what was released of the probes, one level, some at a time, each
            ``(., C, *spatial)``. Of large ones only the channels are held that follow best.
        shown: the patterns, ``(N, positions)``.

    Returns:
        One order of all channels, and one for each channel.
    """
    flat, kept, channels = _held(answers, shown)
    shown = shown - shown.mean(dim=0)
    chosen = _following(flat, shown)
    together, alone = [], []
    for positions in shown.T.split(_POSITIONS_AT_ONCE):
        of_all = positions.new_zeros(len(positions), flat.shape[2])
        of_each = []
        for number, channel in enumerate(chosen.tolist()):
            correlation = (positions @ flat[:, channel]).square()
            of_each.append(correlation.argmax(dim=1))
            if number < _CHANNELS:
                of_all += correlation
        together.append(of_all.argmax(dim=1))
        alone.append(torch.stack(of_each))
    return (
        Reordered(channels=torch.arange(channels), order=torch.cat(together)[None]),
        Reordered(channels=kept[chosen], order=torch.cat(alone, dim=1)),
    )


def _held(
    answers: Iterable[torch.Tensor], shown: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Standardised ``(N, K, positions)``, which channels these are, and how many there were."""
    parts: list[torch.Tensor] = []
    kept, channels = torch.zeros(0, dtype=torch.long), 0
    for some in answers:
        if not parts:
            channels = some.shape[1]
            kept = torch.arange(channels)
        parts.append(some.flatten(2)[:, kept.to(some.device)])
        if len(kept) == channels and sum(map(torch.Tensor.numel, parts)) > _MOST:
            so_far = torch.cat(parts)
            best = _following(_standardised(so_far), shown[: len(so_far)]).to(so_far.device)
            parts, kept = [so_far[:, best]], best.cpu()
    return _standardised(torch.cat(parts)), kept.to(shown.device), channels


def _standardised(flat: torch.Tensor) -> torch.Tensor:
    """Scale to mean 0 and variance 1 over samples, channel by channel to spare memory."""
    found = torch.empty_like(flat, dtype=torch.float32)
    for channel in range(flat.shape[1]):
        values = torch.nan_to_num(flat[:, channel].double())
        values = values - values.mean(dim=0)
        size = values.square().mean(dim=0).sqrt()
        found[:, channel] = torch.where(size > 0, values / torch.where(size > 0, size, 1.0), 0.0)
    return found


def _following(flat: torch.Tensor, shown: torch.Tensor) -> torch.Tensor:
    """The channels that follow some position best: by the largest correlation, at a few."""
    some = shown[:, :: max(1, shown.shape[1] // 64)]
    some = some - some.mean(dim=0)
    follows = torch.stack(
        [(some.T @ channel).abs().amax(dim=1).mean() for channel in flat.unbind(dim=1)]
    )
    most = _CHANNELS if shown.shape[1] > _MANY_POSITIONS else 4 * _CHANNELS
    return follows.argsort(descending=True)[:most]
