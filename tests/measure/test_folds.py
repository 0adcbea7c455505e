"""Intervals over folds cover the truth where the folds differ, and say what they did."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from leakaudit.data import Splits, split_folds
from leakaudit.errors import CellError
from leakaudit.measure.folds import Folds, folds_of, reach_of_folds, shared
from leakaudit.measure.statistics import interval, paired
from leakaudit.records import FoldRecord, State


def alike(numbers: list[int]) -> Folds:
    count = max(numbers) + 1
    return Folds(numbers=tuple(numbers), shares=tuple(map(tuple, np.eye(count).tolist())))


@pytest.mark.parametrize("count", [2, 4])
def test_without_sharing_it_is_the_t_interval_of_the_means_of_the_folds(count: int) -> None:
    values = np.random.default_rng(0).normal(0.5, 0.2, 5 * count)
    numbers = [number for number in range(count) for _ in range(5)]
    reach = reach_of_folds(values, alike(numbers), 0.95)
    means = values.reshape(count, 5).mean(axis=1)
    low, high = stats.ttest_1samp(means, 0).confidence_interval(0.95)
    assert reach == pytest.approx((high - low) / 2)


def splits_and_folds(patients: int, folds: int) -> tuple[list[str], tuple[Splits, ...], Folds]:
    ids = [f"{number:03d}" for number in range(patients)]
    splits = split_folds(ids, 0, folds)
    numbers = tuple(number for number, one in enumerate(splits) for _ in one.victims)
    return ids, splits, Folds(numbers=numbers, shares=shared([one.auxiliary for one in splits]))


def coverage(patients: int, folds: int, effect: float, *, told: bool) -> float:
    """How often the truth is covered where every auxiliary patient moves its folds."""
    ids, splits, known = splits_and_folds(patients, folds)
    rng = np.random.default_rng(1)
    hits, repetitions = 0, 150
    for _ in range(repetitions):
        own = dict(zip(ids, rng.normal(size=patients), strict=True))
        moved = [
            effect * sum(own[name] for name in one.auxiliary) / len(one.auxiliary) ** 0.5
            for one in splits
        ]
        values = 0.5 + np.array(moved)[list(known.numbers)] + rng.normal(0, 0.1, patients)
        found = interval(values, folds=known if told else None)
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= 0.5 <= found.high
    return hits / repetitions


def test_it_covers_the_truth_where_folds_differ_and_patients_alone_do_not() -> None:
    assert coverage(20, 4, 0.1, told=False) < 0.8
    assert coverage(20, 4, 0.1, told=True) == pytest.approx(0.95, abs=0.04)
    assert coverage(20, 4, 0.0, told=True) >= 0.93


def test_it_covers_the_truth_where_folds_share_auxiliary_patients() -> None:
    _, _, known = splits_and_folds(40, 8)
    assert known.shares[0][1] == 0.5
    assert known.shares[0][2] == 0.0
    assert coverage(40, 8, 0.2, told=True) >= 0.93


def test_sharing_widens_the_interval_and_sharing_all_leaves_nothing_to_say() -> None:
    values = np.random.default_rng(0).normal(0.5, 0.2, 20)
    apart = alike([number for number in range(4) for _ in range(5)])
    half = np.full((4, 4), 0.5) + 0.5 * np.eye(4)
    some = Folds(numbers=apart.numbers, shares=tuple(map(tuple, half.tolist())))
    every = Folds(numbers=apart.numbers, shares=((1.0,) * 4,) * 4)
    reach = reach_of_folds(values, apart, 0.95)
    assert reach is not None
    assert (reach_of_folds(values, some, 0.95) or 0.0) > 1.5 * reach
    assert reach_of_folds(values, every, 0.95) is None


def test_the_interval_says_what_it_is_and_ends_where_a_mean_can_lie() -> None:
    folds = alike([number for number in range(4) for _ in range(5)])
    values = np.repeat([0.1, 0.9, 0.2, 0.8], 5)
    found = interval(values, least=0.0, most=1.0, folds=folds)
    assert found.method == "wider of bootstrap over patients and t over folds"
    assert (found.n, found.low, found.high) == (20, 0.0, 1.0)
    assert paired(values, values * 0, folds=folds) == interval(values, folds=folds)
    short = alike([0, 0, 1, 1])
    cut = interval([0.1, 0.1, 0.9, 0.9], least=0.05, most=0.95, folds=short)
    assert (cut.mean, cut.low, cut.high) == (0.5, 0.05, 0.95)
    equal = interval([0.1, 0.9] * 4, folds=alike([0, 0, 1, 1, 2, 2, 3, 3]))
    assert equal.method == "wider of t over patients and t over folds"
    assert (equal.low, equal.high) == (
        interval([0.1, 0.9] * 4).low,
        interval([0.1, 0.9] * 4).high,
    )


def test_values_of_one_fold_have_the_interval_of_patients() -> None:
    folds = Folds(numbers=(1, 1, 1), shares=tuple(map(tuple, np.eye(3).tolist())))
    assert interval([0.1, 0.2, 0.4], folds=folds) == interval([0.1, 0.2, 0.4])


def test_a_patient_of_no_fold_has_none_and_lengths_must_fit() -> None:
    records = [
        FoldRecord(fold=1, key="a", state=State.OK, patients=("P1", "P2"), shares={3: 0.5}),
        FoldRecord(fold=3, key="b", state=State.OK, patients=("P3",), shares={1: 0.5}),
    ]
    found = folds_of(["P3", "P1"], records)
    assert found == Folds(numbers=(1, 0), shares=((1.0, 0.5), (0.5, 1.0)))
    assert folds_of(["P3", "P9"], records) is None
    assert folds_of(["P3"], []) is None
    with pytest.raises(CellError, match="3 values and the folds of 2"):
        reach_of_folds(np.zeros(3), alike([0, 1]), 0.95)
