"""Mask inference: what the gradients that return to a site say of the label site's masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from leakaudit.api import Images, Masks, Recovers, SystemLayout
from leakaudit_attacks.decoding.masks import mask_loss, tumour
from leakaudit_attacks.decoding.own_site import OwnSiteInversion
from leakaudit_attacks.papers import cited


@final
@dataclass(frozen=True, kw_only=True)
class MaskInference(OwnSiteInversion):
    """Recover the tumour masks of training patients from the cut gradients returned to a site.

    The gradient of a voxel's loss has the sign of what the network should have said there. The site
    learns the mask from it and from its own image, on patients of its own whose masks it knows.
    Recovers the whole tumour, not its parts.

    Args:
        steps: training steps.
        batch_size: own slices per step.
        width: channels of the network.
        learning_rate: peak of a one-cycle schedule.
        examples: own slices, mirrored ones included, that are enrolled at most; what comes back for
            each is asked at every observed checkpoint.

    Reference: Erdogan et al. 2022 (arXiv:2108.09033), section 3.3, infer the label of a sample from
    the gradient that returns; that a network learns it (Wu et al. 2023, arXiv:2210.10880), and of
    every voxel, is ours.
    """

    recovers: ClassVar[Recovers] = "masks"
    nist: ClassVar[str] = "data reconstruction (labels)"
    citations = cited("erdogan2022unsplit", "wu2023learning")

    def wanted(self, images: Images, masks: Masks, layout: SystemLayout) -> torch.Tensor:
        """Tumour or not, ``(N, 1, *spatial)``."""
        return tumour(masks, images)

    def loss(self, found: Images, wanted: Images) -> torch.Tensor:
        """Cross-entropy plus soft Dice."""
        return mask_loss(found, wanted)
