"""How likely an attack's success is under a privacy claim: what a true claim makes impossible.

Reference: Balle, Cherubin and Hayes, "Reconstructing Training Data with Informed Adversaries", IEEE
S&P 2022 (arXiv:2201.04845), for bounds on reconstruction from differential privacy.
"""

from __future__ import annotations

import math

from scipy.stats import binom

from leakaudit.errors import ConfigError
from leakaudit.privacy.gaussian import largest_power


def chance_of_successes(reached: int, n: int, most: float) -> float:
    """Chance that at least ``reached`` of ``n`` patients are rebuilt, each with ``most`` at most.

    Args:
        reached: successes, 0 to ``n``.
        n: patients, at least 1.
        most: the bound on one patient's success, in [0, 1].

    Raises:
        ConfigError: an argument is out of its range.
    """
    if not (n >= 1 and 0 <= reached <= n and 0 <= most <= 1):
        raise ConfigError(f"got {reached} of {n} with a bound of {most}")
    return float(binom.sf(reached - 1, n, most))


def chance_of_matches(
    matched: int, n: int, gallery: int, epsilon: float, delta: float, mu: float | None
) -> float:
    """Chance that at least ``matched`` of ``n`` releases are told apart from all others.

    Where N candidates are equally likely, the best guess is right with a chance of at most
    ``e^epsilon / N + delta``, and under Gaussian differential privacy of at most
    ``Phi(Phi^-1(1 / N) + mu)``. The releases that are taken for each candidate are disjoint sets,
    and the claim bounds how often a release falls into the set of its own candidate.

    Args:
        matched: releases whose own patient is the first choice, 0 to ``n``.
        n: releases, at least 1.
        gallery: N, candidates, at least 1.
        epsilon: of the claim, at least 0.
        delta: of the claim, in [0, 1).
        mu: Gaussian-DP parameter of the claim; None if there is none.

    Raises:
        ConfigError: an argument is out of its range.
    """
    if gallery < 1 or epsilon < 0 or not 0 <= delta < 1:
        raise ConfigError(f"got {gallery} candidates, epsilon {epsilon}, delta {delta}")
    most = min(1.0, math.exp(min(epsilon, 700.0)) / gallery + delta)
    if mu is not None and gallery > 1:
        most = min(most, largest_power(1 / gallery, mu))
    return chance_of_successes(matched, n, most)
