"""Gradient inversion: match the weight gradients that an aggregator receives."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, final

import torch

from leakaudit.api import (
    Attack,
    Capability,
    Images,
    Observation,
    Progress,
    Reconstruction,
    SiteLevels,
    require_between,
)
from leakaudit_attacks.matching import descend, start_image, total_variation


@final
@dataclass(frozen=True, kw_only=True)
class GradientInversion(Attack):
    """Recover images by matching the encoders' weight gradients: cosine distance plus TV.

    Knows the encoders, one batch's weight gradient and the cut gradient that caused it, so that
    the label site's network needs not be simulated. The defence is simulated with fresh draws.
    Every observed checkpoint is tried, and per victim the candidate with the lowest own objective
    is kept.

    Not an attack on activations, and not known to work beyond small encoders: its positive
    control says whether it does in a given audit.

    Args:
        iterations: Adam steps per victim batch and checkpoint.
        learning_rate: of the first step, in units of image intensity.
        tv: weight of total variation beside the cosine distance (0 to 2).

    Reference: Geiping et al. 2020 (arXiv:2003.14053), equation 4.
    """

    iterations: int = 100
    learning_rate: float = 0.02
    tv: float = 0.5

    requires: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.WEIGHT_GRADIENTS,
            Capability.CUT_GRADIENTS,
            Capability.ENCODER_WEIGHTS,
            Capability.DEFENSE_PARAMETERS,
        }
    )

    def __post_init__(self) -> None:
        """Check the configuration.

        Raises:
            ConfigError: a value is outside its range.
        """
        require_between(self, 1, 1_000_000, "iterations")
        require_between(self, 0, 1e6, "learning_rate", "tv")

    def run(
        self, observation: Observation, *, generator: torch.Generator, progress: Progress
    ) -> Reconstruction:
        """Attack every checkpoint, keep each victim's best candidate."""
        checkpoints = len(observation.weight_gradients)
        total = checkpoints * self.iterations
        device = observation.weight_gradients[0].gradients[0][0].device
        start = start_image(observation, device)
        candidates, firsts, lasts = [], [], []
        for index in range(checkpoints):
            objective = GradientObjective(self.tv, observation, index, generator)
            images = descend(
                objective,
                start,
                iterations=self.iterations,
                learning_rate=self.learning_rate,
                progress=partial(_shifted, progress, index * self.iterations, total),
            )
            candidates.append(images)
            firsts.append(objective(start, -1).detach())
            lasts.append(objective(images, -1).detach())
        best = torch.stack(lasts).argmin(dim=0)
        victim = torch.arange(len(best), device=best.device)
        chosen = torch.stack(candidates)[best, victim]
        names = [release.checkpoint for release in observation.weight_gradients]
        counts = torch.bincount(best.cpu(), minlength=checkpoints).tolist()
        return Reconstruction(
            images=chosen,
            objective_first=float(torch.stack(firsts)[best, victim].mean()),
            objective_last=float(torch.stack(lasts)[best, victim].mean()),
            iterations=total,
            notes=tuple(
                f"{count} of {len(best)} victims reconstructed from the checkpoint {name!r}."
                for name, count in zip(names, counts, strict=True)
            ),
        )


def _shifted(progress: Progress, offset: int, total: int, done: int, _: int) -> None:
    progress(offset + done, total)


@final
class GradientObjective:
    """Cosine distance between a candidate's weight gradients and the observed ones, plus TV."""

    def __init__(
        self, tv: float, observation: Observation, checkpoint: int, generator: torch.Generator
    ) -> None:
        """Take one checkpoint of ``observation``; step -1 always sees the same draws."""
        release = observation.weight_gradients[checkpoint]
        self.tv = tv
        self.layout = observation.layout
        self.defense = observation.defense
        # Copies: the observation's own encoders keep their gradients off.
        self.encoders = [deepcopy(encoder).requires_grad_(True) for encoder in release.encoders]
        self.parameters = [p for encoder in self.encoders for p in encoder.parameters()]
        self.observed = release.gradients
        self.returned: SiteLevels = observation.cut_gradients[checkpoint]
        self.seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))

    def __call__(self, images: Images, step: int) -> torch.Tensor:
        """One value per victim; each victim is a batch of its own, as it was when observed."""
        distances = [
            self._distance(images[victim : victim + 1], victim, step)
            for victim in range(len(images))
        ]
        return torch.stack(distances) + self.tv * total_variation(images)

    def _distance(self, image: Images, victim: int, step: int) -> torch.Tensor:
        draws = torch.Generator().manual_seed((self.seed + step + 1) % 2**62)
        views = self.layout.views(image)
        caused = image.new_zeros(())
        for encoder, view, returned in zip(self.encoders, views, self.returned, strict=True):
            released = self.defense.release(encoder(view), generator=draws)
            for level, gradient in zip(released, returned, strict=True):
                caused = caused + (level * gradient[victim : victim + 1]).sum()
        gradients = torch.autograd.grad(
            caused, self.parameters, create_graph=True, materialize_grads=True
        )
        observed = self.observed[victim]
        dot = sum((a * b).sum() for a, b in zip(gradients, observed, strict=True))
        norms = [
            torch.stack([tensor.square().sum() for tensor in side]).sum().clamp_min(1e-24).sqrt()
            for side in (gradients, observed)
        ]
        return 1 - dot / (norms[0] * norms[1])
