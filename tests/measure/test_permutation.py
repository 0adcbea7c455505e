"""How often chance parts the patients as they are parted."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from leakaudit.measure.permutation import PERMUTATIONS, difference_p
from leakaudit.randomness import generator_for

Groups = tuple[NDArray[np.float64], NDArray[np.float64]]


def groups(first: int, second: int, *, apart: float = 0.0, measures: int = 3) -> Groups:
    """Two groups of patients; they differ by ``apart`` in the last measure."""
    drawn = np.random.default_rng(5).normal(size=(first + second, measures))
    drawn[:first, -1] += apart
    return drawn[:first], drawn[first:]


def by_counting(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """The definition: every way to part the patients, differences of means in each measure."""
    together = np.concatenate([first, second])
    everybody, spread = set(range(len(together))), together.std(axis=0)

    def largest(chosen: tuple[int, ...]) -> float:
        others = sorted(everybody - set(chosen))
        means = together[list(chosen)].mean(axis=0) - together[others].mean(axis=0)
        return float(np.abs(means / spread).max())

    reached = largest(tuple(range(len(first))))
    ways = [largest(one) for one in combinations(range(len(together)), len(first))]
    return float(np.mean([one >= reached * (1 - 1e-9) for one in ways]))


@pytest.mark.parametrize("apart", [0.0, 0.8, -1.3])
def test_it_is_the_share_of_all_ways_to_part_the_patients(apart: float) -> None:
    first, second = groups(5, 8, apart=apart)
    exact = by_counting(first, second)
    found = difference_p(first, second, seed=0)
    assert 0.001 < exact < 0.999
    # Four standard deviations of a share of 9,999 permutations.
    assert found == pytest.approx(exact, abs=4 * (exact * (1 - exact) / PERMUTATIONS) ** 0.5)
    assert found is not None
    assert found * (PERMUTATIONS + 1) == pytest.approx(round(found * (PERMUTATIONS + 1)))


def test_the_true_parting_counts_as_one_of_them_so_that_no_share_is_0() -> None:
    assert difference_p(*groups(20, 20, apart=50.0), seed=0) == 1 / (PERMUTATIONS + 1)
    assert difference_p(*groups(20, 20, apart=-50.0), seed=1) == 1 / (PERMUTATIONS + 1)


def test_groups_of_one_mean_differ_no_more_than_any_others() -> None:
    equal = np.tile([[1.0], [-1.0]], (4, 1))
    assert difference_p(equal, equal, seed=0) == 1.0


def test_the_same_seed_gives_the_same_share() -> None:
    first, second = groups(5, 8, apart=0.8)
    shares = [difference_p(first, second, seed=seed) for seed in (3, 3, 4)]
    assert shares[0] == shares[1]
    assert shares[0] != shares[2]


@pytest.mark.parametrize("unit", [1e-20, 1e20])
def test_neither_the_unit_nor_the_origin_of_a_measure_matters(unit: float) -> None:
    first, second = groups(5, 8, apart=0.8)
    expected = difference_p(first, second, seed=0)
    scales = np.array([unit, 1.0, 2.0])
    assert difference_p(scales * first, scales * second, seed=0) == expected
    assert difference_p(first + 7, second + 7, seed=0) == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9])
def test_a_measure_in_which_nobody_differs_says_nothing(value: float) -> None:
    first, second = groups(5, 8, apart=0.8)
    constant = [np.full((len(one), 1), value) for one in (first, second)]
    # All but the same: what rounding leaves of a constant is not a difference.
    constant[0][0] *= 1 + 1e-15
    assert difference_p(constant[0], constant[1], seed=0) == 1.0
    beside = [np.hstack([one, two]) for one, two in zip((first, second), constant, strict=True)]
    assert difference_p(*beside, seed=0) == difference_p(first, second, seed=0)


@pytest.mark.parametrize(
    ("first", "second", "told"), [(6, 6, False), (5, 8, True), (0, 20, False), (20, 0, False)]
)
def test_fewer_than_a_thousand_ways_to_part_them_tell_nothing(
    first: int, second: int, told: bool
) -> None:
    # 924 ways, 1,287, and one.
    assert (difference_p(*groups(first, second), seed=0) is not None) is told


def test_chance_alone_is_found_as_rare_as_it_is() -> None:
    generator = generator_for(0, "patients")
    low = 0
    for number in range(100):
        values = torch.randn(14, 60, generator=generator, dtype=torch.float64).numpy()
        p = difference_p(values[:6], values[6:], seed=number)
        assert p is not None
        low += p < 0.01
    assert low <= 6  # one is expected; seven happen once in ten thousand times
