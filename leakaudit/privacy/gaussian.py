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

from scipy.special import log_ndtr, ndtr, ndtri

from leakaudit.errors import ConfigError

# Above this mu, epsilon passes 5e15 and float64 no longer resolves the curve; no privacy is left.
MU_LARGEST = 1e8
_RELATIVE_TOLERANCE = 1e-10
# A claim hides nothing if it lets an adversary tell two patients apart this well.
FALSE_ALARMS = 0.01
DETECTED = 0.99


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


def largest_power(false_alarms: float, mu: float) -> float:
    """How often a record can be recognized at most, for a given share of false alarms.

    The adversary knows two records. One was released; the adversary says which. Of all tests that
    call the second the first in a share ``alpha`` of cases, the best calls the first rightly in
    ``Phi(Phi^-1(alpha) + mu)``: the trade-off curve of Gaussian differential privacy.

    Args:
        false_alarms: alpha, in (0, 1).
        mu: Gaussian-DP parameter of all releases together, at least 0, finite.

    Returns:
        a share in [alpha, 1].

    Raises:
        ConfigError: an argument is out of its range.

    Reference:
        Dong, Roth and Su, "Gaussian Differential Privacy", JRSS-B 2022 (arXiv:1905.02383),
        definition 2.6.
    """
    if not 0 < false_alarms < 1:
        raise ConfigError(f"a share of {false_alarms} was given; expected more than 0, less than 1")
    if not (math.isfinite(mu) and mu >= 0):
        raise ConfigError(f"mu is {mu}; expected a finite number of at least 0")
    return float(ndtr(ndtri(false_alarms) + mu))


def hides_nothing(epsilon: float, delta: float, mu: float | None) -> bool:
    """Whether a claim is vacuous: two patients can be told apart 99 % of the time.

    That is, whether the claim allows a test that recognizes a patient's release in `DETECTED` of
    cases while it takes another's for it in `FALSE_ALARMS`. From ``mu`` of about 4.65 on, which
    is epsilon of about 30 at delta 1e-5, a Gaussian mechanism does.

    Args:
        epsilon: of the claim, at least 0.
        delta: of the claim, in [0, 1).
        mu: of the claim; where there is none, all that (epsilon, delta) allows counts, which is
            ``1 - e^-epsilon (1 - delta - alpha)`` or ``e^epsilon alpha + delta``, the less of them.

    Reference:
        Wasserman and Zhou 2010 (arXiv:0811.2501) for the curve of (epsilon, delta).
    """
    if mu is not None:
        return largest_power(FALSE_ALARMS, mu) >= DETECTED
    missed = max(
        (1 - delta - FALSE_ALARMS) * math.exp(-epsilon),
        1 - delta - FALSE_ALARMS * math.exp(min(epsilon, 700.0)),
    )
    return 1 - missed >= DETECTED


def reconstruction_bound(kappa: float, mu: float) -> float:
    """How often any reconstruction can succeed at most, from how often a blind guess does.

    ``gamma = Phi(Phi^-1(kappa) + mu)``: reconstruction robustness of a mechanism whose trade-off
    curve is that of Gaussian differential privacy. It holds for the prior under which ``kappa``
    was measured and no other; under an estimate of ``kappa`` it is an estimate.

    Args:
        kappa: the largest chance that one guess, made without any release, succeeds ("SSIM of at
            least tau", say), over patients drawn from the prior; in (0, 1).
        mu: Gaussian-DP parameter of all releases together, at least 0, finite.

    Returns:
        gamma, in [kappa, 1].

    Raises:
        ConfigError: an argument is out of its range.

    Reference:
        Balle, Cherubin and Hayes, "Reconstructing Training Data with Informed Adversaries",
        IEEE S&P 2022 (arXiv:2201.04845), for reconstruction robustness; Kaissis, Hayes, Ziller
        and Rueckert, "Bounding data reconstruction attacks with the hypothesis testing
        interpretation of differential privacy", 2023 (arXiv:2307.03928), for this form.
    """
    return largest_power(kappa, mu)


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
