from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leakaudit.data import Splits, split_patients
from leakaudit.errors import SplitError


def names(n: int) -> list[str]:
    return [f"P{i:03d}" for i in range(n)]


@pytest.mark.parametrize(
    ("n", "sizes"),
    [(4, (1, 1, 1, 1)), (5, (1, 1, 1, 2)), (20, (9, 1, 5, 5)), (21, (9, 1, 5, 6)),
     (40, (18, 2, 10, 10))],
)  # fmt: skip
def test_sizes_of_train_validation_auxiliary_victims(n: int, sizes: tuple[int, ...]) -> None:
    splits = split_patients(names(n), 0)
    parts = (splits.train, splits.validation, splits.auxiliary, splits.victims)
    assert tuple(len(part) for part in parts) == sizes


@given(st.integers(4, 80), st.integers(0, 2**40), st.randoms(use_true_random=False))
def test_parts_are_a_sorted_partition_whatever_the_order(n: int, seed: int, random: object) -> None:
    ids = names(n)
    splits = split_patients(ids, seed)
    parts = (splits.train, splits.validation, splits.auxiliary, splits.victims)
    assert sorted(p for part in parts for p in part) == ids
    assert all(list(part) == sorted(part) for part in parts)
    shuffled = ids.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert split_patients(shuffled, seed) == splits


def test_every_patient_can_be_a_victim_and_seeds_differ() -> None:
    ids = names(20)
    drawn = [split_patients(ids, seed).victims for seed in range(40)]
    assert len(set(drawn)) > 30
    assert {patient for victims in drawn for patient in victims} == set(ids)


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_too_few_patients_are_refused(n: int) -> None:
    with pytest.raises(SplitError, match=f"at least 4.*got {n}"):
        split_patients(names(n), 0)


def test_a_repeated_patient_is_refused() -> None:
    with pytest.raises(SplitError, match="P001"):
        split_patients([*names(8), "P001"], 0)


def test_a_patient_in_two_parts_is_refused_whoever_made_the_split() -> None:
    with pytest.raises(SplitError, match="more than once: B"):
        Splits(train=("A", "B"), validation=("C",), auxiliary=("B",), victims=("D",))
    with pytest.raises(SplitError, match="auxiliary part is empty"):
        Splits(train=("A",), validation=("C",), auxiliary=(), victims=("D",))


TWINS = [("P001", "P004", "P009"), ("P010", "P000")]


@given(st.integers(14, 40), st.integers(0, 2**20))
def test_scans_of_a_person_have_one_part_and_count_once(n: int, seed: int) -> None:
    splits = split_patients(names(n), seed, TWINS)
    parts = [splits.train, splits.validation, splits.auxiliary, splits.victims]
    for twins in TWINS:
        homes = [part for part in parts if set(part) & set(twins)]
        assert len(homes) == 1
        if homes == [splits.victims]:
            assert set(splits.victims) & set(twins) == {min(twins)}
        else:
            assert set(twins) <= set(homes[0])
    assert splits.repeats == ("P004", "P009", "P010")
    persons = n - 3
    sizes = [len(set(part) - set(splits.repeats)) for part in parts]
    assert sizes[1:] == [max(1, persons // 20), persons // 4, -(-persons // 4)]
    assert sum(sizes) == persons


def test_persons_of_one_scan_are_split_as_ever() -> None:
    assert split_patients(names(20), 3, [("P004",)]) == split_patients(names(20), 3)
    assert split_patients(names(20), 3).victims == ("P000", "P001", "P014", "P017", "P019")


def test_four_scans_of_two_persons_are_too_few() -> None:
    with pytest.raises(SplitError, match=r"at least 4.*got 2"):
        split_patients(names(4), 0, [("P000", "P001"), ("P002", "P003")])


def test_nobody_is_two_persons_and_no_further_scan_a_victim() -> None:
    with pytest.raises(SplitError, match="P001"):
        split_patients(names(8), 0, [("P000", "P001"), ("P001", "P002")])
    with pytest.raises(SplitError, match="cannot be victims: D"):
        Splits(
            train=("A",), validation=("B",), auxiliary=("C",), victims=("D", "E"), repeats=("D",)
        )
