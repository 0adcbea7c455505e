"""Training against the distance correlation of images and what is released of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch
from torch import nn

from leakaudit.api import Images, Levels, Stage, require_between
from leakaudit_defenses.papers import cited
from leakaudit_defenses.unchanged import ReleaseUnchanged


@final
@dataclass(frozen=True, kw_only=True)
class Nopeek(ReleaseUnchanged):
    """Add ``weight`` times the distance correlation of images and releases to each site's loss.

    A regulariser of the training, every site on its own images; the release itself is left as it
    is, and carries no guarantee: a small correlation over a batch of few samples does not keep a
    decoder from reading what is there. A batch of one sample has no correlation, and no penalty.

    Args:
        weight: of the penalty beside the loss of the segmentation, at least 0.

    Reference: Vepakomma et al. 2020 (arXiv:2008.09161), equation 1; Székely et al. 2007.
    """

    weight: float = 1.0

    acts_on: ClassVar[frozenset[Stage]] = frozenset({Stage.TRAINING})
    off: ClassVar[Mapping[str, Any] | None] = {"weight": 0.0}
    citations = cited("vepakomma2020nopeek", "szekely2007measuring")

    def __post_init__(self) -> None:
        """Check the configuration.

        Raises:
            ConfigError: ``weight`` is negative.
        """
        require_between(self, 0, 1e6, "weight")

    def penalty(
        self, images: Images, released: Levels, companion: nn.Module | None
    ) -> torch.Tensor | None:
        """``weight`` times the distance correlation, in [0, weight]."""
        del companion
        if len(images) < 2 or self.weight == 0:
            return None
        sent = torch.cat([level.flatten(1) for level in released], dim=1)
        return self.weight * distance_correlation(images.flatten(1), sent)


def distance_correlation(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Distance correlation of two samples of paired vectors.

    Args:
        first: ``(n, p)``, n at least 2.
        second: ``(n, q)``.

    Returns:
        A scalar in [0, 1]; 0 where one of them does not vary. Differentiable.

    Reference: Székely, Rizzo and Bakirov 2007, definitions 4 and 5.
    """
    a, b = _centred(first), _centred(second)
    covariance = (a * b).mean().clamp_min(0)
    variances = a.square().mean() * b.square().mean()
    # Bounded below before the roots, whose gradient at 0 is infinite.
    return (covariance / variances.clamp_min(1e-24).sqrt()).clamp_min(1e-12).sqrt()


def _centred(vectors: torch.Tensor) -> torch.Tensor:
    """Pairwise distances, each row's and column's mean taken off."""
    # Not by inner products, which round a small distance between long vectors to noise.
    mode = "donot_use_mm_for_euclid_dist"
    distances = torch.cdist(vectors, vectors, compute_mode=mode)
    rows, columns = (distances.mean(dim=dim, keepdim=True) for dim in (0, 1))
    return distances - rows - columns + distances.mean()
