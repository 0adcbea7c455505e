"""Every patient a victim once: the roles of one shuffled order, rotated from fold to fold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from leakaudit.data.splits import Splits, persons, split_patients, splits_of
from leakaudit.errors import SplitError
from leakaudit.randomness import derive_seed

# The controls of a fold need an interval, and so do its figures.
FEWEST_VICTIMS = 2


def split_folds(
    ids: Iterable[str], seed: int, folds: int, together: Iterable[Sequence[str]] = ()
) -> tuple[Splits, ...]:
    """Split patients once per fold, so that every patient is a victim in one fold exactly.

    The persons are shuffled by ``seed`` as `split_patients` does it, and the order is cut into
    groups of victims whose sizes differ by 1 at most. In each fold the order is read on from behind
    its victims, around the end, and the other roles are cut off it by the rule of one split:
    auxiliary n//4, validation max(1, n//20), the rest train. With four folds a patient is thus
    auxiliary once as well; with more, neighbouring folds share auxiliary patients.

    The persons whose training is attacked rotate too: they are the victims of the fold before,
    where that fold's victims all belong to this one's train part.

    Args:
        ids: identifiers, each once.
        seed: seed of the split.
        folds: how many; 1 is `split_patients`.
        together: identifiers that are one person; who is in none is a person alone.

    Returns:
        One split per fold.

    Raises:
        SplitError: there are too few persons for so many folds, or as `split_patients`.
    """
    if folds == 1:
        return (split_patients(ids, seed, together),)
    people = persons(ids, together)
    count = len(people)
    if count < FEWEST_VICTIMS * folds:
        most = count // FEWEST_VICTIMS
        raise SplitError(
            f"{folds} folds of {count} patients leave some fold with fewer than {FEWEST_VICTIMS} "
            f"victims; ask for at most {most} folds or add patients"
            if most > 1
            else f"{count} patients are too few for folds; use folds: 1 or add patients"
        )
    order = np.random.default_rng(derive_seed(seed, "splits")).permutation(count)
    shuffled = [people[number] for number in order]
    ends = [(fold + 1) * (count // folds) + min(fold + 1, count % folds) for fold in range(folds)]
    groups = [shuffled[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    return tuple(
        _fold(groups[number], shuffled[end:] + shuffled[: end - len(groups[number])], before)
        for number, (end, before) in enumerate(zip(ends, [groups[-1], *groups], strict=False))
    )


_Persons = list[tuple[str, ...]]


def _fold(victims: _Persons, others: _Persons, before: _Persons) -> Splits:
    """One fold; ``others`` end with the victims of the fold ``before``."""
    count = len(victims) + len(others)
    auxiliary, validation = count // 4, max(1, count // 20)
    train = others[auxiliary + validation :]
    if not auxiliary or not train:
        raise SplitError(
            f"folds of {count} patients leave nobody to train on beside {len(victims)} victims, "
            f"{auxiliary} auxiliary and {validation} validation patients; ask for more folds or "
            "add patients"
        )
    splits = splits_of(
        victims=victims,
        auxiliary=others[:auxiliary],
        validation=others[auxiliary : auxiliary + validation],
        train=train,
    )
    if len(before) > len(train):
        return splits
    return replace(splits, members=tuple(sorted(person[0] for person in before)))
