"""The loss of the segmentation: over a batch, or as a sum over samples."""

from __future__ import annotations

from typing import final

import torch
from torch import nn


@final
class SummedLoss(nn.Module):
    """Dice + cross-entropy of each sample on its own, summed: what per-sample clipping needs."""

    def __init__(self) -> None:
        """Nothing is configured: the terms are those of `segmentation_loss`."""
        super().__init__()
        self.mean: nn.Module = _dice_and_cross_entropy(batch=False)

    def forward(self, logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """A scalar of logits ``(B, C, *spatial)`` and masks ``(B, 1, *spatial)``."""
        loss: torch.Tensor = self.mean(logits, masks) * len(logits)
        return loss


def segmentation_loss(*, per_sample: bool = False) -> nn.Module:
    """Dice + cross-entropy over the batch: ``loss(logits (B, C, *s), masks (B, 1, *s))``.

    Args:
        per_sample: the sum of each sample's own loss instead, as a private training needs it.
    """
    if per_sample:
        return SummedLoss()
    return _dice_and_cross_entropy(batch=True)


def _dice_and_cross_entropy(*, batch: bool) -> nn.Module:
    from monai.losses import DiceCELoss  # slow to import, and most commands train nothing

    loss: nn.Module = DiceCELoss(
        include_background=False, to_onehot_y=True, softmax=True, batch=batch
    )
    return loss
