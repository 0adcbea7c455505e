"""How far a candidate's release is from the received one, by a defense that was measured.

The defense is run, not believed: each released value counts by how far it follows the levels and
how far it moves between draws, on releases of own patients, at any scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch

from leakaudit.api import Images, Levels, Measured, MeasuredLevel, Observation, expanded, wrapped
from leakaudit_attacks.decoding.decoder import releases_of
from leakaudit_attacks.matching_releases.pull import Pull
from leakaudit_attacks.optimising.engine import differentiable_once

# An exact value counts so many times as much as one that noise moves as far as the levels do.
_EXACT = 30.0
# Draws that stand for the expectation where they do more than to add something.
_DRAWS = 4
# A value whose signal or noise is so far from its channel's has its own.
_APART = 8.0
# So many deviations off a value is taken for lost, where some draws throw values far off.
_FAR = 3.0
# Mixtures of less than this share of the largest are rounding.
_SINGULAR = 1e-9


@final
class MeasuredMatch:
    """Squared misfit of released values in units of their measured signal, weighted mean.

    A value counts by 1 / (noise over signal, at least 1 / 30). The candidate goes through the real
    `Defense.apply`, under one draw where draws add something only, else under fresh ones at every
    step, whose mean is compared.
    """

    def __init__(
        self,
        observation: Observation,
        sites: Sequence[Measured],
        pulls: Sequence[Pull],
        *,
        robust: bool = False,
        mixed: bool = False,
    ) -> None:
        """Take what was received.

        Args:
            observation: releases, encoders, defense.
            sites: what was measured of each site's release.
            pulls: per site the way back from released values to levels.
            robust: take noise for what most draws do, and values that are far off for lost.
            mixed: compare those mixtures of channels in which noise and signal are apart.
        """
        self._layout, self._encoders = observation.layout, observation.encoders
        self._sites, self._pulls = list(sites), list(pulls)
        releases = releases_of(observation)
        self._values = [
            [
                _Value(measured, [release[site][level] for release in releases], robust, mixed)
                for level, measured in enumerate(one.levels)
            ]
            for site, one in enumerate(sites)
        ]
        shares = [value.share for site in self._values for value in site]
        known = torch.stack([share.sum() for share in shares]).sum()
        # Where even the best known values are noisy, the noise is what misfit is measured by.
        least = torch.stack([value.least for site in self._values for value in site]).amin()
        self._scale = 1 / (known.clamp_min(1e-300) * (1 + least))
        lost = sum((value.share * value.lost).sum() for site in self._values for value in site)
        # 1 where nothing of a release follows the levels.
        self.noise_share = (lost / known if bool(known > 0) else torch.ones(())).float()

    def __call__(self, images: Images, step: int) -> torch.Tensor:
        """One value for each of ``(restarts * victims, M, *spatial)``."""
        misfit = images.new_zeros(len(images))
        for site, view in enumerate(self._layout.views(images)):
            follow = torch.is_grad_enabled() and images.requires_grad
            here = view.detach().requires_grad_(follow)
            with torch.set_grad_enabled(follow):
                levels = self._encoders[site](here)
            total, slopes = self._of_site(site, levels, step, follow)
            if follow:
                (slope,) = torch.autograd.grad(levels, here, slopes, materialize_grads=True)
                total = differentiable_once(total, view, slope)
            misfit = misfit + total
        return misfit

    def _of_site(
        self, site: int, levels: Levels, step: int, follow: bool
    ) -> tuple[torch.Tensor, Levels]:
        """The misfit of each candidate, and its gradient to the levels."""
        pull, measured = self._pulls[site], self._sites[site]
        fresh = measured.random and not all(level.additive for level in measured.levels)
        draws = _DRAWS if fresh else 1
        leaves = tuple(level.detach() for level in levels)
        drawn = [
            pull.draw(leaves, step, site, index)
            if fresh
            else expanded(measured.drawn, len(leaves[0]))
            for index in range(draws)
        ]
        released = [pull.release(leaves, each) for each in drawn]
        total = levels[0].new_zeros(len(levels[0]))
        weights = []
        for level, value in enumerate(self._values[site]):
            mean = torch.stack([each[level].double() for each in released]).mean(dim=0)
            misfit, weight = value.apart(mean, self._scale)
            total = total + misfit.to(total)
            weights.append(weight / draws)
        if not follow:
            return total, ()
        slopes = [pull.back(leaves, each, tuple(weights)) for each in drawn]
        return total, tuple(map(sum, zip(*slopes, strict=True)))  # type: ignore[arg-type]


@final
class _Value:
    """The received values of one level, and the weight of each."""

    def __init__(
        self,
        measured: MeasuredLevel,
        received: Sequence[torch.Tensor],
        robust: bool,
        mixed: bool,
    ) -> None:
        self._robust = robust
        self._mixture: torch.Tensor | None = None
        spread = measured.usual if robust else measured.noise
        signal, noise = _own_or_pooled(measured.signal), _own_or_pooled(spread)
        if mixed:
            self._mixture, ratios = _mixtures(measured)
            noise = ratios.view(-1, *(1,) * (signal.ndim - 1)).expand(-1, *signal.shape[1:])
            signal = torch.ones_like(noise)
        noise = noise / len(received)
        seen = signal > 0
        safe = torch.where(seen, signal, 1.0)
        ratio = torch.where(seen, noise / safe, torch.inf)
        floor = 1 / _EXACT
        self.share = floor / ratio.clamp_min(floor)
        self.least = torch.where(seen.any(), ratio.amin(), 0.0)
        self.lost = torch.where(seen, ratio / (1 + ratio), 1.0)
        self._inverse = torch.where(seen, 1 / safe.sqrt(), 0.0)
        self._modulus = measured.modulus
        first = received[0].double()
        rest = [wrapped(each.double() - first, self._modulus) for each in received]
        stacked = torch.stack(rest)
        middle = stacked.median(dim=0).values if robust else stacked.mean(dim=0)
        self._value = first + middle - measured.offset

    def apart(
        self, released: torch.Tensor, scale: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Each candidate's misfit, and its gradient to ``released (restarts * victims, ...)``."""
        away = released.unflatten(0, (-1, len(self._value))) - self._value
        near = wrapped(away, self._modulus)
        if self._mixture is not None:
            relative = torch.einsum("kc,rvc...->rvk...", self._mixture, near).flatten(0, 1)
            trusted = scale * self.share * relative
            back = torch.einsum("kc,bk...->bc...", self._mixture, 2 * trusted)
            return (trusted * relative).flatten(1).sum(dim=1), back
        relative = (near * self._inverse).flatten(0, 1)
        trusted = scale * self.share * relative
        if self._robust:  # Geman and McClure 1987: what is far off costs no more than _FAR squared
            kept = 1 / (1 + (relative / _FAR).square())
            return (trusted * relative * kept).flatten(1).sum(dim=1), (
                2 * trusted * kept.square() * self._inverse
            )
        return (trusted * relative).flatten(1).sum(dim=1), 2 * trusted * self._inverse


def _mixtures(measured: MeasuredLevel) -> tuple[torch.Tensor, torch.Tensor]:
    """Mixtures of channels ``(K, C)`` of signal 1 whose noises are uncorrelated, and these noises.

    Generalised least squares: what several channels share is taken off where that leaves something
    better known.
    """
    signal, noise = measured.signal_across, measured.noise_across
    size = (signal + noise).diagonal()
    unit = torch.where(size > 0, 1 / size.clamp_min(1e-300).sqrt(), 0.0)
    both = unit[:, None] * (signal + noise) * unit
    sizes, axes = torch.linalg.eigh(both)
    kept = sizes > _SINGULAR * sizes.max().clamp_min(1e-300)
    white = (axes[:, kept] / sizes[kept].sqrt()).T * unit
    shares, turns = torch.linalg.eigh(white @ signal @ white.T)
    told = shares > _SINGULAR
    fraction = shares[told].clamp(max=1)
    return (turns[:, told] / fraction.sqrt()).T @ white, (1 - fraction) / fraction


def _own_or_pooled(variance: torch.Tensor) -> torch.Tensor:
    """The median of a channel's values, but of a value that is far from it its own."""
    flat = variance.flatten(1)
    middle = flat.median(dim=1).values.view(-1, *(1,) * (variance.ndim - 1)).expand_as(variance)
    apart = (variance > _APART * middle) | (variance * _APART < middle)
    return torch.where(apart, variance, middle)
