"""Whether a defense's privacy claim survives its own releases.

The adversary of differential privacy chooses two records, knows everything else, and says which of
the two was released. So does this audit, through the real `Defense.release`; what it finds are
lower bounds (`leakaudit.privacy.selfaudit`). One that exceeds the claim refutes it: sensitivity,
clip or noise are wrong. That none does is not a proof.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray

from leakaudit.contracts import Defense, PrivacyGuarantee, ReleaseSetting
from leakaudit.errors import ConfigError
from leakaudit.privacy.gaussian import epsilon_of, mu_of
from leakaudit.privacy.selfaudit import LowerBounds, ceiling, fixed_thresholds, lower_bounds
from leakaudit.randomness import generator_for
from leakaudit.types import Levels

CONFIDENCE = 0.95
# Two levels of a small pyramid, (channels, height, width): a mechanism knows no size.
_SHAPES = ((2, 2, 2), (4, 1, 1))
_AUXILIARY = 64
_BATCH = 20_000
# Real batches of two cost a call each, so there are fewer of them.
_OF_TWO = 50


@final
@dataclass(frozen=True, kw_only=True)
class PairAudit:
    """The outcome of one pair of records.

    Args:
        name: which records.
        draws: releases a side.
        bounds: at each threshold.
        ceiling: the largest bounds that so many draws could show.
    """

    name: str
    draws: int
    bounds: tuple[LowerBounds, ...]
    ceiling: LowerBounds

    @property
    def epsilon(self) -> float:
        """The largest assumption-free lower bound."""
        return max(bound.epsilon for bound in self.bounds)

    @property
    def epsilon_if_gaussian(self) -> float:
        """The largest lower bound that assumes Gaussian noise."""
        return max(bound.epsilon_if_gaussian for bound in self.bounds)


@final
@dataclass(frozen=True, kw_only=True)
class MechanismAudit:
    """A claim beside the lower bounds that were found.

    Args:
        defense: repr of the fitted defense.
        claim: what it claims for one release with secret noise.
        sites: how many sites release at once.
        pairs: what each pair shows; all bounds hold jointly with `CONFIDENCE`.
    """

    defense: str
    claim: PrivacyGuarantee
    sites: int
    pairs: tuple[PairAudit, ...]

    @property
    def refuting(self) -> tuple[str, ...]:
        """Names of the pairs whose bound exceeds the claim; empty if it stands."""
        claimed = self.claim.epsilon or 0.0
        # Without a mu no Gaussian curve is claimed, and only the assumption-free bound counts.
        gaussian = self.claim.mu is not None
        return tuple(
            pair.name
            for pair in self.pairs
            if pair.epsilon > claimed or (gaussian and pair.epsilon_if_gaussian > claimed)
        )


def audit_mechanism(
    defense: Defense, *, sites: int = 2, draws: int = 200_000, seed: int = 0
) -> MechanismAudit:
    """Audit one release of a defense; seconds on one thread.

    The defense is fitted to random auxiliary levels. With C its clip and u a fixed random unit
    vector over the levels, all sites at once release +kCu or -kCu, and the score is the sum over
    the sites of <released, u>. In the pairs of contrasts u is a difference of values instead,
    in which noise that they share is gone. The pairs:

    - ``1x-clip``: k = 1, as far apart as the clip allows; finds too little noise;
    - ``100x-clip``: k = 100; finds a clip that is missing or comes too late;
    - ``known-neighbor``: k = 1, beside a record that the adversary knows, whose residual is
      subtracted; finds noise that the samples of a batch share. Batches are large and every second
      record is the known one, subtracted from the one before it: for a mechanism that treats every
      sample on its own, as the contract of `Defense` asks, that equals as many batches of two;
    - ``batch-of-two``: the same in real batches of two, a call each, with a 50th of the draws;
    - ``contrast-places``, ``contrast-channels``, ``contrast-levels``: k = 1; find noise that the
      places of a channel, the channels of a level or the levels share.

    Args:
        defense: as an audit file would configure it, not fitted.
        sites: number of data sites, at least 1.
        draws: releases a side, at least 1000.
        seed: of the levels, of u and of the noise.

    Raises:
        ConfigError: the defense claims nothing that could be audited, or an argument is out of
            its range.
    """
    if sites < 1 or draws < 1000:
        raise ConfigError(
            f"got {sites} sites and {draws} draws; expected at least 1 site and 1000 draws"
        )
    auxiliary = _auxiliary(seed)
    fitted = defense.fit(
        ReleaseSetting(sites=sites, releases_per_patient=1, auxiliary_levels=(auxiliary,) * sites)
    )
    claim, clip, mu, delta = _audited(fitted)
    few = max(1000, draws // _OF_TWO)
    anywhere = _unit_vector(seed, "direction")
    plan = (
        ("1x-clip", 1.0, False, draws, _BATCH, anywhere),
        ("100x-clip", 100.0, False, draws, _BATCH, anywhere),
        ("known-neighbor", 1.0, True, draws, _BATCH, anywhere),
        ("batch-of-two", 1.0, True, few, 1, anywhere),
        ("contrast-places", 1.0, False, draws, _BATCH, _contrast((0, 3), (1, 2))),
        ("contrast-channels", 1.0, False, draws, _BATCH, _contrast((0,), (4,))),
        ("contrast-levels", 1.0, False, draws, _BATCH, _contrast((0,), (8,))),
    )
    error = (1 - CONFIDENCE) / (len(plan) * 3)  # three thresholds at most
    pairs = []
    for name, factor, known, count, batch, direction in plan:
        thresholds = fixed_thresholds(mu, count, delta=delta, error=error)
        # Scaled so that the claim, met exactly, gives N(+-mu/2, 1): the noise of the sum over S
        # sites has a standard deviation of sqrt(S) times 2 C sqrt(S) / mu.
        unit = 2 * clip * sites / mu
        first, second = (
            _scores(
                fitted,
                direction,
                sign * factor * clip,
                clip / 2 if known else None,
                sites=sites,
                draws=count,
                batch=batch,
                seed=seed,
                label=f"{name} {sign}",
            )
            / unit
            for sign in (1, -1)
        )
        bounds = tuple(
            lower_bounds(first, second, threshold, delta=delta, error=error)
            for threshold in thresholds
        )
        top = ceiling(count, delta=delta, error=error)
        pairs.append(PairAudit(name=name, draws=count, bounds=bounds, ceiling=top))
    return MechanismAudit(defense=repr(fitted), claim=claim, sites=sites, pairs=tuple(pairs))


def _audited(fitted: Defense) -> tuple[PrivacyGuarantee, float, float, float]:
    """The claim for one release with secret noise, its clip, its mu for scaling, its delta."""
    name = type(fitted).__name__
    claim = fitted.guarantee(1, reproducible=False)
    if claim is None:
        raise ConfigError(f"{name} claims no differential privacy, so there is nothing to audit")
    if not claim.claimed:
        raise ConfigError(f"{name} claims nothing that could be audited: {claim.reason}")
    if claim.covers == "weights":
        raise ConfigError(
            f"{name}'s claim is about the trained weights; an audit draws releases, which it does "
            "not cover"
        )
    if claim.epsilon is None or claim.delta is None or claim.clip is None:
        raise ConfigError(
            f"{name} claims epsilon {claim.epsilon}, delta {claim.delta} and clip {claim.clip}; an "
            "audit needs all three"
        )
    if claim.mu is None:
        return claim, claim.clip, mu_of(claim.epsilon, claim.delta or 1e-5), claim.delta
    exact = epsilon_of(claim.delta, claim.mu)
    if abs(exact - claim.epsilon) > claim.epsilon * 1e-6:
        raise ConfigError(
            f"{name} claims epsilon {claim.epsilon:g} with mu {claim.mu:g}, which is epsilon "
            f"{exact:g} at delta {claim.delta:g}: the claim contradicts itself"
        )
    return claim, claim.clip, claim.mu, claim.delta


def _auxiliary(seed: int) -> Levels:
    generator = generator_for(seed, "auxiliary")
    return tuple(torch.randn(_AUXILIARY, *shape, generator=generator) for shape in _SHAPES)


def _unit_vector(seed: int, label: str) -> torch.Tensor:
    size = sum(torch.Size(shape).numel() for shape in _SHAPES)
    drawn = torch.randn(size, generator=generator_for(seed, label), dtype=torch.float64)
    return torch.nn.functional.normalize(drawn, dim=0)


def _contrast(added: tuple[int, ...], taken: tuple[int, ...]) -> torch.Tensor:
    """The unit vector that adds some values and takes off others, by place in the joint vector.

    The diagonals of a square of places, one against the other, cancel what rows or columns share.
    """
    size = sum(torch.Size(shape).numel() for shape in _SHAPES)
    direction = torch.zeros(size, dtype=torch.float64)
    direction[list(added)], direction[list(taken)] = 1.0, -1.0
    return torch.nn.functional.normalize(direction, dim=0)


def _levels(rows: torch.Tensor) -> Levels:
    """Joint vectors ``(n, size)`` as levels ``(n, *shape)`` in float32, as networks make them."""
    sizes = [torch.Size(shape).numel() for shape in _SHAPES]
    return tuple(
        part.reshape(-1, *shape).float()
        for part, shape in zip(rows.split(sizes, dim=1), _SHAPES, strict=True)
    )


def _scores(
    fitted: Defense,
    direction: torch.Tensor,
    scale: float,
    known: float | None,
    *,
    sites: int,
    draws: int,
    batch: int,
    seed: int,
    label: str,
) -> NDArray[np.float64]:
    """Scores of releases of ``scale`` times u, ``(draws,)``.

    Args:
        fitted: the defense.
        direction: u, a unit vector.
        scale: of the record.
        known: norm of the known record that follows each, within the clip; None for none.
        sites: all release the same.
        draws: how many.
        batch: draws a call.
        seed: of the known record and the noise.
        label: of the noise.
    """
    rows = (scale * direction)[None]
    if known is not None:
        neighbor = known * _unit_vector(seed, "neighbor")
        rows = torch.stack((rows[0], neighbor))
    generator = generator_for(seed, "noise", label)
    found = []
    levels = _levels(rows.repeat(min(batch, draws), 1))
    for start in range(0, draws, batch):
        count = min(batch, draws - start)
        sent = tuple(level[: count * len(rows)] for level in levels)
        total = torch.zeros(count, dtype=torch.float64)
        for _ in range(sites):
            released = fitted.release(sent, generator=generator)
            joint = torch.cat([level.flatten(1).double() for level in released], dim=1)
            projected = (joint @ direction).view(count, len(rows))
            total += projected[:, 0]
            if known is not None:
                total -= projected[:, 1] - neighbor @ direction
        found.append(total)
    scores = torch.cat(found)
    if not bool(scores.isfinite().all()):
        raise ConfigError(f"{type(fitted).__name__} released values that are not finite")
    return scores.numpy()
