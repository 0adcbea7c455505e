"""Activation inversion: match the released activations under the known encoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from leakaudit.api import (
    Attack,
    Capability,
    Evidence,
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
class ActivationInversion(Attack):
    """Recover images by matching released activations under the known encoder, with a TV prior.

    Knows the encoders' weights and the defence, from which it learns how far each released value
    can be trusted (`Defense.evidence`): dropped values are ignored, noisy ones trusted less and
    the prior more. Every released value counts alike, over its level's variance, so that a small
    deep level does not outweigh the large shallow ones. Repeated releases are averaged.

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

    def __post_init__(self) -> None:
        """Check the configuration.

        Raises:
            ConfigError: a value is outside its range.
        """
        require_between(self, 1, 1_000_000, "iterations")
        require_between(self, 0, 1e6, "learning_rate", "tv", "tv_noise")

    def run(
        self, observation: Observation, *, generator: torch.Generator, progress: Progress
    ) -> Reconstruction:
        """Start from the auxiliary mean where there is one, else from mid-grey."""
        del generator  # nothing here is random
        device = observation.activations[0][0].device
        return self.invert(observation, start_image(observation, device), progress)

    def invert(self, observation: Observation, start: Images, progress: Progress) -> Reconstruction:
        """Descend from ``start`` ``(victims, M, *spatial)``; what `run` does from its own start."""
        objective = _Objective(self, observation)
        images = descend(
            objective,
            start,
            iterations=self.iterations,
            learning_rate=self.learning_rate,
            progress=progress,
        )
        with torch.no_grad():
            first, last = objective(start, 0).mean(), objective(images, 0).mean()
        return Reconstruction(
            images=images,
            objective_first=float(first),
            objective_last=float(last),
            iterations=self.iterations,
        )


class _Objective:
    """Gaussian log-likelihood of the evidence, per released value, plus total variation."""

    def __init__(self, attack: ActivationInversion, observation: Observation) -> None:
        self.layout = observation.layout
        self.encoders = observation.encoders
        self.defense = observation.defense
        evidence = _pooled_evidence(observation)
        self.values = [each.values for each in evidence]
        self.weights = [
            [
                _weights(value, variance)
                for value, variance in zip(each.values, each.variances, strict=True)
            ]
            for each in evidence
        ]
        # Tensors throughout, so that nothing waits for the device or branches on its values.
        trusted = torch.stack([(w > 0).sum() for site in self.weights for w in site]).sum()
        self.scale = (self.layout.victims / trusted.clamp_min(1).double()).float()
        self.tv = (attack.tv + attack.tv_noise * _noise_share(evidence)).float()

    def __call__(self, images: Images, step: int) -> torch.Tensor:
        del step
        misfit = images.new_zeros(len(images))
        views = self.layout.views(images)
        for encoder, view, values, weights in zip(
            self.encoders, views, self.values, self.weights, strict=True
        ):
            for level, value, weight in zip(
                self.defense.expected(encoder(view)), values, weights, strict=True
            ):
                misfit = misfit + (weight * (level - value).square()).flatten(1).sum(dim=1)
        return misfit * self.scale + self.tv * total_variation(images)


def _pooled_evidence(observation: Observation) -> list[Evidence]:
    """Per site the evidence of all granted releases, averaged by precision."""
    releases: tuple[SiteLevels, ...] = (observation.activations,)
    if Capability.REPEATED_RELEASES in observation.granted:
        releases = observation.repeated_releases
    pooled = []
    for site in range(len(observation.layout.channels)):
        seen = [observation.defense.evidence(release[site]) for release in releases]
        values, variances = [], []
        for level in range(len(observation.layout.crossing)):
            # 1e-12 stands for "exact", so that exact releases are averaged alike.
            precision = torch.stack([1 / (each.variances[level] + 1e-12) for each in seen])
            total = precision.sum(dim=0)
            stacked = torch.stack([each.values[level] for each in seen])
            mean = (precision * stacked).sum(dim=0) / total.clamp_min(1e-30)
            values.append(torch.where(total > 0, mean, torch.zeros_like(mean)))
            variances.append(1 / total)
        pooled.append(Evidence(values=tuple(values), variances=tuple(variances)))
    return pooled


def _weights(value: torch.Tensor, variance: torch.Tensor) -> torch.Tensor:
    """1 / (variance of the values, which holds the error's), 0 where nothing is known."""
    known = torch.isfinite(variance)
    spread = torch.where(known.sum() > 1, _variance(value, known), 1.0).to(value)
    return torch.where(
        known, 1 / torch.maximum(spread.clamp_min(1e-12), variance), torch.zeros_like(value)
    )


def _noise_share(evidence: list[Evidence]) -> torch.Tensor:
    """Mean share of the error's variance in the variance of what is known, 0 to 1; 1 if nothing is.

    Returns:
        A float64 scalar.
    """
    shares, counted = [], []
    for each in evidence:
        for value, variance in zip(each.values, each.variances, strict=True):
            known = torch.isfinite(variance)
            error = torch.where(known, variance, 0.0).double().sum() / known.sum().clamp_min(1)
            shares.append(error / _variance(value, known).clamp_min(1e-12))
            counted.append(known.sum() > 1)
    usable = torch.stack(counted)
    mean = torch.where(usable, torch.stack(shares), 0.0).sum() / usable.sum().clamp_min(1)
    return torch.where(usable.any(), mean.clamp(0, 1), 1.0)


def _variance(value: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Unbiased variance of the known values in float64: ``value[known].var()`` without a wait."""
    count = known.sum()
    mean = torch.where(known, value, 0.0).double().sum() / count.clamp_min(1)
    squares = torch.where(known, value.double() - mean, 0.0).square().sum()
    return squares / (count - 1).clamp_min(1)
