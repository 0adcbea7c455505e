"""The figure that a threshold judges: of a cell, or of a setting as a whole."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import final

from scipy.stats import binom

from leakaudit.measure import statistics
from leakaudit.measure.folds import folds_of
from leakaudit.measure.metrics import limited
from leakaudit.privacy.gaussian import hides_nothing
from leakaudit.records import CellRecord, Interval, Matching, Reidentification, TargetRecord
from leakaudit.records.targets import plain_network
from leakaudit.records.verdict import Measure, Quantifier, Threshold

# Below this many patients no order statistic bounds the 95th percentile with 95 % confidence.
LEAST_FOR_P95 = 59


@final
@dataclass(frozen=True, kw_only=True)
class Figure:
    """The observed figure that a limit judges; its numbers are finite, like those of records.

    Args:
        observed: the figure under the quantifier; None if there is none.
        upper: upper end of its 95 % interval; for a worst patient the observed itself, which is a
            maximum and no estimate; None if there is no such end.
        n: patients behind it.
        patient: the worst one.
        why_not: why ``observed`` or ``upper`` is None.
        shows_nothing: why it cannot show that a limit holds, though it can exceed one.
        may_be_luck: a share that who guesses may reach as well, so that it exceeds no limit yet.
    """

    observed: float | None
    upper: float | None
    n: int
    patient: str | None = None
    why_not: str = ""
    shows_nothing: str = ""
    may_be_luck: bool = False


def of_cell(cell: CellRecord, threshold: Threshold) -> Figure | None:
    """The figure of an ``ok`` cell; None where the measure does not apply.

    Args:
        cell: with figures.
        threshold: any but of ``epsilon`` and ``dice_loss``.
    """
    metric, quantifier = limited(threshold.measure), threshold.quantifier
    if metric is None or not metric.applies(cell):
        return None
    if metric.share is not None:
        share = metric.share(cell)
        return _share(share) if share is not None else None
    named, over = metric.by_patient(cell), metric.figure(cell)
    if quantifier is None or named is None:
        return None
    if metric.absent and (over is None or not named):
        return Figure(observed=None, upper=None, n=0, why_not=metric.absent)
    if over is None:
        return None
    return _over_patients(named, over, quantifier)


def applies(cell: CellRecord, measure: Measure) -> bool:
    """Whether a cell of this kind can have the measure at all."""
    metric = limited(measure)
    return metric is not None and metric.applies(cell)


def of_epsilon(target: TargetRecord, delta: float) -> Figure:
    """Epsilon of a claim on what crosses the cut for patients in use; no claim is not a bound.

    Args:
        target: the setting.
        delta: the largest at which a claim counts.
    """
    guarantee = target.guarantee
    if guarantee is None or not guarantee.claimed or guarantee.epsilon is None:
        reason = guarantee.reason if guarantee and guarantee.reason else "the defense makes none"
        return Figure(observed=None, upper=None, n=0, why_not=f"nothing is claimed: {reason}")
    if guarantee.covers != "releases":
        return Figure(
            observed=None,
            upper=None,
            n=0,
            why_not=f"the claim is about {guarantee.covers}, not about what crosses in use",
        )
    claimed = guarantee.delta
    if claimed is None:
        return Figure(observed=None, upper=None, n=0, why_not="the claim names no delta")
    if claimed > delta:
        why_not = f"the claim is at a delta of {claimed:g}, and the policy asks for {delta:g}"
        return Figure(observed=None, upper=None, n=0, why_not=why_not)
    if hides_nothing(guarantee.epsilon, claimed, guarantee.mu):
        return Figure(observed=None, upper=None, n=0, why_not="what is claimed hides nothing")
    return Figure(observed=guarantee.epsilon, upper=guarantee.epsilon, n=0)


def of_dice_loss(
    target: TargetRecord, targets: Sequence[TargetRecord], quantifier: Quantifier
) -> Figure:
    """Mean Dice that the same patients lose to the undefended network of that cut and seed.

    Where that network or this one may be worth no more than an untrained one, a small loss shows
    nothing: what segments nothing has nothing to lose. Such a figure can exceed a limit, not hold.
    """
    base = plain_network(target, targets)
    if base is None or base.utility is None or target.utility is None:
        whose = "this network" if base is not None and base.utility else "the undefended network"
        return Figure(observed=None, upper=None, n=0, why_not=f"{whose} has no Dice")
    before = {one.patient: one.mean for one in base.utility.patients}
    losses = [
        (one.patient, reached - one.mean)
        for one in target.utility.patients
        if one.mean is not None and (reached := before.get(one.patient)) is not None
    ]
    if not losses:
        return Figure(observed=None, upper=None, n=0, why_not="no patient has both Dice")
    folds = folds_of([patient for patient, _ in losses], target.folds)
    mean = statistics.interval([loss for _, loss in losses], folds=folds)
    found = _over_patients(losses, mean, quantifier)
    for one, whose in ((base, "the undefended network"), (target, "this network")):
        if not one.is_shown_useful:
            why = (
                f"{whose} may be worth no more than an untrained one, so a small loss shows little"
            )
            return replace(found, shows_nothing=why)
    return found


def _share(share: Reidentification | Matching) -> Figure:
    """Return the share as a figure, which may be luck while its interval reaches chance."""
    return Figure(
        observed=share.top1, upper=share.high, n=share.n, may_be_luck=share.low <= share.chance
    )


def _over_patients(
    named: Sequence[tuple[str, float]], mean: Interval, quantifier: Quantifier
) -> Figure:
    if not named:
        return Figure(observed=None, upper=None, n=0, why_not="no patient has such a figure")
    by_quantifier: dict[Quantifier, Callable[[], Figure]] = {
        "worst_patient": lambda: _worst(named),
        "p95": lambda: _p95(named),
        "mean": lambda: _mean(mean),
    }
    return by_quantifier[quantifier]()


def _worst(named: Sequence[tuple[str, float]]) -> Figure:
    patient, value = max(named, key=lambda one: one[1])
    return Figure(observed=value, upper=value, n=len(named), patient=patient)


def _p95(named: Sequence[tuple[str, float]]) -> Figure:
    """The smallest observed value that 95 % of the patients do not exceed.

    Its upper bound is the order statistic that exceeds the 95th percentile of the population with
    95 % confidence, for any distribution (David and Nagaraja, Order Statistics, 2003,
    section 7.1); it exists from 59 patients on.
    """
    values = sorted(value for _, value in named)
    n = len(values)
    place = math.ceil(0.95 * n) - 1
    found = Figure(observed=values[place], upper=None, n=n)
    rank = int(binom.ppf(statistics.COVERAGE, n, 0.95)) + 1  # 1-based; P(Bin < rank) >= 0.95
    if rank > n:
        return replace(
            found,
            why_not=f"an upper bound of a 95th percentile needs {LEAST_FOR_P95} patients, got {n}",
        )
    return replace(found, upper=values[rank - 1])


def _mean(mean: Interval) -> Figure:
    why_not = "" if mean.high is not None else "one patient has no interval"
    return Figure(observed=mean.mean, upper=mean.high, n=mean.n, why_not=why_not)
