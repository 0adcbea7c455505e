"""Lower bounds on epsilon from scores of released records: what a claim must not fall below.

A test looks at a release and says which of two records it came from. How often it is right and how
often it raises a false alarm cannot both be good under a privacy claim, so what was counted over
many draws refutes a claim that is too small. Nothing here proves a claim.

Reference: Jagielski, Ullman and Oprea, "Auditing Differentially Private Machine Learning: How
Private is Private SGD?", NeurIPS 2020 (arXiv:2006.07709), for the bound from Clopper-Pearson
limits; Tramer et al., "Debugging Differential Privacy: A Case Study for Privacy Auditing", 2022
(arXiv:2202.12219), for its use on an implementation; Nasr et al., "Tight Auditing of
Differentially Private Machine Learning", USENIX Security 2023 (arXiv:2302.07956), for the bound by
way of Gaussian differential privacy. Steinke, Nasr and Jagielski, "Privacy Auditing with One (1)
Training Run", NeurIPS 2023 (arXiv:2305.08846), take many records from one run; a mechanism that
can be drawn from at will needs no such economy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, ndtr, ndtri

from leakaudit.errors import ConfigError
from leakaudit.privacy.gaussian import MU_LARGEST, epsilon_of

# How finely thresholds are searched before any draw, and how far beyond the two means.
_STEPS, _BEYOND = 161, 6.0


@final
@dataclass(frozen=True, kw_only=True)
class LowerBounds:
    """The lower bounds of one threshold; each holds with the error that it was made for.

    Args:
        threshold: scores above it are called the first record's.
        detected: share of the first record's scores above it.
        false_alarms: share of the second's.
        epsilon: assumption-free lower bound for the claim's delta, at least 0.
        mu: lower bound on the Gaussian-DP parameter, at least 0; assumes Gaussian noise.
        epsilon_if_gaussian: the epsilon of ``mu`` on the exact curve; assumes Gaussian noise, which
            is infinite for a delta of 0.
    """

    threshold: float
    detected: float
    false_alarms: float
    epsilon: float
    mu: float
    epsilon_if_gaussian: float


def share_between(hits: float | int, draws: int, error: float) -> tuple[float, float]:
    """One-sided lower and upper limit of a probability; each errs with ``error`` at most.

    Args:
        hits: how often the event was seen, 0 to ``draws``; a fraction stands for an expectation.
        draws: independent draws, at least 1.
        error: of each limit, in (0, 1).

    Reference:
        Clopper and Pearson, Biometrika 26 (1934).
    """
    low = float(betaincinv(hits, draws - hits + 1, error)) if hits > 0 else 0.0
    high = float(betaincinv(hits + 1, draws - hits, 1 - error)) if hits < draws else 1.0
    return low, high


def lower_bounds(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    threshold: float,
    *,
    delta: float,
    error: float,
) -> LowerBounds:
    """Bound epsilon by two records' scores at a threshold that was fixed before they were drawn.

    Args:
        first: scores of independent releases of the first record, one value a draw.
        second: of the second record.
        threshold: what lies above it is called the first record's.
        delta: of the claim, in [0, 1).
        error: chance that a bound is too high, in (0, 1).
    """
    return _bounds(
        int((first > threshold).sum()),
        len(first),
        int((second > threshold).sum()),
        len(second),
        threshold,
        delta,
        error,
    )


def ceiling(draws: int, *, delta: float, error: float) -> LowerBounds:
    """The largest bounds that so many draws a side could ever show: every one called rightly."""
    return _bounds(draws, draws, 0, draws, 0.0, delta, error)


def fixed_thresholds(mu: float, draws: int, *, delta: float, error: float) -> tuple[float, ...]:
    """Where to look, from the claim alone: no draw has a say.

    Scores are scaled so that the claim, were it met exactly by Gaussian noise, gives N(mu/2, 1) for
    the first record and N(-mu/2, 1) for the second.

    Args:
        mu: Gaussian-DP parameter of the claim, above 0.
        draws: draws a side.
        delta: of the claim.
        error: of each bound.

    Returns:
        the middle, best for ``mu``, and on either side of it where the assumption-free bound can be
        expected to be largest.
    """
    if not 0 < mu <= MU_LARGEST:
        raise ConfigError(f"mu is {mu}; expected a number above 0 and at most {MU_LARGEST:g}")
    tried = np.linspace(0.0, mu / 2 + _BEYOND, _STEPS)
    expected = [
        _bounds(
            draws * float(ndtr(mu / 2 - t)),
            draws,
            draws * float(ndtr(-mu / 2 - t)),
            draws,
            float(t),
            delta,
            error,
        ).epsilon
        for t in tried
    ]
    best = float(tried[int(np.argmax(expected))])
    return (-best, 0.0, best) if best else (0.0,)


def _bounds(
    hits: float | int,
    of_first: int,
    alarms: float | int,
    of_second: int,
    threshold: float,
    delta: float,
    error: float,
) -> LowerBounds:
    """The bounds from counts; the error is shared by the two limits that they rest on."""
    if not 0 <= delta < 1:
        raise ConfigError(f"delta is {delta}; expected at least 0 and less than 1, such as 1e-5")
    detected, _ = share_between(hits, of_first, error / 2)
    _, alarmed = share_between(alarms, of_second, error / 2)
    # "Above" has more than (epsilon, delta) allows, or "not above", with the records exchanged.
    epsilon = max(
        0.0, _log_ratio(detected - delta, alarmed), _log_ratio(1 - alarmed - delta, 1 - detected)
    )
    # Phi^-1(1 - FPR_up) - Phi^-1(FNR_up); by symmetry, which is exact where 1 - FPR_up rounds.
    # Where nothing was detected, or everything alarmed, it is minus infinity.
    mu = max(0.0, float(ndtri(detected) - ndtri(alarmed)))
    gaussian = 0.0
    if mu > 0:
        gaussian = epsilon_of(delta, mu) if delta else math.inf
    return LowerBounds(
        threshold=threshold,
        detected=hits / of_first,
        false_alarms=alarms / of_second,
        epsilon=epsilon,
        mu=mu,
        epsilon_if_gaussian=gaussian,
    )


def _log_ratio(above: float, below: float) -> float:
    return math.log(above / below) if above > 0 else 0.0
