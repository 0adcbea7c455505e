"""The undefended Split-U-Net beside the reference trainings: what splitting costs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from leakaudit.config import ReferenceConfig
from leakaudit.measure import statistics
from leakaudit.measure.folds import folds_of
from leakaudit.records import ReferenceComparison, State, TargetRecord


def compared(
    wanted: ReferenceConfig | None, skips: tuple[int, ...], targets: Sequence[TargetRecord]
) -> tuple[ReferenceComparison, ...]:
    """One comparison for every reference that was asked for, whether or not it has figures.

    Args:
        wanted: which seeds and which cut; None if the audit asks for no references.
        skips: of the Split-U-Net that is compared.
        targets: every training of the audit.
    """
    if wanted is None:
        return ()
    asked = [target for target in targets if target.seed in wanted.seeds]
    splits = [
        target
        for target in asked
        if target.kind == "split"
        and (target.cut_level, target.shared_skips) == (wanted.cut_level, skips)
        and target.bottleneck is None
        and target.is_undefended
    ]
    others = [target for target in asked if target.kind != "split"]
    return tuple(
        _comparison(wanted, splits, [t for t in others if (t.kind, t.site) == (kind, site)])
        for kind, site in dict.fromkeys((target.kind, target.site) for target in others)
    )


def _comparison(
    wanted: ReferenceConfig, splits: Sequence[TargetRecord], rivals: Sequence[TargetRecord]
) -> ReferenceComparison:
    """Refuse to average over survivors: one missing training leaves no figure."""
    comparison = ReferenceComparison(
        cut_level=wanted.cut_level, kind=rivals[0].kind, site=rivals[0].site, seeds=wanted.seeds
    )
    missing = [_ended(target) for target in (*splits, *rivals) if target.state is not State.OK]
    ours, theirs = _dice_by_patient(splits), _dice_by_patient(rivals)
    patients = sorted(set(ours) & set(theirs))
    if missing or not patients:
        reason = "; ".join(missing) or "no patient has a Dice under every training"
        return comparison.model_copy(update={"reason": reason})
    folds = folds_of(patients, splits[0].folds)
    first = np.array([ours[name] for name in patients])
    second = np.array([theirs[name] for name in patients])
    return comparison.model_copy(
        update={
            "dice": statistics.interval(second, least=0.0, most=1.0, folds=folds),
            "split_dice": statistics.interval(first, least=0.0, most=1.0, folds=folds),
            "difference": statistics.paired(first, second, folds=folds),
        }
    )


def _ended(target: TargetRecord) -> str:
    kind = f"{target.kind} training"
    if target.kind == "split":
        kind = "training of the undefended Split-U-Net"
    return f"the {kind} with seed {target.seed} ended {target.state} ({target.reason})"


def _dice_by_patient(targets: Sequence[TargetRecord]) -> dict[str, float]:
    """Mean over seeds; only patients that have a figure under every seed."""
    tables = [
        {p.patient: p.mean for p in target.utility.patients if p.mean is not None}
        if target.utility
        else {}
        for target in targets
    ]
    shared = set[str]().union(*tables).intersection(*tables)
    return {name: float(np.mean([table[name] for table in tables])) for name in shared}
