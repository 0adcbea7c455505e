"""The exact (epsilon, delta) curve of the Gaussian mechanism under composition.

``T`` releases with noise multiplier ``z`` (standard deviation of the noise over the replacement
sensitivity, see `leakaudit.privacy.accounting.sensitivity`) are one Gaussian mechanism with
``mu = sqrt(T) / z``: nothing is lost by composing. No amplification by subsampling is used.

Every search here ends on the careful side: `epsilon_of` rounds up, `mu_of` rounds down, so that
no claim is larger than the curve allows.

Reference: Balle and Wang, "Improving the Gaussian Mechanism for Differential Privacy", ICML 2018
(arXiv:1805.06530), Theorem 8. The textbook ``sqrt(2 ln(1.25 / delta)) / epsilon`` is wrong for
epsilon above 1 and stands nowhere here.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from scipy.special import log_ndtr

from leakaudit.errors import ConfigError

# Above this mu, epsilon passes 5e15 and float64 no longer resolves the curve; no privacy is left.
MU_LARGEST = 1e8
_RELATIVE_TOLERANCE = 1e-10


def delta_of(epsilon: float, mu: float) -> float:
    """The smallest delta for which a mechanism of parameter ``mu`` is (epsilon, delta)-DP.

    ``delta = Phi(mu/2 - epsilon/mu) - e^epsilon Phi(-mu/2 - epsilon/mu)``, evaluated on logarithms
    so that a large epsilon neither overflows nor cancels.

    Args:
        epsilon: at least 0, finite.
        mu: sensitivity over noise standard deviation after composition, in (0, `MU_LARGEST`].

    Returns:
        delta in [0, 1], with an absolute error of about 1e-16 (1 + epsilon) delta_0, where delta_0
        is the first of the two terms.

    Raises:
        ConfigError: an argument is out of its range.

    Reference:
        Balle and Wang 2018, Theorem 8.
    """
    _require_epsilon(epsilon)
    _require_mu(mu)
    gained = float(log_ndtr(mu / 2 - epsilon / mu))
    lost = epsilon + float(log_ndtr(-mu / 2 - epsilon / mu))
    # The difference is never positive; far out in the tail rounding can make it look so.
    return math.exp(gained) * abs(math.expm1(min(lost - gained, 0.0)))


def epsilon_of(delta: float, mu: float) -> float:
    """The smallest epsilon for which a mechanism of parameter ``mu`` is (epsilon, delta)-DP.

    Args:
        delta: in (0, 1).
        mu: in (0, `MU_LARGEST`].

    Returns:
        epsilon at least 0, rounded up by at most 1e-10 of itself; exactly 0 if the curve starts
        below ``delta``.

    Raises:
        ConfigError: an argument is out of its range.
    """
    _require_delta(delta)
    _require_mu(mu)
    if delta_of(0.0, mu) <= delta:
        return 0.0
    _, enough = _bracket(lambda epsilon: delta_of(epsilon, mu) <= delta)
    return enough


def mu_of(epsilon: float, delta: float) -> float:
    """The largest ``mu``, that is the least noise, that is still (epsilon, delta)-DP.

    Args:
        epsilon: at least 0, at most 1e15.
        delta: in (0, 1).

    Returns:
        mu above 0, rounded down by at most 1e-10 of itself.

    Raises:
        ConfigError: an argument is out of its range.
    """
    _require_epsilon(epsilon)
    _require_delta(delta)
    if epsilon > 1e15:
        raise ConfigError(f"epsilon is {epsilon:g}; expected at most 1e15, give a smaller one")
    still, _ = _bracket(lambda mu: delta_of(epsilon, mu) > delta)
    return still


def noise_multiplier(epsilon: float, delta: float, releases: int) -> float:
    """The least noise multiplier that keeps ``releases`` full releases (epsilon, delta)-DP.

    Args:
        epsilon: the patient's total over all releases, at least 0.
        delta: the patient's total, in (0, 1).
        releases: passes times views times slices of the patient, at least 1.

    Returns:
        z, the noise's standard deviation over the replacement sensitivity.

    Raises:
        ConfigError: an argument is out of its range.
    """
    _require_releases(releases)
    return math.sqrt(releases) / mu_of(epsilon, delta)


def epsilon(noise_multiplier: float, releases: int, delta: float) -> float:
    """The patient's total epsilon after ``releases`` full releases.

    Args:
        noise_multiplier: z, the noise's standard deviation over the replacement sensitivity,
            above 0. The usual multiplier, sigma over the clipping bound, is another number.
        releases: passes times views times slices of the patient, at least 1.
        delta: in (0, 1).

    Returns:
        epsilon at least 0.

    Raises:
        ConfigError: an argument is out of its range.
    """
    _require_releases(releases)
    if not (math.isfinite(noise_multiplier) and noise_multiplier > 0):
        raise ConfigError(
            f"noise multiplier is {noise_multiplier}; expected a finite number above 0"
        )
    return epsilon_of(delta, math.sqrt(releases) / noise_multiplier)


def _bracket(reached: Callable[[float], bool]) -> tuple[float, float]:
    """Bisect to where ``reached`` turns from False to True on (0, infinity).

    Returns:
        The last point found False (above 0) and the first found True, 1e-10 apart.
    """
    low = high = 1.0
    if reached(1.0):
        while reached(low):
            low, high = low / 2, low
    else:
        while not reached(high):
            low, high = high, high * 2
    while high - low > _RELATIVE_TOLERANCE * high:
        middle = (low + high) / 2
        if reached(middle):
            high = middle
        else:
            low = middle
    return low, high


def _require_epsilon(epsilon: float) -> None:
    if not (math.isfinite(epsilon) and epsilon >= 0):
        raise ConfigError(f"epsilon is {epsilon}; expected a finite number of at least 0")


def _require_delta(delta: float) -> None:
    if not 0 < delta < 1:
        raise ConfigError(f"delta is {delta}; expected a number between 0 and 1, such as 1e-5")


def _require_mu(mu: float) -> None:
    if not 0 < mu <= MU_LARGEST:
        raise ConfigError(
            f"mu is {mu}; expected a number above 0 and at most {MU_LARGEST:g}, add noise"
        )


def _require_releases(releases: int) -> None:
    if releases < 1:
        raise ConfigError(f"releases is {releases}; expected at least 1")
