"""How likely an attack's success is under a claim, against counting by hand."""

from __future__ import annotations

import math
import re

import pytest

from leakaudit.errors import ConfigError
from leakaudit.privacy.gaussian import largest_power, mu_of
from leakaudit.privacy.observed import chance_of_matches, chance_of_successes


def at_least(reached: int, n: int, chance: float) -> float:
    return sum(math.comb(n, k) * chance**k * (1 - chance) ** (n - k) for k in range(reached, n + 1))


@pytest.mark.parametrize(
    ("reached", "n", "most"),
    [(0, 5, 0.0), (1, 5, 0.0), (0, 1, 0.5), (1, 1, 0.5), (3, 7, 0.2), (5, 5, 0.5), (5, 5, 1.0)],
)
def test_successes_are_as_likely_as_counting_says(reached: int, n: int, most: float) -> None:
    found = chance_of_successes(reached, n, most)
    assert found == pytest.approx(at_least(reached, n, most), abs=1e-12)


@pytest.mark.parametrize(
    ("reached", "n", "most"),
    [(0, 0, 0.5), (-1, 5, 0.5), (6, 5, 0.5), (2, 5, -0.1), (2, 5, 1.1), (2, 5, math.nan)],
)
def test_a_count_that_can_not_be_is_refused(reached: int, n: int, most: float) -> None:
    message = re.escape(f"got {reached} of {n} with a bound of {most}")
    with pytest.raises(ConfigError, match=f"^{message}$"):
        chance_of_successes(reached, n, most)


@pytest.mark.parametrize(
    ("epsilon", "delta", "mu", "most"),
    [
        (0.0, 0.0, None, 0.1),  # without any epsilon every candidate is as good as the others
        (0.0, 0.0, 0.0, 0.1),
        (1.0, 0.01, None, math.e / 10 + 0.01),
        (1.0, 0.01, 0.2, largest_power(0.1, 0.2)),  # the smaller bound counts
        (0.1, 0.0, 3.0, math.exp(0.1) / 10),
        (8.0, 1e-5, None, 1.0),
        (1e6, 0.5, None, 1.0),
    ],
)
def test_the_best_guess_among_ten_is_right_as_often_as_the_claim_allows(
    epsilon: float, delta: float, mu: float | None, most: float
) -> None:
    found = chance_of_matches(3, 4, 10, epsilon, delta, mu)
    assert found == pytest.approx(at_least(3, 4, most), rel=1e-9)


@pytest.mark.parametrize("mu", [None, 0.0, 1.0])
def test_of_a_single_candidate_every_guess_is_right(mu: float | None) -> None:
    assert chance_of_matches(4, 4, 1, 0.0, 0.0, mu) == 1.0


def test_of_two_candidates_the_curve_bounds_the_guess_too() -> None:
    mu = mu_of(1.0, 1e-5)
    expected = at_least(4, 4, largest_power(0.5, mu))
    assert chance_of_matches(4, 4, 2, 1.0, 1e-5, mu) == pytest.approx(expected)
    assert expected < 1


@pytest.mark.parametrize(
    ("gallery", "epsilon", "delta"),
    [(0, 1.0, 0.0), (10, -0.5, 0.0), (10, 1.0, -0.1), (10, 1.0, 1.0)],
)
def test_a_claim_that_can_not_be_is_refused(gallery: int, epsilon: float, delta: float) -> None:
    message = re.escape(f"got {gallery} candidates, epsilon {epsilon}, delta {delta}")
    with pytest.raises(ConfigError, match=f"^{message}$"):
        chance_of_matches(1, 2, gallery, epsilon, delta, None)
