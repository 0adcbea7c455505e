"""Who is exposed most: the worst patient, the surest identification, the clearest tumour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from leakaudit.records import CellRecord, Leakage, ReportRecord, TargetRecord
from leakaudit.report.formatting import figure, percent
from leakaudit.report.validity import valid_leakage, valid_masks
from leakaudit.report.verdicts import setting_name
from leakaudit.report.views import cell_anchors


@dataclass(frozen=True)
class Exposed:
    """A setting and the cell that says most of something there."""

    name: str
    where: str
    anchor: str
    cell: CellRecord


def most_exposed(record: ReportRecord) -> tuple[str, ...]:
    """Patients whom the strongest attack recovers best in more settings than anybody else.

    Nobody, unless of more than one setting.
    """
    cells = {cell.cell: cell for cell in record.cells}
    counted = Counter(
        name
        for case in record.worst
        if (name := _recovered_best(cells.get(case.worst or ""))) is not None
    )
    most = max(counted.values(), default=0)
    return tuple(name for name, times in counted.items() if times == most > 1)


def _recovered_best(cell: CellRecord | None) -> str | None:
    leakage, masks = valid_leakage(cell), valid_masks(cell)
    if leakage is not None:
        return max(leakage.patients, key=lambda one: one.ssim_brain).patient
    return max(masks.patients, key=lambda one: one.dice).patient if masks is not None else None


def identified(record: ReportRecord) -> tuple[Exposed, ...]:
    """Per setting the attack that picks the right patient out most often."""
    return _most(record, lambda leakage: leakage.reidentification.top1)


def inferred(record: ReportRecord) -> tuple[Exposed, ...]:
    """Per setting the attack whose reconstructions show most of the tumour."""
    return _most(record, lambda leakage: leakage.harm.reconstruction.mean if leakage.harm else None)


def public_words(record: ReportRecord) -> str:
    """What was found, for somebody who knows none of the terms."""
    found = identified(record)
    by_target = {one.cell.target: one for one in found}
    bare = [one for one in found if _target(record, one.cell.target).is_undefended]
    kept = [
        by_target[case.target] for case in record.worst if case.pareto and case.target in by_target
    ]
    if not found:
        return (
            "No attempt gave a result that can be relied on. So nothing is known of how well the "
            "pictures are hidden, and nothing was shown to hide them."
        )
    sentences = []
    if bare:
        share, gallery = _share(max(bare, key=_top1))
        sentences.append(
            "Where nothing protected what is sent, the right patient could be told from "
            f"{gallery} by the rebuilt picture in {share} of the attempts."
        )
    if kept:
        least = min(kept, key=_top1)
        share, gallery = _share(least)
        target = _target(record, least.cell.target)
        dice = figure(target.utility.mean.mean if target.utility else None)
        sentences.append(
            f"With the protection that did best ({least.name}), the right one of {gallery} was "
            f"told in {share}; the program then finds tumours with a Dice of {dice}, where 1 is "
            f"perfect{_without(record, target)}."
        )
    leakage = valid_leakage(found[0].cell)
    if leakage is not None:
        chance = percent(leakage.reidentification.chance)
        sentences.append(f"By chance alone it would be {chance}.")
    return " ".join(sentences)


def _share(one: Exposed) -> tuple[str, str]:
    leakage = valid_leakage(one.cell)
    measured = leakage.reidentification if leakage else None
    return percent(measured.top1 if measured else None), figure(
        measured.gallery if measured else None
    )


def _without(record: ReportRecord, protected: TargetRecord) -> str:
    """The Dice of the network of the same cut without any protection."""
    plain = [
        one.utility.mean.mean
        for one in record.targets
        if one.kind == "split"
        and one.is_undefended
        and one.utility is not None
        and (one.cut_level, one.seed) == (protected.cut_level, protected.seed)
        and len(one.shared_skips) == one.cut_level
        and one.bottleneck is None
    ]
    return f", and {figure(plain[0])} without any protection" if plain else ""


def _top1(one: Exposed) -> float:
    leakage = valid_leakage(one.cell)
    return leakage.reidentification.top1 if leakage else 0.0


def _target(record: ReportRecord, key: str) -> TargetRecord:
    return next(one for one in record.targets if one.target == key)


def _most(record: ReportRecord, measure: Callable[[Leakage], float | None]) -> tuple[Exposed, ...]:
    """Per target the valid cell on all sites' images with the highest measure."""
    anchors = cell_anchors(record)
    found = []
    for target in record.targets:
        scored = [
            (value, cell)
            for cell in record.cells
            if cell.target == target.target
            and not cell.control_only
            and cell.recovers == "images"
            and (leakage := valid_leakage(cell)) is not None
            and (value := measure(leakage)) is not None
        ]
        if scored:
            _, cell = max(scored, key=lambda one: one[0])
            found.append(Exposed(*setting_name(target), anchors[cell.cell], cell))
    return tuple(found)
