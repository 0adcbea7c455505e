"""CAFE: weight gradients of a batch and what crossed the cut, matched together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from leakaudit.api import Capability, Images, Observation, require_between
from leakaudit_attacks.gradients.misfit import GradientMatch, GradientMatching, gradient_device
from leakaudit_attacks.matching_releases.misfit import release_match
from leakaudit_attacks.optimising.engine import Objective, weighted
from leakaudit_attacks.optimising.priors import total_variation
from leakaudit_attacks.optimising.starts import start_image
from leakaudit_attacks.papers import cited


@final
@dataclass(frozen=True, kw_only=True)
class Cafe(GradientMatching):
    """Recover images by matching a batch's weight gradients and the victim's released levels.

    In vertical learning the owner of the label site knows which slice of a batch is whose, and the
    representation that each site made of it: CAFE computes that from the gradients of a first
    linear layer, in split learning it is what crosses the cut. So the search is held to gradients
    and representation at once; total variation counts only as far as it exceeds ``rough``.

    What is released once more at the end of training stands for the representation, of the victim's
    slice alone; the noisier it is, the more total variation costs, from the first step on.

    Args:
        gradients: weight of the gradients' squared difference.
        representation: weight of the misfit to the released levels.
        tv: weight of total variation beyond ``rough``.
        tv_noise: further weight, times the share of noise in what was released (0 to 1).
        rough: total variation that costs nothing, where nothing is noisy.

    Reference: Jin et al. 2021 (arXiv:2110.15122), step III.
    """

    iterations: int = 150
    learning_rate: float = 0.05
    gradients: float = 1.0
    representation: float = 10.0
    tv: float = 0.02
    tv_noise: float = 3.0
    rough: float = 0.05

    requires: ClassVar[frozenset[Capability]] = GradientMatching.requires | {Capability.ACTIVATIONS}
    measures: ClassVar[bool] = True
    citations = cited("jin2021cafe", "rudin1992nonlinear")

    def __post_init__(self) -> None:
        """Check the configuration; ConfigError for a value outside its range."""
        super().__post_init__()
        require_between(self, 0, 1e6, "gradients", "representation", "tv", "tv_noise", "rough")

    def objective(
        self, observation: Observation, checkpoint: int, generator: torch.Generator
    ) -> Objective:
        """The squared difference of the gradients, the victim's representation, rough images."""
        shown, modalities = release_match(observation).match, sum(observation.layout.channels)

        free = self.rough * (1 - shown.noise_share)

        def roughness(images: Images, step: int) -> torch.Tensor:
            return (total_variation(images) - free).clamp_min(0)

        return weighted(
            (self.gradients, GradientMatch(observation, checkpoint, generator, "squared")),
            (self.representation, lambda images, step: shown(images[:, :modalities], step)),
            (self.tv + self.tv_noise * shown.noise_share, roughness),
        )

    def starts(self, observation: Observation, generator: torch.Generator) -> torch.Tensor:
        """The auxiliary mean, or mid-grey."""
        return start_image(observation, gradient_device(observation)).unsqueeze(0)
