"""Activation inversion: match the released activations under the known encoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from leakaudit.api import (
    Attack,
    Capability,
    Images,
    Observation,
    Progress,
    Reconstruction,
    Work,
    require_between,
)
from leakaudit_attacks.matching_releases.misfit import ReleaseMatch, release_match, smoothed
from leakaudit_attacks.optimising.engine import Objective, StepRule, search, weighted
from leakaudit_attacks.optimising.priors import distance_to
from leakaudit_attacks.optimising.starts import start_image
from leakaudit_attacks.papers import cited


@final
@dataclass(frozen=True, kw_only=True)
class ActivationInversion(Attack):
    """Recover images by matching released activations under the known encoder, with a TV prior.

    Knows the encoders' weights and the defense. With patients of its own it measures by releasing
    them how far each released value can be trusted; without, it goes by `Defense.evidence`. Dropped
    values are ignored, noisy ones trusted less and the prior more, at any scale of a value.
    Where own patients do not bear out what the defense says of itself, they decide which of the two
    is followed. Repeated releases are averaged.

    Not a bound: what this does not recover, another attack may.

    Args:
        iterations: Adam steps, all victims in one batch.
        learning_rate: of the first step, in units of image intensity.
        tv: weight of total variation where nothing is noisy.
        tv_noise: further weight, times the share of noise in what was released (0 to 1).

    Reference: He, Zhang, Lee, "Model inversion attacks against collaborative inference", ACSAC
    2019, section 4 (white-box); Rudin, Osher, Fatemi 1992 for the prior.
    """

    iterations: int = 300
    learning_rate: float = 0.05
    tv: float = 2e-4
    tv_noise: float = 0.3

    requires: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.ACTIVATIONS, Capability.ENCODER_WEIGHTS, Capability.DEFENSE_PARAMETERS}
    )
    measures: ClassVar[bool] = True
    citations = cited("he2019model", "rudin1992nonlinear")

    def __post_init__(self) -> None:
        """Check the configuration.

        Raises:
            ConfigError: a value is outside its range.
        """
        require_between(self, 1, 1_000_000, "iterations")
        require_between(self, 1e-12, 1e6, "learning_rate")
        require_between(self, 0, 1e6, "tv", "tv_noise")

    def work(self) -> Work:
        """The work of one run."""
        return Work(passes=self.iterations)

    def run(
        self, observation: Observation, *, generator: torch.Generator, progress: Progress
    ) -> Reconstruction:
        """Start from the auxiliary mean where there is one, else from mid-grey."""
        del generator  # nothing here is random
        device = observation.activations[0][0].device
        return self.invert(observation, start_image(observation, device), progress)

    def invert(
        self, observation: Observation, start: Images, progress: Progress, *, hold: float = 0.0
    ) -> Reconstruction:
        """Descend from ``start`` ``(victims, M, *spatial)``; what `run` does from its own start.

        Args:
            observation: what the threat model grants.
            start: where every victim starts.
            progress: called after every step.
            hold: what a victim's mean squared distance to its start costs, where its objective at
                the start counts as 1. 0 lets it go anywhere.
        """
        chosen = release_match(observation, self._completed, self.learning_rate)
        objective = self._completed(chosen.match)
        if hold:
            share = 1 / objective(start, -1).detach().clamp_min(1e-12)
            objective = weighted(
                (share, objective), (hold, lambda images, step: distance_to(start, images))
            )
        found = search(
            objective,
            start.unsqueeze(0),
            StepRule(learning_rate=self.learning_rate),
            iterations=self.iterations,
            progress=progress,
        )
        return Reconstruction(
            images=found.images,
            objective_first=float(found.first.mean()),
            objective_last=float(found.last.mean()),
            iterations=self.iterations,
            notes=chosen.notes,
        )

    def objective(self, observation: Observation) -> Objective:
        """The misfit that serves best on own patients, and total variation."""
        chosen = release_match(observation, self._completed, self.learning_rate)
        return self._completed(chosen.match)

    def _completed(self, match: ReleaseMatch) -> Objective:
        """Misfit plus total variation, which weighs the more the noisier the release is."""
        return smoothed(match, self.tv, self.tv_noise)
