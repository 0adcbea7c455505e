"""In folds every patient is a victim once, and nobody plays two parts in one fold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leakaudit.data import split_folds, split_patients
from leakaudit.errors import SplitError


def names(n: int) -> list[str]:
    return [f"P{i:03d}" for i in range(n)]


@st.composite
def possible(draw: st.DrawFn) -> tuple[int, int]:
    folds = draw(st.integers(2, 10))
    return draw(st.integers(max(8, 2 * folds), 80)), folds


@given(possible(), st.integers(0, 2**40), st.randoms(use_true_random=False))
def test_everybody_is_a_victim_once_and_plays_one_part_in_a_fold(
    size: tuple[int, int], seed: int, random: object
) -> None:
    n, folds = size
    ids = names(n)
    made = split_folds(ids, seed, folds)
    assert sorted(name for one in made for name in one.victims) == ids
    counts = [len(one.victims) for one in made]
    assert max(counts) - min(counts) <= 1
    for one in made:
        parts = (one.train, one.validation, one.auxiliary, one.victims)
        assert sorted(name for part in parts for name in part) == ids
        assert (len(one.auxiliary), len(one.validation)) == (n // 4, max(1, n // 20))
    shuffled = ids.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert split_folds(shuffled, seed, folds) == made


@given(possible(), st.integers(0, 2**40))
def test_who_is_attacked_in_training_rotates_as_well(size: tuple[int, int], seed: int) -> None:
    n, folds = size
    made = split_folds(names(n), seed, folds)
    for one in made:
        assert set(one.members) <= set(one.train)
    if all(one.members for one in made):
        assert sorted(name for one in made for name in one.members) == names(n)


@given(st.integers(4, 80), st.integers(0, 2**40))
def test_one_fold_is_the_split_without_folds(n: int, seed: int) -> None:
    assert split_folds(names(n), seed, 1) == (split_patients(names(n), seed),)


@given(st.integers(2, 20), st.integers(0, 2**40))
def test_four_folds_begin_with_that_split_and_make_everybody_auxiliary_once(
    quarter: int, seed: int
) -> None:
    ids = names(4 * quarter)
    first, *_ = made = split_folds(ids, seed, 4)
    alone = split_patients(ids, seed)
    assert (first.victims, first.auxiliary) == (alone.victims, alone.auxiliary)
    assert (first.validation, first.train) == (alone.validation, alone.train)
    assert sorted(name for one in made for name in one.auxiliary) == ids


@given(st.lists(st.integers(1, 4), min_size=8, max_size=16), st.integers(0, 2**40))
def test_scans_of_one_person_stay_together(sizes: list[int], seed: int) -> None:
    people = [[f"{person:02d}-{scan}" for scan in range(n)] for person, n in enumerate(sizes)]
    ids = [name for person in people for name in person]
    made = split_folds(ids, seed, 4, [person for person in people if len(person) > 1])
    assert sorted(name for one in made for name in one.victims) == [one[0] for one in people]
    for one in made:
        assert set(one.members) <= set(one.train) - set(one.repeats)
        for part in (one.train, one.validation, one.auxiliary):
            assert all(set(person) <= set(part) or not set(person) & set(part) for person in people)


@pytest.mark.parametrize(
    ("n", "folds", "words"),
    [
        (12, 7, "7 folds of 12 patients .* fewer than 2 victims; ask for at most 6 folds"),
        (3, 2, "3 patients are too few for folds; use folds: 1"),
        (4, 2, "leave nobody to train on beside 2 victims, 1 auxiliary and 1 validation"),
    ],
)
def test_folds_that_can_not_be_made_are_refused(n: int, folds: int, words: str) -> None:
    with pytest.raises(SplitError, match=words):
        split_folds(names(n), 0, folds)


def test_a_repeated_patient_is_refused() -> None:
    with pytest.raises(SplitError, match="P001"):
        split_folds([*names(11), "P001"], 0, 3)
