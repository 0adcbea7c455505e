"""Who is exposed most: the worst patient, the surest identification, the clearest tumour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from leakaudit.records import CellRecord, Leakage, ReportRecord, TargetRecord, WorstCase
from leakaudit.report.text.formatting import best_guess, figure, percent
from leakaudit.report.text.validity import valid_leakage, valid_rebuilt
from leakaudit.report.text.verdicts import setting_name
from leakaudit.report.views.settings import cell_anchors


@dataclass(frozen=True)
class Exposed:
    """A setting and the cell that says most of something there."""

    name: str
    where: str
    anchor: str
    cell: CellRecord


@dataclass(frozen=True)
class Outdone:
    """A patient whom another attack than the strongest on average recovered better still."""

    name: str
    where: str
    anchor: str
    cell: CellRecord
    patient: str
    score: float


def outdone(record: ReportRecord) -> tuple[Outdone, ...]:
    """Settings where the worst patient is not among those of the strongest attack."""
    targets = {target.target: target for target in record.targets}
    anchors = cell_anchors(record)
    found = []
    for case in record.worst:
        best = _recovered_best(_alike(record, case))
        if best is not None and best[0].cell != case.worst and case.target in targets:
            cell, patient, score = best
            where = setting_name(targets[case.target])
            found.append(Outdone(*where, anchors[cell.cell], cell, patient, score))
    return tuple(found)


def most_exposed(record: ReportRecord) -> tuple[str, ...]:
    """Patients who are recovered best in more settings than anybody else, under any attack.

    Nobody, unless in more than one setting.
    """
    best = [_recovered_best(_alike(record, case)) for case in record.worst]
    counted = Counter(one[1] for one in best if one is not None)
    most = max(counted.values(), default=0)
    return tuple(name for name, times in counted.items() if times == most > 1)


def _alike(record: ReportRecord, case: WorstCase) -> list[CellRecord]:
    """The cells that a reported leakage is the worst of."""
    return [
        cell
        for cell in record.cells
        if (cell.target, cell.kind) == (case.target, case.kind) and not cell.control_only
    ]


def _recovered_best(cells: Sequence[CellRecord]) -> tuple[CellRecord, str, float] | None:
    scored = []
    for cell in cells:
        if (found := valid_rebuilt(cell)) is not None:
            names = [one.patient for one in found.patients]
            scores, _ = found.by_patient()
            scored += [(cell, *one) for one in zip(names, scores, strict=True)]
    return max(scored, key=lambda one: one[2], default=None)


def identified(record: ReportRecord) -> tuple[Exposed, ...]:
    """Per setting the attack that picks the right patient out most often."""
    return _most(record, lambda leakage: leakage.reidentification.top1)


def inferred(record: ReportRecord) -> tuple[Exposed, ...]:
    """Per setting the attack whose reconstructions show most of the tumour."""
    return _most(record, lambda leakage: leakage.harm.reconstruction.mean if leakage.harm else None)


def public_words(record: ReportRecord) -> str:
    """Sum up the findings for a reader who knows none of the terms; nothing is called best."""
    found = identified(record)
    if not found:
        return (
            "No attempt gave a result that can be relied on. So nothing is known of how well the "
            "pictures are hidden, and nothing was shown to hide them."
        )
    judged = {one.target for one in record.verdict.settings} if record.verdict else None
    gaps = {case.target for case in record.worst if case.incomplete}
    bare = [one for one in found if _target(record, one.cell.target).is_undefended]
    kept = [one for one in found if one not in bare]
    if judged is None:
        kept = [one for one in kept if one.cell.target not in gaps]
    else:
        kept = [one for one in kept if one.cell.target in judged]
    sentences = []
    if bare:
        share, gallery = _share(max(bare, key=_top1))
        sentences.append(
            "Where nothing protected what is sent, the right patient could be told from "
            f"{gallery} by the rebuilt picture for {share} of those who were tried."
        )
    if kept:
        least, most = (pick(kept, key=_top1) for pick in (min, max))
        shares = dict.fromkeys(_share(one)[0] for one in (least, most))
        which = "that were tried" if judged is None else "that are proposed for use"
        missing = ""
        if any(one.cell.target in gaps for one in kept):
            missing = " at least, since some attempts gave no result"
        sentences.append(f"With the protections {which} it was {' to '.join(shares)}{missing}.")
    guesses = [one.reidentification for each in found if (one := valid_leakage(each.cell))]
    if guesses:
        best = max(guesses, key=best_guess)
        blind = best.blind_top1 > best.chance
        by = "A guess that sees nothing of what is sent" if blind else "Chance alone"
        sentences.append(f"{by} is right for {percent(best_guess(best))}.")
    return " ".join(sentences)


def _share(one: Exposed) -> tuple[str, str]:
    leakage = valid_leakage(one.cell)
    measured = leakage.reidentification if leakage else None
    return percent(measured.top1 if measured else None), figure(
        measured.gallery if measured else None
    )


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
