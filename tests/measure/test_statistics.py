from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from leakaudit.errors import CellError
from leakaudit.measure.statistics import clopper_pearson, interval, paired

finite = st.floats(-10, 10)


@pytest.mark.parametrize("n", [2, 5, 19])
def test_under_20_patients_it_is_the_t_interval_of_scipy(n: int) -> None:
    values = np.random.default_rng(n).normal(0.4, 0.1, n)
    found = interval(values)
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.method, found.n) == ("t", n)
    assert found.mean == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((low, high))


@pytest.mark.parametrize("n", [20, 60])
def test_from_20_patients_it_is_the_percentile_bootstrap_of_scipy(n: int) -> None:
    values = np.random.default_rng(n).exponential(1, n)
    found = interval(values)
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(7)
    ).confidence_interval
    tolerance = 0.05 * (expected.high - expected.low)
    assert (found.method, found.n) == ("bootstrap", n)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=tolerance)


def coverage(n: int, repetitions: int) -> float:
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(repetitions):
        found = interval(rng.normal(0.5, 0.2, n))
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= 0.5 <= found.high
    return hits / repetitions


def test_the_t_interval_covers_the_truth_in_95_percent() -> None:
    assert coverage(5, 3000) == pytest.approx(0.95, abs=0.012)


def test_the_bootstrap_interval_covers_about_as_often() -> None:
    assert coverage(25, 400) == pytest.approx(0.93, abs=0.04)


def test_one_patient_has_a_mean_and_no_interval() -> None:
    found = interval([0.25])
    assert found.model_dump() == {"mean": 0.25, "low": None, "high": None, "n": 1, "method": "none"}


def test_equal_values_have_an_interval_of_no_width() -> None:
    for n in (3, 30):
        found = interval([0.5] * n)
        assert (found.low, found.mean, found.high) == (0.5, 0.5, 0.5)


@settings(deadline=None, max_examples=40)
@given(st.lists(finite, min_size=2, max_size=24), st.randoms(use_true_random=False))
def test_the_order_of_the_patients_does_not_matter(values: list[float], random: object) -> None:
    shuffled = values.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert interval(values) == interval(shuffled)


def test_the_bootstrap_is_the_same_every_time() -> None:
    values = np.random.default_rng(0).normal(size=40)
    assert interval(values) == interval(values.copy())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "expected a figure for at least one patient, got none"),
        *(
            ([0.1, bad], "expected finite figures, got NaN or infinity; leave such patients null")
            for bad in (math.nan, math.inf, -math.inf)
        ),
    ],
)
def test_refuses_no_patients_and_values_that_are_not_finite(
    values: list[float], message: str
) -> None:
    with pytest.raises(CellError, match=f"^{message}$"):
        interval(values)


def test_figures_of_single_precision_are_averaged_in_double() -> None:
    values = np.random.default_rng(0).random(19, dtype=np.float32)
    assert interval(values) == interval(values.astype(np.float64))


def test_paired_is_narrow_where_the_patients_differ_and_the_differences_do_not() -> None:
    a = np.array([0.1, 0.5, 0.9, 0.3])
    found = paired(a + 0.1 + np.array([0.001, -0.001, 0.001, -0.001]), a)
    assert found.mean == pytest.approx(0.1)
    assert found.low == pytest.approx(0.0982, abs=1e-4)
    message = "^paired figures need the same patients, got 4 and 3 values; give one value per "
    with pytest.raises(CellError, match=message + "patient on both sides$"):
        paired(a, a[:3])


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 40), st.data())
def test_clopper_pearson_equals_scipy(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    expected = stats.binomtest(k, n).proportion_ci(0.95, method="exact")
    assert clopper_pearson(k, n) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_fractional_successes_take_the_wider_end_on_both_sides() -> None:
    low, high = clopper_pearson(Fraction(5, 2), 5)
    assert low == clopper_pearson(2, 5)[0]
    assert high == clopper_pearson(3, 5)[1]


@pytest.mark.parametrize(("k", "n"), [(-1, 5), (6, 5), (0, 0)])
def test_clopper_pearson_refuses_impossible_counts(k: int, n: int) -> None:
    with pytest.raises(CellError, match="successes"):
        clopper_pearson(k, n)


def test_an_interval_ends_where_a_mean_can_lie() -> None:
    free = interval([0.0, 0.1, 0.9])
    bounded = interval([0.0, 0.1, 0.9], least=0.0, most=1.0)
    assert free.low is not None
    assert free.high is not None
    assert free.low < 0
    assert free.high > 1
    assert (bounded.mean, bounded.low, bounded.high) == (free.mean, 0.0, 1.0)
