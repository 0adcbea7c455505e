"""From the folds' records to one per setting and per attack, over all patients.

Every patient was a victim in one fold. A pooled record is `ok` only if those of all folds are:
nothing is averaged over survivors.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import TypeVar

from leakaudit.audit.results.pooled_figures import pooled_figures
from leakaudit.measure.folds import shared
from leakaudit.records import CellRecord, Control, Cost, Doubt, FoldRecord, State, TargetRecord

# The gravest first; a pooled record has that of its gravest fold.
_GRAVITY = (
    State.FAILED,
    State.TIMED_OUT,
    State.NOT_RUN,
    State.CONTROL_FAILED,
    State.UNSUPPORTED,
    State.OK,
)
_Ended = TypeVar("_Ended", CellRecord, TargetRecord)


def pooled_key(keys: Sequence[str]) -> str:
    """The key of what is pooled from these results; of one it is its own."""
    return keys[0] if len(keys) == 1 else sha256("\n".join(keys).encode()).hexdigest()[:32]


def pooled_cell(
    records: Sequence[CellRecord],
    target: str,
    victims: Sequence[Sequence[str]],
    auxiliary: Sequence[Sequence[str]],
) -> CellRecord:
    """One attack per fold as one record over all patients.

    Args:
        records: of the same attack on the same setting, fold by fold, controls applied.
        target: key of the pooled setting.
        victims: whom the attack was on, fold by fold.
        auxiliary: patients of each fold.

    Returns:
        Of one fold its own record.
    """
    if len(records) == 1:
        return records[0]
    keys = [one.cell for one in records]
    found = [one.figures or one.set_aside for one in records]
    scores = [one.score.mean if one else None for one in found]
    folds = tuple(
        fold.model_copy(update={"blind_floor_name": one.blind_floor_name if one else ""})
        for fold, one in zip(
            fold_records(records, keys, victims, auxiliary, scores), found, strict=True
        )
    )
    state, reason = worst(records)
    return records[0].model_copy(
        update={
            "cell": pooled_key(keys),
            "target": target,
            "state": state,
            "reason": reason,
            **pooled_figures(records, state, folds),
            "negative_control": _control([one.negative_control for one in records]),
            "positive_control": _control([one.positive_control for one in records]),
            "disguise_control": _control([one.disguise_control for one in records]),
            "cost": _cost([one.cost for one in records]),
            "isolation": _isolation(records),
            "notes": of_folds([one.notes for one in records]),
            "doubts": _doubts(records),
            "folds": folds,
            "volatile": volatile(records),
        }
    )


def fold_records(
    records: Sequence[_Ended],
    keys: Sequence[str],
    victims: Sequence[Sequence[str]],
    auxiliary: Sequence[Sequence[str]],
    scores: Sequence[float | None],
) -> tuple[FoldRecord, ...]:
    """The summary of each fold, without the name of a blind guess.

    Args:
        records: fold by fold.
        keys: of their results.
        victims: of each fold.
        auxiliary: patients of each fold.
        scores: by which each is told; None without figures.
    """
    shares = shared(auxiliary)
    return tuple(
        FoldRecord(
            fold=number + 1,
            key=keys[number],
            state=one.state,
            reason=one.reason,
            patients=tuple(victims[number]),
            score=scores[number],
            shares={
                other + 1: share
                for other, share in enumerate(shares[number])
                if share and other != number
            },
        )
        for number, one in enumerate(records)
    )


def worst(records: Sequence[_Ended]) -> tuple[State, str]:
    """The gravest state, and what ended otherwise than well in which fold."""
    state = min((one.state for one in records), key=_GRAVITY.index)
    if len({(one.state, one.reason) for one in records}) == 1:
        return state, records[0].reason
    return state, "; ".join(
        f"fold {number}: {one.state}{f' ({one.reason})' if one.reason else ''}"
        for number, one in enumerate(records, 1)
        if one.state is not State.OK
    )


def of_folds(said: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Each text once if all folds say it, else with the folds that do; empty ones are left out.

    Args:
        said: the texts of each fold.
    """
    by_text: dict[str, list[int]] = {}
    for number, texts in enumerate(said, 1):
        for text in dict.fromkeys(filter(None, texts)):
            by_text.setdefault(text, []).append(number)
    return tuple(_by_whom(text, numbers, len(said)) for text, numbers in by_text.items())


def _doubts(records: Sequence[CellRecord]) -> tuple[Doubt, ...]:
    """The doubts of every fold; one that all share stands once."""
    found: dict[tuple[str, str], list[int]] = {}
    for number, one in enumerate(records, 1):
        for doubt in one.doubts:
            found.setdefault((doubt.kind, doubt.words), []).append(number)
    return tuple(
        Doubt(kind=kind, words=_by_whom(words, numbers, len(records)))
        for (kind, words), numbers in found.items()
    )


def _by_whom(text: str, numbers: Sequence[int], folds: int) -> str:
    if len(numbers) == folds:
        return text
    return f"fold{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}: {text}"


def _control(controls: Sequence[Control | None]) -> Control | None:
    """Passed only if it is in every fold; not made if it is missing in one."""
    if all(one is None for one in controls):
        return None
    outcomes = [one.passed if one else None for one in controls]
    passed = False if False in outcomes else None if None in outcomes else True
    words = {True: "passed", False: "failed", None: "not made"}
    details = [
        f"fold {number} {words[outcome]}" + (f": {one.detail}" if one else "")
        for number, (one, outcome) in enumerate(zip(controls, outcomes, strict=True), 1)
    ]
    return Control(passed=passed, detail="; ".join(details))


def _cost(costs: Sequence[Cost | None]) -> Cost | None:
    """Sum over all folds that ended; each attack had the auxiliary patients of its fold."""
    made = [one for one in costs if one is not None]
    if not made:
        return None
    return Cost(
        iterations=sum(one.iterations for one in made),
        queries=sum(one.queries for one in made),
        auxiliary_patients=max(one.auxiliary_patients for one in made),
    )


def _isolation(records: Sequence[CellRecord]) -> str:
    """The weaker kind if folds differ."""
    kinds = {one.isolation for one in records if one.isolation}
    return "process" if "process" in kinds else next(iter(kinds), "")


def volatile(records: Sequence[CellRecord] | Sequence[TargetRecord]) -> dict[str, object]:
    """The seconds of all folds together; the rest stands in the folds' own results."""
    seconds = [one.volatile["seconds"] for one in records if "seconds" in one.volatile]
    return {"seconds": sum(seconds)} if seconds else {}
