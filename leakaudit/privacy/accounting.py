"""Sensitivity of a release, and a cross-check of the exact curve by the accountants of Opacus.

What is claimed comes from `leakaudit.privacy.gaussian`; the accountants only confirm it. Opacus
is imported inside the functions, since it is slow and pulls in torch.

Opacus composes the Poisson-subsampled Gaussian mechanism under addition or removal of a record
with noise sigma over the sensitivity. At sample rate 1 that is the Gaussian mechanism itself, and
our noise multiplier, sigma over the replacement sensitivity, goes in as it is.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

from leakaudit.errors import ConfigError
from leakaudit.privacy import gaussian

# The PRV accountant's grid grows with epsilon and releases: beyond these it takes gigabytes, and
# from epsilon 1000 on it fails or answers infinity.
PRV_LARGEST_EPSILON = 310.0
PRV_MOST_RELEASES = 200
_SAYING_NOTHING = (
    (
        "divide by zero encountered in log",
        RuntimeWarning,
        r"opacus\.accountants\.analysis\.prv\.prvs",
    ),
    (
        "Optimal order is the (larg|small)est alpha",
        UserWarning,
        r"opacus\.accountants\.analysis\.rdp",
    ),
)


def sensitivity(clip: float, sites: int) -> float:
    """How far replacing one record moves the joint release of all sites in the 2-norm.

    Each site clips one slice's joint vector over its released levels to ``clip``. Replacing the
    record can turn a site's vector into its opposite, which moves it by ``2 clip``; the sites'
    vectors stand side by side, so their moves add in squares: ``2 clip sqrt(sites)``.

    Args:
        clip: C, the same at every site, above 0, in units of the activations.
        sites: S, at least 1.

    Returns:
        Delta, by which the noise multiplier is multiplied to give the noise's standard deviation.

    Raises:
        ConfigError: an argument is out of its range.
    """
    if not (math.isfinite(clip) and clip > 0):
        raise ConfigError(f"clip is {clip}; expected a finite number above 0")
    if sites < 1:
        raise ConfigError(f"sites is {sites}; expected at least 1")
    return 2 * clip * math.sqrt(sites)


def prv_epsilon(noise_multiplier: float, releases: int, delta: float) -> float:
    """An upper bound on epsilon by the PRV accountant, 0.01 above the exact curve by its design.

    Args:
        noise_multiplier: z, the noise's standard deviation over the replacement sensitivity.
        releases: full releases that are composed.
        delta: in (0, 1).

    Returns:
        epsilon at least 0.

    Raises:
        ConfigError: the exact epsilon exceeds `PRV_LARGEST_EPSILON`, or ``releases``
            `PRV_MOST_RELEASES`, where the accountant's arithmetic does not hold.

    Reference:
        Gopi, Lee and Wutschitz, "Numerical Composition of Differential Privacy", NeurIPS 2021
        (arXiv:2106.02848), as implemented by Opacus.
    """
    exact = gaussian.epsilon(noise_multiplier, releases, delta)
    if exact > PRV_LARGEST_EPSILON or releases > PRV_MOST_RELEASES:
        raise ConfigError(
            f"epsilon is {exact:g} after {releases} releases; the PRV accountant is used up to "
            f"{PRV_LARGEST_EPSILON:g} and {PRV_MOST_RELEASES}, use the exact curve"
        )
    from opacus.accountants import PRVAccountant

    return _bound(PRVAccountant(), noise_multiplier, releases, delta)


def rdp_epsilon(noise_multiplier: float, releases: int, delta: float) -> float:
    """An upper bound on epsilon by the RDP accountant, looser than the exact curve by design.

    Args:
        noise_multiplier: z, the noise's standard deviation over the replacement sensitivity.
        releases: full releases that are composed.
        delta: in (0, 1).

    Returns:
        epsilon at least 0.

    Reference:
        Mironov, "Renyi Differential Privacy", CSF 2017 (arXiv:1702.07476), as implemented by
        Opacus.
    """
    from opacus.accountants import RDPAccountant

    return _bound(RDPAccountant(), noise_multiplier, releases, delta)


def _bound(accountant: Any, noise_multiplier: float, releases: int, delta: float) -> float:
    """The epsilon that an accountant of Opacus gives for unsampled releases.

    Two of its warnings say nothing here. At sample rate 1 it compares with log(1 - rate), where
    minus infinity is the right value: the privacy loss of an unsampled Gaussian has no lower end.
    And a wider range of Renyi orders might tighten a bound that holds for every order.
    """
    accountant.history = [(noise_multiplier, 1.0, releases)]
    with warnings.catch_warnings():
        for message, category, module in _SAYING_NOTHING:
            warnings.filterwarnings("ignore", message, category, module)
        return float(accountant.get_epsilon(delta=delta))
