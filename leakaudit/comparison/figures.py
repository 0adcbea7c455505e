"""Differences of figures between two reports, paired by patient, and what they say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from leakaudit.comparison.records import Delta, Outcome, Reading, Shares
from leakaudit.measure import metrics, statistics
from leakaudit.measure.folds import folds_of
from leakaudit.records import CellRecord, FoldRecord, Interval, State, TargetRecord
from leakaudit.records.metric import Metric
from leakaudit.report.text.validity import valid_figures, valid_leakage

# Half of the last digit that is shown: a difference that rounds to 0 is not called one.
LEAST = 0.0005
COVERAGE = statistics.COVERAGE
NOT_PAIRED = (
    "a report holds how many victims were picked out, not which, so their difference has no paired "
    "interval; each share stands with its own"
)
BELOW_GUESS = "at or below what a blind guess gets, where a difference says nothing"
OTHER_ATTACK = "lower, but not counted as better: the attack or what its threat grants changed"
# How far a figure may lie beyond its range: what does was not written by an audit.
_MOST = 2.0

# A figure of each patient; None if they cannot be told apart or are out of range.
_ByPatient = dict[str, float] | None


def valid_dice(target: TargetRecord) -> Interval | None:
    """The target's Dice if its training ended well."""
    return target.utility.mean if target.state is State.OK and target.utility else None


def dice_delta(a: TargetRecord, b: TargetRecord) -> Delta | None:
    """Dice of B minus A; None unless both trainings have one."""
    first, second = valid_dice(a), valid_dice(b)
    if first is None or second is None:
        return None
    return _delta("dice", first, second, _dice_of(a), _dice_of(b), a.folds)


def cell_deltas(a: CellRecord, b: CellRecord) -> tuple[Delta, ...]:
    """Score and advantage of B minus A; nothing unless both cells have figures."""
    deltas = []
    for metric in metrics.METRICS:
        first, second = metric.figure(a), metric.figure(b)
        if metric.short and first is not None and second is not None:
            of_a, of_b = (_by_patient(metric.compared(one), metric) for one in (a, b))
            deltas.append(_delta(metric.name, first, second, of_a, of_b, a.folds))
    return tuple(deltas)


def shares(a: CellRecord, b: CellRecord) -> Shares | None:
    """Re-identification of both; None where nobody is to be singled out, or a figure is missing."""
    first, second = valid_leakage(a), valid_leakage(b)
    if first is None or second is None or a.recovers != "images":
        return None
    one, other = first.reidentification, second.reidentification
    if one == other:
        reading = Reading.EQUAL
    elif other.low > one.high:
        reading = Reading.HIGHER
    elif other.high < one.low:
        reading = Reading.LOWER
    else:
        reading = Reading.NOT_SHOWN
    return Shares(a=one, b=other, reading=reading, reason=NOT_PAIRED)


def dice_outcome(delta: Delta | None, had: bool, has: bool, same_state: bool) -> Outcome:
    """Judge the change of a setting's Dice.

    Args:
        delta: of Dice; None unless both have one.
        had: whether A has one.
        has: whether B has one.
        same_state: whether both trainings ended alike.
    """
    if delta is None:
        return _without_figure(had, has, same_state)
    falls, rises = delta.reading is Reading.LOWER, delta.reading is Reading.HIGHER
    return _outcome(falls, rises, [delta.reading])


def cell_outcome(
    a: CellRecord,
    b: CellRecord,
    deltas: Sequence[Delta],
    singled: Shares | None,
    *,
    same_attack: bool,
) -> tuple[Outcome, str]:
    """Judge the change of a cell's leakage, and say why a shown difference does not count.

    Leakage is shown to be higher if one of the figures is. It is never less than what a blind guess
    gets: where a score rises and stays below that floor, leakage is no higher, and where it falls
    from below, no lower. What another attack does not recover makes nothing better either.

    Args:
        a: the cell in A.
        b: in B.
        deltas: its figures.
        singled: its re-identification.
        same_attack: whether the attack and what its threat grants are the same on both sides.
    """
    first, second = valid_figures(a), valid_figures(b)
    if first is None or second is None or not deltas:
        had, has = first is not None, second is not None
        return _without_figure(had, has, a.state is b.state), ""
    readings = [one.reading for one in deltas]
    shown = [_of_leakage(one) for one in deltas]
    rises, falls = Reading.HIGHER in shown, Reading.LOWER in shown
    counts_up, counts_down = second.gain > 0, first.gain > 0
    note = BELOW_GUESS if (rises and not counts_up) or (falls and not counts_down) else ""
    rises, falls = rises and counts_up, falls and counts_down
    if singled is not None:
        readings.append(singled.reading)
        rises = rises or singled.reading is Reading.HIGHER
        falls = falls or singled.reading is Reading.LOWER
    outcome = _outcome(rises, falls, readings)
    if outcome is Outcome.BETTER and not same_attack:
        return Outcome.NOT_SHOWN, OTHER_ATTACK
    return outcome, note


def _of_leakage(delta: Delta) -> Reading:
    """Read a difference as leakage: reversed if less of a metric gives more away."""
    metric = next(one for one in metrics.METRICS if one.name == delta.measure)
    contrary = {Reading.HIGHER: Reading.LOWER, Reading.LOWER: Reading.HIGHER}
    return delta.reading if metric.more_leaks else contrary.get(delta.reading, delta.reading)


def _without_figure(had: bool, has: bool, same_state: bool) -> Outcome:
    if had and not has:
        return Outcome.LOST
    if has and not had:
        return Outcome.GAINED
    return Outcome.NO_FIGURE if same_state else Outcome.STATE_CHANGED


def _outcome(worse: bool, better: bool, readings: Sequence[Reading]) -> Outcome:
    """Worse comes first: one figure that is shown to be so is enough."""
    if worse:
        return Outcome.WORSE
    if better:
        return Outcome.BETTER
    if all(one is Reading.EQUAL for one in readings):
        return Outcome.EQUAL
    if Reading.NO_INTERVAL in readings:
        return Outcome.NO_INTERVAL
    return Outcome.NOT_SHOWN


def _delta(
    measure: str,
    a: Interval,
    b: Interval,
    of_a: _ByPatient,
    of_b: _ByPatient,
    folds: Sequence[FoldRecord],
) -> Delta:
    """B minus A; audits of the same patients in the same splits have the same folds."""
    reason = ""
    difference = None
    if of_a is None or of_b is None:
        reason = "the patients' figures do not read as this measure, so they are not paired"
    elif not of_a or of_a.keys() != of_b.keys():
        reason = "not over the same patients, so there is no difference paired by patient"
    else:
        names = sorted(of_a)
        difference = statistics.paired(
            [of_b[n] for n in names], [of_a[n] for n in names], folds=folds_of(names, folds)
        )
        if difference.low is None:
            reason = "one patient has no interval"
    return Delta(
        measure=measure,
        a=a,
        b=b,
        difference=difference,
        reading=_reading(difference, same=of_a == of_b and a == b),
        reason=reason,
    )


def _reading(difference: Interval | None, *, same: bool) -> Reading:
    if difference is not None and same:
        return Reading.EQUAL
    if difference is None or difference.low is None or difference.high is None:
        return Reading.NO_INTERVAL
    if difference.low > 0 and difference.mean >= LEAST:
        return Reading.HIGHER
    if difference.high < 0 and difference.mean <= -LEAST:
        return Reading.LOWER
    return Reading.NOT_SHOWN


def _dice_of(target: TargetRecord) -> _ByPatient:
    patients = target.utility.patients if target.utility else ()
    pairs = [(one.patient, one.mean) for one in patients if one.mean is not None]
    return _by_patient(pairs, None)


def _by_patient(pairs: Iterable[tuple[str, float]] | None, metric: Metric | None) -> _ByPatient:
    """Figures by patient; None for what no audit could have written."""
    given = list(pairs or ())
    found = dict(given)
    most = max(abs(metric.low), abs(metric.high), 1.0) if metric else 1.0
    if pairs is None or len(found) < len(given):
        return None
    return None if any(abs(value) > _MOST * most for value in found.values()) else found
