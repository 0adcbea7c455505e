"""How far apart folds are: an interval for patients who did not all meet the same adversary.

The patients of one fold were attacked on one network by attacks that learned from the same
auxiliary patients, so their figures move together. The means of the folds show how much; folds that
share auxiliary patients move together too, and then their means show less than there is.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.stats import t as student_t

from leakaudit.errors import CellError
from leakaudit.measure.arrays import Scores
from leakaudit.records import FoldRecord


@final
@dataclass(frozen=True, kw_only=True)
class Folds:
    """Which fold each value is of, and what folds have in common.

    Args:
        numbers: of each value the number of its fold, from 0.
        shares: for each pair of folds the share of auxiliary patients that both have, in [0, 1];
            1 of a fold with itself.
    """

    numbers: tuple[int, ...]
    shares: tuple[tuple[float, ...], ...]


def shared(parts: Sequence[Collection[str]]) -> tuple[tuple[float, ...], ...]:
    """For each pair of folds the share of auxiliary patients that both have.

    Args:
        parts: the auxiliary patients of each fold.

    Returns:
        Patients of both over the geometric mean of the two counts: the correlation of two means to
        which every patient adds as much on its own.
    """
    sets = [frozenset(one) for one in parts]
    return tuple(
        tuple(len(one & other) / math.sqrt(len(one) * len(other)) for other in sets) for one in sets
    )


def folds_of(patients: Sequence[str], folds: Sequence[FoldRecord]) -> Folds | None:
    """The fold of each patient.

    Args:
        patients: who has a value, in the order of the values.
        folds: who was a victim in which; empty without folds.

    Returns:
        None without folds, or if some patient was a victim in none of them.
    """
    number = {name: index for index, one in enumerate(folds) for name in one.patients}
    if not folds or not number.keys() >= set(patients):
        return None
    return Folds(
        numbers=tuple(number[name] for name in patients),
        shares=tuple(
            tuple(1.0 if other is one else one.shares.get(other.fold, 0.0) for other in folds)
            for one in folds
        ),
    )


def reach_of_folds(values: Scores, folds: Folds, coverage: float) -> float | None:
    """Half the width of the interval of the mean that rests on the means of the folds.

    Student's interval over the means of the folds, each weighing as it has patients. All that
    divides the folds is put down to their auxiliary patients: means correlate as the folds share
    such patients, which raises the variance of the overall mean and lowers the degrees of freedom
    (Satterthwaite). Without sharing and with folds of one size it is the plain t-interval of the k
    means with k - 1 degrees of freedom.

    What all folds have in common, such as training patients, moves no mean of a fold against
    another and is in no interval that one cohort can give.

    Args:
        values: one per patient.
        folds: the fold of each.
        coverage: in (0, 1).

    Returns:
        None if the values are of one fold, or the folds share so much that they say nothing.

    Raises:
        CellError: there are not as many values as fold numbers.

    Reference:
        Satterthwaite, Biometrics Bulletin 2, 1946 (degrees of freedom of a quadratic form).
    """
    if len(folds.numbers) != len(values):
        raise CellError(f"got {len(values)} values and the folds of {len(folds.numbers)}")
    numbers = np.array(folds.numbers)
    present = sorted(set(folds.numbers))
    means = np.array([values[numbers == one].mean() for one in present])
    weights = np.array([(numbers == one).mean() for one in present])
    alike = np.array(folds.shares, dtype=np.float64)[np.ix_(present, present)]
    off = np.eye(len(present)) - np.outer(np.ones(len(present)), weights)
    form = off @ alike @ off.T
    total = float(np.trace(form))
    if total <= 1e-9:
        return None
    residual = means - weights @ means
    variance = float(residual @ residual) * float(weights @ alike @ weights) / total
    freedom = total**2 / float(np.trace(form @ form))
    return float(student_t.ppf((1 + coverage) / 2, freedom)) * math.sqrt(variance)
