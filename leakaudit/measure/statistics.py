"""Means over patients with their 95 % intervals.

The unit is the patient: a value per patient goes in, slices are never resampled. Patients of one
fold met the same network and the same adversary, so `leakaudit.measure.folds` widens the interval.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from jaxtyping import Float
from scipy.stats import beta
from scipy.stats import t as student_t

from leakaudit.errors import CellError
from leakaudit.measure.arrays import Scores
from leakaudit.measure.folds import Folds, reach_of_folds
from leakaudit.records import Interval

COVERAGE = 0.95
# From this many patients on, the percentile bootstrap replaces the t-interval.
BOOTSTRAP_FROM = 20
BOOTSTRAP_RESAMPLES = 10_000
# Fixed, so that the same values always give the same interval.
BOOTSTRAP_SEED = 20_220_918

# One figure per patient; two arguments of this type need not be equally long.
Values = Float[np.ndarray, " _"] | Sequence[float]


def interval(
    values: Values,
    *,
    least: float = -math.inf,
    most: float = math.inf,
    folds: Folds | None = None,
) -> Interval:
    """The mean over patients with its 95 % interval.

    Fewer than 20 patients: Student's t-interval. From 20: percentile bootstrap with 10,000
    resamples of the patients under a fixed seed; the values are sorted first, so that their order
    does not matter. One patient: no interval. Of several folds the interval also reaches as far as
    `reach_of_folds` does, to either side.

    Args:
        values: one figure per patient, any finite range.
        least: the smallest mean that can be, at which the interval is cut off.
        most: the largest.
        folds: which fold each value is of; None if all are of one.

    Returns:
        The mean, its interval (None for one patient), the number of patients and the method.

    Raises:
        CellError: no values, or one that is not finite.

    Reference:
        Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3 (percentile).
    """
    checked = _checked(values)
    given = np.sort(checked)
    n = len(given)
    mean = float(given.mean())
    if n == 1:
        return Interval(mean=mean, low=None, high=None, n=1, method="none")
    low, high, method = _over_patients(given, mean)
    if folds is not None and (reach := reach_of_folds(checked, folds, COVERAGE)) is not None:
        low, high = min(low, mean - reach), max(high, mean + reach)
        method = f"wider of {method} over patients and t over folds"
    return Interval(mean=mean, low=max(low, least), high=min(high, most), n=n, method=method)


def paired(a: Values, b: Values, *, folds: Folds | None = None) -> Interval:
    """The mean of ``a - b`` over the same patients in the same order, with its interval.

    Args:
        a: one figure per patient.
        b: another figure of the same patients.
        folds: as of `interval`.

    Raises:
        CellError: different lengths, no values, or one that is not finite.
    """
    first, second = _checked(a), _checked(b)
    if len(first) != len(second):
        raise CellError(
            f"paired figures need the same patients, got {len(first)} and {len(second)} values; "
            "give one value per patient on both sides"
        )
    return interval(first - second, folds=folds)


def clopper_pearson(successes: Fraction | int, n: int) -> tuple[float, float]:
    """The exact 95 % interval of a share.

    A tie can make the successes fractional, for which the binomial has no quantile: the lower end
    is then taken at the floor and the upper end at the ceiling, which widens the interval.

    Args:
        successes: in [0, n].
        n: trials, at least 1.

    Returns:
        Lower and upper end, in [0, 1].

    Raises:
        CellError: ``successes`` is not in [0, n], or ``n`` is 0.

    Reference:
        Clopper and Pearson, Biometrika 26, 1934.
    """
    if n < 1 or not 0 <= successes <= n:
        raise CellError(f"expected 0 to n successes of n >= 1 trials, got {successes} of {n}")
    fewest, most = math.floor(successes), math.ceil(successes)
    tail = (1 - COVERAGE) / 2
    low = 0.0 if fewest == 0 else float(beta.ppf(tail, fewest, n - fewest + 1))
    high = 1.0 if most == n else float(beta.ppf(1 - tail, most + 1, n - most))
    return low, high


def share_interval(hits: Sequence[Fraction], folds: Folds | None = None) -> tuple[float, float]:
    """The 95 % interval of a share of patients, some of whom may count in part.

    Args:
        hits: of each patient 1, a part of it in a tie, or 0.
        folds: which fold each patient is of; None if all are of one.

    Returns:
        Both ends of `clopper_pearson`; of several folds at least as far as `reach_of_folds`.

    Raises:
        CellError: there is no patient.
    """
    total = sum(hits)
    low, high = clopper_pearson(total, len(hits))
    if folds is None:
        return low, high
    reach = reach_of_folds(np.array([float(hit) for hit in hits]), folds, COVERAGE) or 0.0
    share = float(total / len(hits))
    return max(0.0, min(low, share - reach)), min(1.0, max(high, share + reach))


def _over_patients(given: Scores, mean: float) -> tuple[float, float, str]:
    """Both ends and the method, for two sorted values or more."""
    n = len(given)
    if n < BOOTSTRAP_FROM:
        reach = float(student_t.ppf((1 + COVERAGE) / 2, n - 1) * given.std(ddof=1) / math.sqrt(n))
        return mean - reach, mean + reach, "t"
    drawn = np.random.default_rng(BOOTSTRAP_SEED).integers(n, size=(BOOTSTRAP_RESAMPLES, n))
    tail = (1 - COVERAGE) / 2
    low, high = np.quantile(given[drawn].mean(axis=1), [tail, 1 - tail])
    return float(low), float(high), "bootstrap"


def _checked(values: Values) -> Scores:
    given = np.asarray(values, dtype=np.float64)
    if given.size == 0:
        raise CellError("expected a figure for at least one patient, got none")
    if not np.isfinite(given).all():
        raise CellError("expected finite figures, got NaN or infinity; leave such patients null")
    return given
