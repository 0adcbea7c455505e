"""How far a candidate's activations are from the released ones, and how far to trust these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import torch
from torch.autograd.function import once_differentiable

from leakaudit.api import Capability, Evidence, Images, Observation, SiteLevels
from leakaudit_attacks.optimising.engine import differentiable_once

# Beyond this an inexact value would say next to nothing beside an exact one, and the search would
# be led by few values alone. Where all values of a level are known alike it is of no effect.
_EXACT = 30.0
# The least variance whose inverse is a float32, with room for a square.
_LEAST = 1e-32


@final
class ActivationMatch:
    """Squared misfit to the evidence, mean over the released values that say anything.

    A value's misfit is divided by its level's variance, or by its error's where that is larger;
    within a level what is known better counts more.
    Levels count by their number of values, so that a small deep level does not outweigh the large
    shallow ones. Repeated releases are averaged.
    """

    def __init__(
        self, observation: Observation, encoders: Sequence[torch.nn.Module] | None = None
    ) -> None:
        """Take activations, the defense and, unless others are given, encoders as observed."""
        self.layout = observation.layout
        self.encoders = observation.encoders if encoders is None else tuple(encoders)
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
        trusted = torch.stack(
            [
                (weight > 0).expand_as(value).sum()
                for values, weights in zip(self.values, self.weights, strict=True)
                for value, weight in zip(values, weights, strict=True)
            ]
        ).sum()
        self.scale = (self.layout.victims / trusted.clamp_min(1).double()).float()
        self.noise_share = _noise_share(evidence).float()

    def __call__(self, images: Images, step: int) -> torch.Tensor:
        """One value for each of ``(restarts * victims, M, *spatial)``."""
        del step
        # Encoders that are being learned need the graph; of others only the slopes are wanted.
        parameters = (each for encoder in self.encoders for each in encoder.parameters())
        learned = any(each.requires_grad for each in parameters)
        misfit = images.new_zeros(len(images))
        for site, view in enumerate(self.layout.views(images)):
            if learned or not (torch.is_grad_enabled() and images.requires_grad):
                misfit = misfit + self._of_site(site, view)
                continue
            here = view.detach().requires_grad_()
            of_site = self._of_site(site, here)
            if of_site.requires_grad:  # a defense may let nothing through that can be followed
                (slopes,) = torch.autograd.grad(of_site.sum(), here, materialize_grads=True)
                of_site = differentiable_once(of_site.detach(), view, slopes)
            misfit = misfit + of_site
        return misfit * self.scale

    def _of_site(self, site: int, view: torch.Tensor) -> torch.Tensor:
        levels = self.defense.expected(self.encoders[site](view))
        parts = [
            _weighted_square(level, value, weight)
            for level, value, weight in zip(
                levels, self.values[site], self.weights[site], strict=True
            )
        ]
        return torch.stack(parts).sum(dim=0)


@final
class _WeightedSquare(torch.autograd.Function):
    """``(weight * (level - value) ** 2)``, summed per candidate, and its gradient to the level.

    By hand, since autograd's way of it goes over the released tensors twice as often, which a small
    encoder's own work does not hide.
    """

    @staticmethod
    def forward(
        ctx: Any, level: torch.Tensor, value: torch.Tensor, weight: torch.Tensor
    ) -> torch.Tensor:
        apart = level.unflatten(0, (-1, len(value))) - value
        uniform = weight.numel() == 1
        trusted = apart if uniform else weight * apart
        ctx.save_for_backward(trusted, weight if uniform else weight.new_ones(1))
        total: torch.Tensor = torch.linalg.vecdot(trusted.flatten(2), apart.flatten(2)).flatten()
        return total * weight.flatten() if uniform else total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        trusted, factor = ctx.saved_tensors
        flat = trusted.flatten(0, 1)
        each = 2 * factor.flatten() * gradients[0]
        gradient: torch.Tensor = flat * each.view(-1, *(1,) * (flat.ndim - 1))
        return gradient, None, None


def _weighted_square(
    level: torch.Tensor, value: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """Per candidate: ``level`` of ``(restarts * victims, C, *spatial)``, ``value`` of the victims.

    ``weight`` is of the shape of ``value``, or one number that broadcasts to it.
    """
    total: torch.Tensor = _WeightedSquare.apply(level, value, weight)  # type: ignore[no-untyped-call]
    return total


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
            stacked = torch.stack([each.values[level] for each in seen])
            # 1e-12 of the level's size stands for "exact", so that exact releases are averaged
            # alike.
            exact = (1e-12 * stacked.double().square().mean()).clamp_min(1e-36).to(stacked)
            precision = torch.stack(
                [1 / (_compact(each.variances[level]) + exact) for each in seen]
            )
            total = precision.sum(dim=0)
            mean = (precision * stacked).sum(dim=0) / total.clamp_min(1e-30)
            values.append(torch.where(total > 0, mean, torch.zeros_like(mean)))
            variances.append(1 / total)
        pooled.append(Evidence(values=tuple(values), variances=tuple(variances)))
    return pooled


def _compact(variance: torch.Tensor) -> torch.Tensor:
    """One number that broadcasts, if a defense says one for all: a number that was expanded."""
    alike = not any(variance.stride())
    return variance[(slice(1),) * variance.ndim] if alike else variance


def _weights(value: torch.Tensor, variance: torch.Tensor) -> torch.Tensor:
    """1 / (variance of the values, which holds the error's), 0 where nothing is known.

    That is for those of a victim's values that are known best; of its others the less the larger
    their error is: what is exact counts up to `_EXACT` times as much as what is as far off as
    values are from each other.
    """
    known = torch.isfinite(variance)
    everywhere = known.expand_as(value)
    spread = torch.where(everywhere.sum() > 1, _variance(value, everywhere), 1.0).to(value)
    # However small all values are; what does not vary at all tells nobody from anybody.
    known = known & (spread > _LEAST)
    spread = spread.clamp_min(_LEAST)
    # Of each victim alone: nobody's weight depends on how well another is known.
    least = torch.where(known, variance, torch.inf).amin(
        dim=tuple(range(1, value.ndim)), keepdim=True
    )
    floor = spread / _EXACT
    share = torch.maximum(least, floor) / torch.maximum(variance, floor)
    weight = share / torch.maximum(spread, least)
    return torch.where(known, weight, torch.zeros_like(weight))


def _noise_share(evidence: list[Evidence]) -> torch.Tensor:
    """Mean share of the error's variance in the variance of what is known, 0 to 1; 1 if nothing is.

    Returns:
        A float64 scalar.
    """
    shares, counted = [], []
    for each in evidence:
        for value, variance in zip(each.values, each.variances, strict=True):
            known = torch.isfinite(variance).expand_as(value)
            error = torch.where(known, variance, 0.0).double().sum() / known.sum().clamp_min(1)
            shares.append(error / _variance(value, known).clamp_min(_LEAST))
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
