"""Splits patients, never slices, into the parts that they play.

Victims ceil(n/4), auxiliary n//4, validation max(1, n//20), the rest train: 20 patients give
5, 5, 1, 9 and 40 give 10, 10, 2, 18. A patient is a person: several scans of a person are in one
part, and the person counts once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from leakaudit.errors import SplitError
from leakaudit.randomness import derive_seed


@final
@dataclass(frozen=True, kw_only=True)
class Splits:
    """Identifiers of the patients of each part, sorted; no patient is in two parts.

    Args:
        train: the target is trained on these.
        validation: followed during training; nothing is selected on them.
        auxiliary: the attacker has these; they are neither trained on nor attacked.
        victims: attacked at inference; no network has seen them.
        repeats: further scans of persons. They train or are the adversary's own with the person's
            first scan, but are never attacked and in no gallery; those of victims are in no part.
        members: who of the train part is attacked where an attack is on the training; empty: as
            many as there are victims, drawn by the seed of the training.

    Raises:
        SplitError: an empty part, or a patient in two parts or twice in one.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    auxiliary: tuple[str, ...]
    victims: tuple[str, ...]
    repeats: tuple[str, ...] = ()
    members: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse empty and overlapping parts."""
        parts = {
            "train": self.train,
            "validation": self.validation,
            "auxiliary": self.auxiliary,
            "victims": self.victims,
        }
        for name, part in parts.items():
            if not part:
                raise SplitError(f"the {name} part is empty, add patients")
        _refuse_repeats(patient for part in parts.values() for patient in part)
        again = sorted(set(self.repeats) & set(self.victims))
        if again:
            raise SplitError(f"further scans of persons cannot be victims: {', '.join(again)}")
        strangers = sorted(set(self.members) - set(self.train))
        if strangers:
            raise SplitError(f"attacked in training but not trained on: {', '.join(strangers)}")


def split_patients(ids: Iterable[str], seed: int, together: Iterable[Sequence[str]] = ()) -> Splits:
    """Split patients by a permutation drawn from ``seed``; the order of ``ids`` does not matter.

    Args:
        ids: identifiers, each once; of at least four persons.
        seed: seed of the audit.
        together: identifiers that are one person; who is in none is a person alone.

    Raises:
        SplitError: an identifier occurs twice, or there are too few persons for four parts.
    """
    people = persons(ids, together)
    n = len(people)
    victims, auxiliary, validation = -(-n // 4), n // 4, max(1, n // 20)
    if min(victims, auxiliary, n - victims - auxiliary - validation) < 1:
        raise SplitError(
            f"expected at least 4 patients for train, validation, auxiliary and victims, got {n}"
        )
    generator = np.random.default_rng(derive_seed(seed, "splits"))
    shuffled = [people[i] for i in generator.permutation(n)]

    def take(count: int) -> list[tuple[str, ...]]:
        taken = shuffled[:count]
        del shuffled[:count]
        return taken

    return splits_of(
        victims=take(victims),
        auxiliary=take(auxiliary),
        validation=take(validation),
        train=take(len(shuffled)),
    )


def persons(ids: Iterable[str], together: Iterable[Sequence[str]] = ()) -> list[tuple[str, ...]]:
    """The identifiers person by person, in the order of each person's first one.

    Args:
        ids: identifiers, each once.
        together: identifiers that are one person; those that are not in ``ids`` are left out.

    Raises:
        SplitError: an identifier occurs twice.
    """
    given = list(ids)
    _refuse_repeats(given)
    known = set(given)
    whole = [tuple(sorted(known.intersection(one))) for one in together]
    _refuse_repeats(name for person in whole for name in person)
    grouped = {name for person in whole for name in person}
    return sorted([*filter(None, whole), *((name,) for name in given if name not in grouped)])


def splits_of(
    *,
    train: Iterable[tuple[str, ...]],
    validation: Iterable[tuple[str, ...]],
    auxiliary: Iterable[tuple[str, ...]],
    victims: Iterable[tuple[str, ...]],
) -> Splits:
    """The splits of persons: every scan in its person's part, of a victim the first one alone.

    Args:
        train: persons, as of `persons`; the other arguments likewise.
        validation: see `Splits`.
        auxiliary: see `Splits`.
        victims: see `Splits`.

    Raises:
        SplitError: as `Splits`.
    """
    parts = [list(part) for part in (train, validation, auxiliary, victims)]
    every = [tuple(sorted(scan for person in part for scan in person)) for part in parts]
    return Splits(
        train=every[0],
        validation=every[1],
        auxiliary=every[2],
        victims=tuple(sorted(person[0] for person in parts[3])),
        repeats=tuple(sorted(scan for part in parts for person in part for scan in person[1:])),
    )


def _refuse_repeats(ids: Iterable[str]) -> None:
    repeated = sorted(patient for patient, count in Counter(ids).items() if count > 1)
    if repeated:
        raise SplitError(
            f"a patient must have one part only, but these occur more than once: "
            f"{', '.join(repeated)}"
        )


def victims_of(splits: Splits, kind: str, seed: int) -> tuple[str, ...]:
    """Return the attacked patients: the victims, or as many members of the train split.

    In folds the splits say which members, so that everybody is one once; else the seed draws them.
    """
    if kind == "inference":
        return splits.victims
    if splits.members:
        return splits.members
    rng = np.random.default_rng(derive_seed(seed, "training victims"))
    first_scans = [name for name in splits.train if name not in splits.repeats]
    count = min(len(splits.victims), len(first_scans))
    return tuple(sorted(rng.choice(first_scans, size=count, replace=False).tolist()))
