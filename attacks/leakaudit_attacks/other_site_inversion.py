"""Other-site inversion: what the gradients that return to one site say of another site's images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from leakaudit.api import Images, Masks, Recovers, SystemLayout
from leakaudit_attacks.decoding.decoder import difference
from leakaudit_attacks.decoding.own_site import OwnSiteInversion
from leakaudit_attacks.papers import cited


@final
@dataclass(frozen=True, kw_only=True)
class OtherSiteInversion(OwnSiteInversion):
    """Recover the modalities of the other sites from what returns to a site, and its own images.

    The label site joins what all sites send before it answers, so that an answer to one depends on
    the images of the others. How much of a figure is due to that shows against the floor: the same
    network without the gradients, which synthesises the missing modalities from the own ones.

    Args:
        steps: training steps.
        batch_size: own slices per step.
        width: channels of the network.
        learning_rate: peak of a one-cycle schedule.
        examples: own slices, mirrored ones included, that are enrolled at most; what comes back for
            each is asked at every observed checkpoint.

    Reference: Wu et al. 2023 (arXiv:2210.10880) for learning to invert gradients; across the sites
    of split learning it is ours.
    """

    recovers: ClassVar[Recovers] = "other-site images"
    citations = cited("wu2023learning")

    def wanted(self, images: Images, masks: Masks, layout: SystemLayout) -> torch.Tensor:
        """The other sites' modalities, ``(N, M, *spatial)``."""
        del masks
        return images[:, list(layout.foreign)]

    def loss(self, found: Images, wanted: Images) -> torch.Tensor:
        """Mean absolute error plus 1 - SSIM."""
        return difference(found, wanted)
