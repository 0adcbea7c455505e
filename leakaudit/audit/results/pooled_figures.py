"""The figures of an attack in several folds, as one set of figures over all patients.

Means are over patients, each against the blind floor of its own fold; intervals are those of
`leakaudit.measure.statistics` for folds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, final

import numpy as np

from leakaudit.errors import CellError
from leakaudit.measure import controls, identity, metrics, statistics
from leakaudit.measure.folds import folds_of
from leakaudit.records import (
    CellRecord,
    FoldRecord,
    Harm,
    Interval,
    Leakage,
    MaskLeakage,
    Matched,
    Matching,
    PatientScore,
    Reidentification,
    State,
    Success,
)


@final
@dataclass(frozen=True, kw_only=True)
class FigureKind:
    """A kind of figures that a cell may have.

    Args:
        field: of `CellRecord` where they stand if the cell is ``ok``.
        withheld: where they stand if its control failed.
        pooled: from those of each fold to those of all.
    """

    field: str
    withheld: str
    pooled: Callable[[Sequence[Any], Sequence[FoldRecord]], Any]


def pooled_figures(
    records: Sequence[CellRecord], state: State, folds: Sequence[FoldRecord]
) -> dict[str, object]:
    """The fields of a pooled record in which its figures stand.

    Args:
        records: of the same attack, fold by fold.
        state: of the pooled record; figures of any but an ``ok`` one are set aside.
        folds: who was a victim in which.

    Returns:
        All None unless every fold has figures.
    """
    made: dict[str, object] = {}
    for kind in FIGURES:
        parts = [getattr(one, kind.field) or getattr(one, kind.withheld) for one in records]
        pooled = None if any(one is None for one in parts) else kind.pooled(parts, folds)
        made[kind.field] = pooled if state is State.OK else None
        made[kind.withheld] = None if state is State.OK else pooled
    return made


def pooled_leakage(parts: Sequence[Leakage], folds: Sequence[FoldRecord]) -> Leakage:
    """Figures of images over the patients of all folds.

    Args:
        parts: of each fold.
        folds: who was a victim in which.

    Raises:
        CellError: a fold's record does not say who was picked out.
    """
    patients = sorted((one for part in parts for one in part.patients), key=lambda one: one.patient)
    scores, floors = (
        np.array([getattr(one, name) for one in patients]) for name in ("ssim_brain", "blind_floor")
    )

    def over(figure: Callable[[PatientScore], float | None], least: float, most: float) -> Interval:
        found = {one.patient: value for one in patients if (value := figure(one)) is not None}
        return statistics.interval(
            list(found.values()), least=least, most=most, folds=folds_of(list(found), folds)
        )

    means: dict[str, Any] = {}
    for metric in metrics.METRICS:
        values = [one.value_of(metric.name) for one in patients]
        if metric.scored is not None and metric.mean(values):
            means[metric.name] = over(
                lambda one, name=metric.name: one.value_of(name),  # type: ignore[misc]
                metric.low,
                metric.high,
            )
    shared_names = [
        name for name in parts[0].by_modality if all(name in p.by_modality for p in parts)
    ]
    return Leakage(
        **metrics.placed(Leakage, means),
        blind_floor=float(floors.mean()),
        blind_floor_name=_names(parts),
        outline_floor=float(np.mean([one.outline_floor for one in patients])),
        advantage=controls.advantage(
            scores, floors, folds=folds_of([one.patient for one in patients], folds)
        ),
        reidentification=_reidentification(parts, patients, folds),
        patients=tuple(patients),
        harm=_harm(parts, over),
        success=_success(parts),
        by_modality={
            name: over(lambda one, name=name: one.by_modality.get(name), -1.0, 1.0)  # type: ignore[misc]
            for name in shared_names
        },
        blind_by_modality={
            name: _weighted([(part.blind_by_modality[name], len(part.patients)) for part in parts])
            for name in shared_names
        },
        **_objective(parts),
    )


def pooled_masks(parts: Sequence[MaskLeakage], folds: Sequence[FoldRecord]) -> MaskLeakage:
    """Figures of masks over the patients of all folds.

    Args:
        parts: of each fold.
        folds: who was a victim in which.
    """
    patients = sorted((one for part in parts for one in part.patients), key=lambda one: one.patient)
    known = folds_of([one.patient for one in patients], folds)
    dice = np.array([one.dice for one in patients])
    floors = np.array([one.blind_floor for one in patients])
    return MaskLeakage(
        dice=statistics.interval(dice, least=0.0, most=1.0, folds=known),
        blind_floor=float(floors.mean()),
        blind_floor_name=_names(parts),
        advantage=controls.advantage(dice, floors, folds=known),
        patients=tuple(patients),
        without_tumour=sum(part.without_tumour for part in parts),
        **_objective(parts),
    )


def pooled_matching(parts: Sequence[Matching], folds: Sequence[FoldRecord]) -> Matching:
    """Figures of identities over the patients of all folds.

    Args:
        parts: of each fold.
        folds: who was a victim in which.
    """
    names = [one.patient for part in parts for one in part.patients]
    known = folds_of(names, folds)
    hits = [_fraction(one.hit) for part in parts for one in part.patients]
    low, high = statistics.share_interval(hits, known)

    def beside(name: str) -> Matched | None:
        """Pool the shares of another view, which is on record by fold alone."""
        found = [getattr(part, name) for part in parts]
        if any(one is None for one in found):
            return None
        shares = [
            _fraction(one.top1 * part.n) / part.n
            for one, part in zip(found, parts, strict=True)
            for _ in part.patients
        ]
        low, high = statistics.share_interval(shares, known)
        return Matched(top1=float(sum(shares) / len(shares)), low=low, high=high)

    return Matching(
        top1=float(sum(hits) / len(hits)),
        low=low,
        high=high,
        chance=_weighted([(part.chance, part.n) for part in parts]),
        gallery=min(part.gallery for part in parts),
        n=len(hits),
        method="wider of clopper-pearson over patients and t over folds",
        other_slice=beside("other_slice"),
        other_pass=beside("other_pass"),
        patients=tuple(
            sorted((one for part in parts for one in part.patients), key=lambda one: one.patient)
        ),
    )


def _fraction(value: float) -> Fraction:
    """A sum of victims who count 1 / k each, from what JSON holds of it."""
    return Fraction(value).limit_denominator(10**6)


# Every kind of figures that a cell can have, and how it is pooled.
FIGURES = (
    FigureKind(field="leakage", withheld="withheld", pooled=pooled_leakage),
    FigureKind(field="mask_leakage", withheld="withheld_masks", pooled=pooled_masks),
    FigureKind(field="matching", withheld="withheld_matching", pooled=pooled_matching),
)


def _names(parts: Sequence[Leakage] | Sequence[MaskLeakage]) -> str:
    """The blind guess of every fold, each name once."""
    return ", ".join(dict.fromkeys(part.blind_floor_name for part in parts))


def _objective(parts: Sequence[Leakage] | Sequence[MaskLeakage]) -> dict[str, Any]:
    """Its mean over folds; that it fell was asked of each fold."""
    return {
        name: sum(getattr(part, name) for part in parts) / len(parts)
        for name in ("objective_first", "objective_last")
    }


def _weighted(values: Sequence[tuple[float, int]]) -> float:
    return sum(value * n for value, n in values) / sum(n for _, n in values)


def _reidentification(
    parts: Sequence[Leakage], patients: Sequence[PatientScore], folds: Sequence[FoldRecord]
) -> Reidentification:
    galleries = {
        one.patient: part.reidentification.gallery for part in parts for one in part.patients
    }

    def hits(name: str) -> list[Fraction]:
        found = []
        for one in patients:
            value = getattr(one, name)
            if value is None:
                raise CellError(f"{one.patient}: the record does not say whether it is picked out")
            found.append(_fraction(value))
        return found

    return identity.share_picked_out(
        hits("picked_out"),
        hits("blind_picked_out"),
        [galleries[one.patient] for one in patients],
        folds_of([one.patient for one in patients], folds),
    )


def _harm(
    parts: Sequence[Leakage],
    over: Callable[[Callable[[PatientScore], float | None], float, float], Interval],
) -> Harm | None:
    """Over the patients whose slice has a tumour; a fold may have none."""
    made = [(part.harm, part.harm.reconstruction.n) for part in parts if part.harm is not None]
    if not made:
        return None
    return Harm(
        reconstruction=over(lambda one: one.tumour_dice, 0.0, 1.0),
        original=_weighted([(harm.original, n) for harm, n in made]),
        blind=_weighted([(harm.blind, n) for harm, n in made]),
    )


def _success(parts: Sequence[Leakage]) -> Success | None:
    """All victims beside the fold in which a blind guess may succeed most often."""
    made = [part.success for part in parts if part.success is not None]
    if len(made) < len(parts):
        return None
    easiest = max(made, key=lambda one: one.blind_limit)
    return easiest.model_copy(
        update={
            "reached": sum(one.reached for one in made),
            "n": sum(one.n for one in made),
            "bound": None,
        }
    )
