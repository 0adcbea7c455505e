"""The trainings of all folds as one record per setting: Dice, claims, effects of all patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from leakaudit.audit.results.pooling import fold_records, of_folds, pooled_key, volatile, worst
from leakaudit.measure import statistics
from leakaudit.measure import utility as dice
from leakaudit.measure.folds import folds_of
from leakaudit.records import (
    Configured,
    Effect,
    FoldRecord,
    Guarantee,
    PatientDice,
    State,
    TargetRecord,
)


def pooled_target(
    records: Sequence[TargetRecord],
    victims: Sequence[Sequence[str]],
    auxiliary: Sequence[Sequence[str]],
) -> TargetRecord:
    """One training per fold as one record over all patients.

    Args:
        records: of the same setting, fold by fold.
        victims: of each fold.
        auxiliary: patients of each fold.

    Returns:
        Of one fold its own record.
    """
    if len(records) == 1:
        return records[0]
    scores = [one.utility.mean.mean if one.utility else None for one in records]
    keys = [one.target for one in records]
    folds = fold_records(records, keys, victims, auxiliary, scores)
    state, reason = worst(records)
    trained = records if state is State.OK else ()
    return records[0].model_copy(
        update={
            "target": pooled_key(keys),
            "fitted_defense": tuple(fitted for one in records for fitted in one.fitted_defense),
            **_utility(records, folds, state),
            "noise_to_signal": _weighted([one.noise_to_signal for one in trained], victims),
            "noise_to_signal_by_level": _by_level(trained, victims),
            "guarantee": weakest([one.guarantee for one in records]),
            "effects": _effects(records),
            "idle": "; ".join(of_folds([[one.idle] for one in records])),
            "state": state,
            "reason": reason,
            # Each fold's own result keeps them; the cells of that fold were compared with them.
            "released": None,
            "released_of_training": None,
            "folds": folds,
            "volatile": volatile(records),
        }
    )


def weakest(claims: Sequence[Guarantee | None]) -> Guarantee | None:
    """The claim that promises least: none, then one not made, then the largest epsilon.

    Where another fold claims at a larger delta, that delta is the one of all.
    """
    made = [one for one in claims if one is not None]
    if len(made) < len(claims):
        return None
    least = max(
        made,
        key=lambda one: (
            not one.claimed,
            one.epsilon if one.epsilon is not None else float("inf"),
            one.mu if one.mu is not None else float("inf"),
        ),
    )
    deltas = [one.delta for one in made if one.delta is not None]
    if least.delta is None or least.delta >= max(deltas):
        return least
    return least.model_copy(update={"delta": max(deltas)})


def _utility(
    records: Sequence[TargetRecord], folds: Sequence[FoldRecord], state: State
) -> Mapping[str, object]:
    """Dice over all patients; none where a training has none."""
    patients: list[PatientDice] = []
    for one in records:
        patients += one.utility.patients if one.utility else ()
    if state is not State.OK or not patients:
        return {"utility": None, "untrained_dice": None, "above_untrained": None}
    patients.sort(key=lambda one: one.patient)
    pairs = {
        one.patient: (one.mean, one.untrained)
        for one in patients
        if one.mean is not None and one.untrained is not None
    }
    before = [one.untrained for one in patients if one.untrained is not None]
    return {
        "utility": dice.utility(patients, folds),
        "untrained_dice": sum(before) / len(before) if before else None,
        "above_untrained": statistics.paired(
            [mean for mean, _ in pairs.values()],
            [untrained for _, untrained in pairs.values()],
            folds=folds_of(list(pairs), folds),
        )
        if pairs
        else None,
    }


def _weighted(values: Sequence[float | None], victims: Sequence[Sequence[str]]) -> float | None:
    """The mean over patients of a figure of each fold; a fold without one counts 0."""
    if all(value is None for value in values):  # of no training as well
        return None
    counts = [len(one) for one in victims]
    return sum((value or 0.0) * n for value, n in zip(values, counts, strict=True)) / sum(counts)


def _by_level(
    records: Sequence[TargetRecord], victims: Sequence[Sequence[str]]
) -> dict[str, float]:
    levels = dict.fromkeys(level for one in records for level in one.noise_to_signal_by_level)
    return {
        level: _weighted([one.noise_to_signal_by_level.get(level) for one in records], victims)
        or 0.0
        for level in levels
    }


def _effects(records: Sequence[TargetRecord]) -> tuple[Effect, ...]:
    """The mean over folds of what the same part did in the same phase."""
    found: dict[tuple[Configured, str, int], list[Effect]] = {}
    for one in records:
        seen: dict[tuple[Configured, str], int] = {}
        for effect in one.effects:
            place = (effect.defense, effect.phase)
            seen[place] = seen.get(place, -1) + 1
            found.setdefault((*place, seen[place]), []).append(effect)
    return tuple(_mean_effect(effects) for effects in found.values())


def _mean_effect(effects: Sequence[Effect]) -> Effect:
    means: dict[str, float] = {}
    for name in Effect.model_fields:
        values = [value for one in effects if isinstance(value := getattr(one, name), float)]
        if values:
            means[name] = sum(values) / len(values)
    return effects[0].model_copy(update=means)
