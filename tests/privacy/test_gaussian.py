from __future__ import annotations

import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from leakaudit.errors import ConfigError
from leakaudit.privacy.gaussian import (
    MU_LARGEST,
    delta_of,
    epsilon,
    epsilon_of,
    hides_nothing,
    largest_power,
    mu_of,
    noise_multiplier,
    reconstruction_bound,
)

epsilons = st.floats(0.01, 400)
mus = st.floats(0.01, 40)
deltas = st.floats(-10, -1).map(lambda exponent: 10.0**exponent)


def hockey_stick(epsilon: float, mu: float) -> float:
    """The definition of delta: how much N(mu, 1) exceeds e^epsilon times N(0, 1), integrated."""
    start = mu / 2 + epsilon / mu
    excess, _ = quad(
        lambda x: norm.pdf(x, mu) - math.exp(epsilon + norm.logpdf(x)),
        start,
        max(start, mu) + 12,
        epsabs=0,
        epsrel=1e-10,
        limit=200,
    )
    return float(excess)


@pytest.mark.parametrize(
    ("z", "releases", "expected"), [(1.0, 1, 4.377), (4.0, 50, 8.596), (10.0, 100, 4.377)]
)
def test_the_figures_of_the_method(z: float, releases: int, expected: float) -> None:
    assert epsilon(z, releases, 1e-5) == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize(("releases", "expected"), [(1, 8.0), (50, 118.8), (155, 302.7)])
def test_noise_for_epsilon_8_at_one_release_and_what_is_left_after_many(
    releases: int, expected: float
) -> None:
    z = noise_multiplier(8.0, 1e-5, 1)
    assert epsilon(z, releases, 1e-5) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize(
    ("eps", "mu"), [(0.0, 0.5), (0.5, 1.0), (4.377, 1.0), (8.0, 1.666), (1.0, 0.3), (118.8, 11.78)]
)
def test_delta_equals_the_integral_of_its_definition(eps: float, mu: float) -> None:
    assert delta_of(eps, mu) == pytest.approx(hockey_stick(eps, mu), rel=1e-6)


def test_the_textbook_formula_adds_too_little_noise_above_epsilon_1() -> None:
    textbook = math.sqrt(2 * math.log(1.25 / 1e-5)) / 10.0
    assert textbook < noise_multiplier(10.0, 1e-5, 1)
    assert epsilon(textbook, 1, 1e-5) > 10.3


@settings(deadline=None)
@given(mus, st.floats(0, 1), st.floats(1.01, 2))
def test_delta_falls_with_epsilon_and_rises_with_mu(mu: float, share: float, factor: float) -> None:
    # Drawn where delta is neither 0 nor 1 to rounding: its first term is Phi(mu/2 - eps/mu).
    lowest, highest = -6.0, min(5.0, mu / 2 - 0.01 / mu)  # epsilon from 0.01 on
    eps = mu * (mu / 2 - (lowest + share * (highest - lowest)))
    here = delta_of(eps, mu)
    assert 0 <= here <= 1
    assume(1e-12 < here < 1 - 1e-9)
    assert delta_of(eps * factor, mu) < here
    assert delta_of(eps, mu * factor) > here


@settings(deadline=None)
@given(deltas, mus)
def test_epsilon_of_inverts_delta_of_on_the_careful_side(delta: float, mu: float) -> None:
    eps = epsilon_of(delta, mu)
    if eps == 0:
        assert delta_of(0.0, mu) <= delta
    else:
        assert delta_of(eps, mu) <= delta
        assert delta_of(eps * (1 - 1e-6), mu) > delta


@settings(deadline=None)
@given(epsilons, deltas)
def test_mu_of_inverts_delta_of_on_the_careful_side(eps: float, delta: float) -> None:
    mu = mu_of(eps, delta)
    assert delta_of(eps, mu) <= delta
    assert delta_of(eps, mu * (1 + 1e-6)) > delta


@settings(deadline=None)
@given(epsilons, deltas, st.integers(1, 2000))
def test_the_noise_multiplier_keeps_the_promise_and_no_less_does(
    eps: float, delta: float, releases: int
) -> None:
    z = noise_multiplier(eps, delta, releases)
    assert epsilon(z, releases, delta) <= eps * (1 + 1e-8)
    assert epsilon(z * 0.999, releases, delta) > eps


@settings(deadline=None)
@given(st.floats(0.1, 50), st.integers(1, 50), st.integers(2, 5), deltas)
def test_k_squared_releases_cost_what_a_k_th_of_the_noise_costs(
    z: float, releases: int, k: int, delta: float
) -> None:
    many, louder = epsilon(z, releases * k * k, delta), epsilon(z / k, releases, delta)
    assert many == pytest.approx(louder, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("mu", [20.9, 1e3, 1e6, MU_LARGEST])
def test_little_noise_neither_overflows_nor_loses_the_asymptote(mu: float) -> None:
    # For large mu the second term vanishes: epsilon tends to mu^2/2 + mu Phi^-1(1 - delta).
    eps = epsilon_of(1e-5, mu)
    assert eps == pytest.approx(mu**2 / 2 + mu * norm.isf(1e-5), rel=3 / mu**2 + 1e-9)


def test_much_noise_costs_nothing() -> None:
    assert epsilon(1e9, 1, 1e-5) == 0.0
    assert delta_of(1e15, 1e-8) == 0.0
    # Here rounding makes the logarithm of the second term exceed that of the first by 1e12.
    assert delta_of(979657511715.5175, 0.009012242794551817) == 0.0


@given(st.floats(1e-6, 1 - 1e-6), st.floats(0, 12))
def test_no_test_of_two_normals_beats_the_largest_power(alpha: float, mu: float) -> None:
    # The likelihood-ratio test is a threshold, and Neyman and Pearson say that none is better.
    threshold = norm.isf(alpha)
    assert largest_power(alpha, mu) == pytest.approx(norm.sf(threshold, mu), rel=1e-9)


@pytest.mark.parametrize("epsilon", [8.0, 16.0, 29.0])
def test_what_hides_something_is_not_called_vacuous(epsilon: float) -> None:
    assert not hides_nothing(epsilon, 1e-5, mu_of(epsilon, 1e-5))


@pytest.mark.parametrize("epsilon", [31.0, 118.8, 302.7, 1e6])
def test_what_tells_two_patients_apart_is_called_vacuous(epsilon: float) -> None:
    assert hides_nothing(epsilon, 1e-5, mu_of(epsilon, 1e-5))
    assert hides_nothing(epsilon, 1e-5, None)


def test_without_a_curve_all_that_epsilon_and_delta_allow_counts() -> None:
    # Randomized response at epsilon e tells the truth in e^e / (1 + e^e) of cases.
    assert not hides_nothing(1.0, 0.0, None)
    assert not hides_nothing(4.5, 0.0, None)
    assert hides_nothing(4.7, 0.0, None)
    assert hides_nothing(0.0, 0.98, None)
    assert not hides_nothing(0.0, 0.97, None)


@given(st.floats(0.001, 0.999), st.floats(1e-3, 8))
def test_reconstruction_is_bounded_from_what_a_blind_guess_reaches(kappa: float, mu: float) -> None:
    bound = reconstruction_bound(kappa, mu)
    assert kappa * (1 - 1e-12) <= bound <= 1
    # (epsilon, delta)-DP bounds any event, a successful reconstruction as well.
    for eps in (0.0, 1.0, 4.0):
        assert bound <= math.exp(eps) * kappa + delta_of(eps, mu) + 1e-9


def test_reconstruction_bound_by_hand() -> None:
    assert reconstruction_bound(0.5, 0.0) == pytest.approx(0.5)
    assert reconstruction_bound(0.5, 1.0) == pytest.approx(0.8413, abs=1e-4)
    assert reconstruction_bound(0.05, 1.666) == pytest.approx(norm.cdf(-1.6449 + 1.666), abs=1e-4)


@pytest.mark.parametrize(("kappa", "mu"), [(0.0, 1.0), (1.0, 1.0), (0.1, -1.0), (0.1, math.inf)])
def test_a_reconstruction_bound_of_nothing_is_refused(kappa: float, mu: float) -> None:
    with pytest.raises(ConfigError, match="expected"):
        reconstruction_bound(kappa, mu)


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
def test_refuses_an_epsilon_out_of_range(bad: float) -> None:
    with pytest.raises(ConfigError, match="epsilon is"):
        delta_of(bad, 1.0)
    with pytest.raises(ConfigError, match="epsilon is"):
        mu_of(bad, 1e-5)


@pytest.mark.parametrize("bad", [0.0, 1.0, -0.1, 2.0, math.nan])
def test_refuses_a_delta_out_of_range(bad: float) -> None:
    with pytest.raises(ConfigError, match="delta is"):
        epsilon_of(bad, 1.0)
    with pytest.raises(ConfigError, match="delta is"):
        mu_of(1.0, bad)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf, 2 * MU_LARGEST])
def test_refuses_a_mu_out_of_range(bad: float) -> None:
    with pytest.raises(ConfigError, match="mu is"):
        delta_of(1.0, bad)
    with pytest.raises(ConfigError, match="mu is"):
        epsilon_of(1e-5, bad)


def test_refuses_no_noise_no_release_and_a_promise_of_nothing() -> None:
    with pytest.raises(ConfigError, match="noise multiplier is 0"):
        epsilon(0.0, 1, 1e-5)
    with pytest.raises(ConfigError, match="releases is 0"):
        epsilon(1.0, 0, 1e-5)
    with pytest.raises(ConfigError, match="releases is 0"):
        noise_multiplier(1.0, 1e-5, 0)
    with pytest.raises(ConfigError, match="at most 1e15"):
        mu_of(1e16, 1e-5)
    with pytest.raises(ConfigError, match="at most 1e15"):
        mu_of(1e15 + 0.5, 1e-5)
    assert mu_of(1e15, 1e-5) == pytest.approx(math.sqrt(2e15), rel=1e-6)
