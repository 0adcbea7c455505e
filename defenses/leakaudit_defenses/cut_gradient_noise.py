"""Clipping and noise on the gradients that return to the sites."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch

from leakaudit.api import Levels, Stage, normal_like, require_between
from leakaudit_defenses.papers import cited
from leakaudit_defenses.unchanged import ReleaseUnchanged


@final
@dataclass(frozen=True, kw_only=True)
class CutGradientNoise(ReleaseUnchanged):
    """The label site clips each sample's cut gradient and adds Gaussian noise before it returns.

    Against what a site, or the server of the U-shaped variant, reads of the masks in it. What the
    sites release is left as it is. No guarantee: the noise is in proportion to each sample's own
    gradient, whose size stays visible.

    Args:
        std: standard deviation of the noise in units of the root mean square of the sample's
            gradient in that level, at least 0.
        clip: L2 bound of one sample's joint gradient over the levels of a site, in units of the
            gradient; None for none.

    Reference: Li et al. 2022 (arXiv:2102.08504), which adds noise to cut gradients against label
    inference; the isotropic kind.
    """

    std: float = 1.0
    clip: float | None = None

    acts_on: ClassVar[frozenset[Stage]] = frozenset({Stage.RETURNED_GRADIENT})
    off: ClassVar[Mapping[str, Any] | None] = {"std": 0.0, "clip": None}
    citations = cited("li2022label")

    def __post_init__(self) -> None:
        """Check the configuration.

        Raises:
            ConfigError: a value is outside its range.
        """
        require_between(self, 0, 1e6, "std")
        if self.clip is not None:
            require_between(self, 1e-12, 1e12, "clip")

    def draw_returned(self, gradients: Levels, generator: torch.Generator) -> Levels:
        """Standard normal values of the gradients' shapes."""
        return tuple(normal_like(gradient, generator) for gradient in gradients)

    def apply_returned(self, gradients: Levels, drawn: Levels) -> Levels:
        """Clip to the joint norm, then add noise in proportion to what is left."""
        if self.clip is not None:
            squares = [gradient.double().flatten(1).square().sum(dim=1) for gradient in gradients]
            norms = torch.stack(squares).sum(dim=0).sqrt().clamp_min(1e-30)
            factors = (self.clip / norms).clamp(max=1)
            gradients = tuple(gradient * _over(factors, gradient) for gradient in gradients)
        return tuple(
            gradient
            + self.std * _over(gradient.flatten(1).square().mean(dim=1).sqrt(), noise) * noise
            for gradient, noise in zip(gradients, drawn, strict=True)
        )


def _over(factors: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """One factor per sample, to be multiplied with ``like``."""
    return factors.to(like).view(-1, *[1] * (like.ndim - 1))
