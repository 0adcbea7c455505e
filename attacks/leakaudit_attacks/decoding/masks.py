"""The target of an attack on masks, and a network's distance from it."""

from __future__ import annotations

import torch
from torch.nn import functional

from leakaudit.api import Images, Masks


def tumour(masks: Masks, like: torch.Tensor) -> torch.Tensor:
    """Tumour or not, ``(N, 1, *spatial)``, from the classes ``(N, *spatial)``."""
    return (masks > 0).unsqueeze(1).to(like.dtype)


def mask_loss(found: Images, wanted: Images) -> torch.Tensor:
    """Cross-entropy plus soft Dice, over all masks together."""
    from monai.losses import DiceLoss  # slow to import, and an attack is often only described

    overlap: torch.Tensor = DiceLoss(batch=True)(found, wanted)
    return functional.binary_cross_entropy(found, wanted) + overlap
