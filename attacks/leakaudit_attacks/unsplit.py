"""UnSplit: find images and encoder weights that together explain what was released."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import nn

from leakaudit.api import (
    Attack,
    Capability,
    Observation,
    Progress,
    Reconstruction,
    Work,
    require_between,
)
from leakaudit_attacks.decoding.decoder import integer
from leakaudit_attacks.matching_releases.activations import ActivationMatch
from leakaudit_attacks.optimising.engine import Objective, StepRule, search, weighted
from leakaudit_attacks.optimising.priors import total_variation
from leakaudit_attacks.optimising.starts import start_image
from leakaudit_attacks.papers import cited


@final
@dataclass(frozen=True, kw_only=True)
class Unsplit(Attack):
    """Recover images by matching released activations under encoders that are learned along.

    Knows the encoders' architecture and the defense; no weights, no queries, no patients, no
    masks. Weights and images take turns: one is moved while the other stands still. All victims
    share the weights. It starts from the auxiliary patients' mean where there are any, which tells
    bright from dark and one modality from another; without, from mid-grey as published. Nothing
    keeps a wrong encoder from explaining the releases with wrong images but this start, the
    architecture and total variation, so that it is weak where the encoder is deep.

    Args:
        rounds: turns of the weights, each followed by one of the images.
        weight_steps: Adam steps on the weights per turn.
        image_steps: Adam steps on the images per turn.
        weight_rate: learning rate of the weights.
        image_rate: learning rate at the start of a turn, in units of image intensity.
        tv: weight of total variation.

    Reference: Erdoğan, Küpçü, Çiçek 2022 (arXiv:2108.09033), algorithm 1. Its penalty on squared
    intensities is left out, since images are kept in [0, 1].
    """

    rounds: int = 20
    weight_steps: int = 20
    image_steps: int = 10
    weight_rate: float = 5e-3
    image_rate: float = 0.02
    tv: float = 0.03

    requires: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.ACTIVATIONS, Capability.ENCODER_ARCHITECTURE, Capability.DEFENSE_PARAMETERS}
    )
    citations = cited("erdogan2022unsplit", "rudin1992nonlinear")

    @property
    def iterations(self) -> int:
        """Steps of both kinds together."""
        return self.rounds * (self.image_steps + self.weight_steps)

    def __post_init__(self) -> None:
        """Check the configuration.

        Raises:
            ConfigError: a value is outside its range.
        """
        require_between(self, 1, 1_000_000, "rounds", "image_steps", "weight_steps")
        require_between(self, 1e-12, 1e6, "weight_rate", "image_rate")
        require_between(self, 0, 1e6, "tv")

    def work(self) -> Work:
        """The work of one run."""
        return Work(passes=self.iterations)

    def run(
        self, observation: Observation, *, generator: torch.Generator, progress: Progress
    ) -> Reconstruction:
        """Start from what is known of images and from untrained encoders."""
        device = observation.activations[0][0].device
        surrogates = nn.ModuleList(observation.untrained_encoders(integer(2**31, generator)))
        surrogates.to(device).requires_grad_()
        match = ActivationMatch(observation, tuple(surrogates))
        objective = weighted((1.0, match), (self.tv, lambda images, step: total_variation(images)))
        optimizer = torch.optim.Adam(surrogates.parameters(), lr=self.weight_rate)
        images = start_image(observation, device)
        first = _value(objective, images)
        for turn in range(self.rounds):
            done = turn * (self.weight_steps + self.image_steps)
            for step in range(self.weight_steps):
                optimizer.zero_grad(set_to_none=True)
                match(images, -1).mean().backward()
                optimizer.step()
                progress(done + step + 1, self.iterations)
            images = search(
                objective,
                images[None],
                StepRule(learning_rate=self.image_rate),
                iterations=self.image_steps,
                progress=_from(progress, done + self.weight_steps, self.iterations),
            ).images
        return Reconstruction(
            images=images,
            objective_first=first,
            objective_last=_value(objective, images),
            iterations=self.iterations,
        )


def _value(objective: Objective, images: torch.Tensor) -> float:
    with torch.no_grad():
        return float(objective(images, -1).mean())


def _from(progress: Progress, done: int, total: int) -> Callable[[int, int], None]:
    return lambda step, _: progress(done + step, total)
