"""What the attacks that learn from cut gradients share: examples of their own, and their scale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import torch

from leakaudit.api import AuxiliaryPatients, CellError, Images, Levels, Masks, SiteLevels
from leakaudit_attacks.decoding import joined

# An image ``(1, M, *spatial)`` and its mask in; per checkpoint and site the cut gradients out.
Asked = Callable[[Images, Masks], Sequence[SiteLevels]]


@final
@dataclass(frozen=True, kw_only=True)
class Examples:
    """Slices of the adversary's own patients with the cut gradients they would cause.

    Args:
        levels: per crossing level ``(N, C, *spatial)``, scaled by `scaled`.
        images: ``(N, M, *spatial)``.
        masks: ``(N, *spatial)``.
    """

    levels: Levels
    images: Images
    masks: Masks


def examples(
    auxiliary: AuxiliaryPatients, count: int, ask: Asked, generator: torch.Generator
) -> Examples:
    """The own patients' slices, plain and mirrored, in random order, ``count`` at most.

    Raises:
        CellError: the auxiliary patients come without masks.
    """
    if auxiliary.masks is None:
        raise CellError("the auxiliary patients come without masks, which gradients need")
    own = len(auxiliary.images)
    order = torch.randperm(2 * own, generator=generator, device=generator.device)
    chosen = order[:count].tolist()
    images = auxiliary.images[[number % own for number in chosen]]
    masks = auxiliary.masks[[number % own for number in chosen]]
    levels: list[torch.Tensor] = []
    for place, number in enumerate(chosen):
        if number >= own:
            images[place], masks[place] = images[place].flip(-1), masks[place].flip(-1)
        one = slice(place, place + 1)
        found = scaled(ask(images[one], masks[one]))
        # Filled in place: joined at the end, all of them would be in memory twice.
        levels = levels or [each.new_empty(len(chosen), *each.shape[1:]) for each in found]
        for level, each in zip(levels, found, strict=True):
            level[place] = each[0]
    return Examples(levels=tuple(levels), images=images, masks=masks)


def scaled(checkpoints: Sequence[SiteLevels]) -> Levels:
    """Per level the gradients of all sites and checkpoints, each sample's of root mean square 1."""
    of_all = []
    for sites in checkpoints:
        of_checkpoint = []
        for level in joined(sites):
            size = level.flatten(1).square().mean(dim=1).sqrt().clamp_min(1e-30)
            of_checkpoint.append(level / size.view(-1, *[1] * (level.ndim - 1)))
        of_all.append(of_checkpoint)
    return tuple(torch.cat(level, dim=1) for level in zip(*of_all, strict=True))
