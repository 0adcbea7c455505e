from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import beta, binom, norm

from leakaudit.errors import ConfigError
from leakaudit.privacy.gaussian import MU_LARGEST, epsilon_of
from leakaudit.privacy.selfaudit import ceiling, fixed_thresholds, lower_bounds, share_between


@pytest.mark.parametrize(("hits", "draws"), [(1, 10), (7, 10), (250, 1000), (199_990, 200_000)])
def test_the_limits_of_a_share_are_where_the_count_becomes_as_rare_as_the_error(
    hits: int, draws: int
) -> None:
    low, high = share_between(hits, draws, 0.01)
    assert binom.sf(hits - 1, draws, low) == pytest.approx(0.01, rel=1e-6)
    assert binom.cdf(hits, draws, high) == pytest.approx(0.01, rel=1e-6)


def test_the_limits_of_never_and_always() -> None:
    low, high = share_between(0, 100, 0.05)
    assert low == 0
    assert (1 - high) ** 100 == pytest.approx(0.05)
    low, high = share_between(100, 100, 0.05)
    assert high == 1
    assert low**100 == pytest.approx(0.05)


def test_the_assumption_free_bound_finds_randomized_response() -> None:
    # It tells the truth in e^2 / (1 + e^2) of cases: exactly epsilon 2, and delta 0.
    rng = np.random.default_rng(0)
    truthful = math.exp(2) / (1 + math.exp(2))
    first, second = rng.random(200_000) < truthful, rng.random(200_000) >= truthful
    found = lower_bounds(first.astype(float), second.astype(float), 0.5, delta=0.0, error=0.01)
    assert 1.95 < found.epsilon <= 2.0


def test_the_bounds_of_a_normal_shift_lie_just_below_it() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(0.75, 1, 100_000), rng.normal(-0.75, 1, 100_000)
    found = lower_bounds(first, second, 0.0, delta=1e-5, error=0.01)
    assert 1.45 < found.mu <= 1.5
    assert found.epsilon_if_gaussian == epsilon_of(1e-5, found.mu)
    assert 0 < found.epsilon <= epsilon_of(1e-5, 1.5)
    assert found.detected == pytest.approx(norm.cdf(0.75), abs=0.01)
    assert found.false_alarms == pytest.approx(norm.cdf(-0.75), abs=0.01)


def test_a_test_that_is_wrong_shows_nothing_and_its_lower_tail_as_much_as_its_upper() -> None:
    rng = np.random.default_rng(2)
    scores = rng.normal(0, 1, (2, 50_000))
    nothing = lower_bounds(scores[0] - 1, scores[1] + 1, 0.0, delta=1e-5, error=0.01)
    assert (nothing.epsilon, nothing.mu, nothing.epsilon_if_gaussian) == (0, 0, 0)
    for threshold in (2.0, -2.0):
        found = lower_bounds(scores[0] + 1, scores[1] - 1, threshold, delta=1e-5, error=0.01)
        mirrored = lower_bounds(1 - scores[1], -1 - scores[0], -threshold, delta=1e-5, error=0.01)
        assert found.epsilon > 2.5
        assert mirrored.epsilon == pytest.approx(found.epsilon)


@pytest.mark.parametrize("draws", [1000, 200_000])
def test_no_draws_show_more_than_the_ceiling(draws: int) -> None:
    top = ceiling(draws, delta=1e-5, error=0.01)
    assert (top.threshold, top.detected, top.false_alarms) == (0.0, 1.0, 0.0)
    # By hand: nothing was seen in n draws, so the share is at most 1 - (error / 2)^(1 / n).
    alarm = 1 - 0.005 ** (1 / draws)
    assert top.epsilon == pytest.approx(math.log((1 - alarm - 1e-5) / alarm), rel=1e-9)
    assert top.mu == pytest.approx(2 * norm.isf(alarm), rel=1e-9)
    apart = lower_bounds(np.full(draws, 9.0), np.full(draws, -9.0), 0.0, delta=1e-5, error=0.01)
    assert apart.epsilon == top.epsilon
    assert apart.epsilon_if_gaussian == top.epsilon_if_gaussian


def test_thresholds_come_from_the_claim_alone_and_lie_where_the_bound_is_best() -> None:
    low, middle, high = fixed_thresholds(1.666, 200_000, delta=1e-5, error=0.01)
    assert (low, middle) == (-high, 0.0)
    rng = np.random.default_rng(3)
    first, second = rng.normal(0.833, 1, 200_000), rng.normal(-0.833, 1, 200_000)
    found = {
        threshold: lower_bounds(first, second, threshold, delta=1e-5, error=0.01).epsilon
        for threshold in (0.0, high - 1, high, high + 1)
    }
    assert max(found, key=lambda threshold: found[threshold]) == high


def test_refuses_a_delta_and_a_mu_out_of_range() -> None:
    for delta in (1.0, -0.1):
        with pytest.raises(
            ConfigError, match=r"expected at least 0 and less than 1, such as 1e-5$"
        ):
            ceiling(1000, delta=delta, error=0.01)
    with pytest.raises(ConfigError, match="mu is 0"):
        fixed_thresholds(0.0, 1000, delta=1e-5, error=0.01)


def test_torch_is_not_loaded_by_the_import() -> None:
    code = "import sys, leakaudit.privacy.selfaudit; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def expected_epsilon(threshold: float, mu: float, draws: int, delta: float, error: float) -> float:
    """What the counts that a threshold can be expected to give would show."""

    def ratio(above: float, below: float) -> float:
        hits, alarms = draws * above, draws * below
        least = beta.ppf(error / 2, hits, draws - hits + 1)
        most = beta.ppf(1 - error / 2, alarms + 1, draws - alarms)
        return math.log((least - delta) / most) if least > delta else 0.0

    seen, alarmed = norm.sf(threshold, mu / 2), norm.sf(threshold, -mu / 2)
    return max(ratio(seen, alarmed), ratio(1 - alarmed, 1 - seen))


@pytest.mark.parametrize("mu", [0.25, 0.8, 1.666, 3.0])
def test_thresholds_are_searched_from_the_middle_to_six_deviations_beyond_a_mean(mu: float) -> None:
    tried = np.linspace(0.0, mu / 2 + 6, 161)
    shown = [expected_epsilon(t, mu, 5000, 1e-3, 0.05) for t in tried]
    best = tried[int(np.argmax(shown))]
    assert fixed_thresholds(mu, 5000, delta=1e-3, error=0.05) == pytest.approx((-best, 0.0, best))


def test_without_any_overlap_the_middle_is_looked_at_alone() -> None:
    assert fixed_thresholds(MU_LARGEST, 1000, delta=1e-5, error=0.01) == (0.0,)


def test_a_score_at_the_threshold_is_not_above_it() -> None:
    first, second = np.array([0.0, 1.0, 2.0, 2.0]), np.array([1.0, 1.0, 2.0, 0.0])
    found = lower_bounds(first, second, 1.0, delta=0.0, error=0.05)
    assert (found.threshold, found.detected, found.false_alarms) == (1.0, 0.5, 0.25)


@pytest.mark.parametrize("delta", [0.0, 1e-5])
def test_who_calls_nothing_or_everything_the_first_shows_nothing(delta: float) -> None:
    high, low = np.ones(50), np.zeros(50)
    for first, second in ((low, low), (low, high), (high, high)):
        found = lower_bounds(first, second, 0.5, delta=delta, error=0.05)
        assert (found.epsilon, found.mu, found.epsilon_if_gaussian) == (0, 0, 0)


def test_a_small_shift_has_its_epsilon_and_without_a_delta_none_is_finite() -> None:
    rng = np.random.default_rng(4)
    first, second = rng.normal(0.2, 1, 20_000), rng.normal(-0.2, 1, 20_000)
    found = lower_bounds(first, second, 0.0, delta=1e-5, error=0.01)
    assert 0 < found.mu < 0.4
    assert found.epsilon_if_gaussian == epsilon_of(1e-5, found.mu) > 0
    pure = lower_bounds(first, second, 0.0, delta=0.0, error=0.01)
    assert pure.epsilon_if_gaussian == math.inf
