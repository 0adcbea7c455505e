"""Where the messages tell patients apart, and no attack that was tried made pictures of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leakaudit.measure.metrics import limited
from leakaudit.records import CellRecord, Check, Matching, ReportRecord, TargetRecord
from leakaudit.report.text.formatting import duration, figure, listed, percent
from leakaudit.report.text.validity import valid_leakage, valid_matching
from leakaudit.report.text.verdicts import setting_name
from leakaudit.report.views.settings import cell_anchors


@dataclass(frozen=True)
class Matched:
    """A setting, and the attack that matched most patients there."""

    name: str
    where: str
    anchor: str
    cell: CellRecord
    figures: Matching
    seconds: str


def matched_settings(record: ReportRecord) -> tuple[Matched, ...]:
    """Per setting the valid attack that matched the largest share."""
    anchors = cell_anchors(record)
    found = []
    for target in record.targets:
        best = _best(record, target)
        if best is not None:
            cell, figures = best
            spent = duration(cell.volatile["seconds"]) if "seconds" in cell.volatile else ""
            found.append(Matched(*setting_name(target), anchors[cell.cell], cell, figures, spent))
    return tuple(found)


def told_apart_sentence(record: ReportRecord) -> str:
    """One sentence on the settings whose messages tell patients apart without a picture of them.

    That is where the interval of the matched share lies above chance, no attack on images is shown
    to beat the blind guess, and none exceeds a limit that a policy sets on images. Empty where
    there is none.
    """
    shown = [
        (target, figures)
        for target in record.targets
        if (best := _best(record, target)) is not None
        and (figures := best[1]).singles_out
        and not _pictured(record, target)
    ]
    if not shown:
        return ""
    names = [", ".join(setting_name(target)) for target, _ in shown]
    whom = listed(names) if len(names) <= 3 else f"{figure(len(names))} settings"
    shares = [figures.top1 for _, figures in shown]
    low, high = percent(min(shares)), percent(max(shares))
    share = high if low == high else f"{low} to {high}"
    chance = percent(max(figures.chance for _, figures in shown))
    tried = any(
        cell.recovers == "images" and valid_leakage(cell) is not None
        for target, _ in shown
        for cell in _cells(record, target)
    )
    pictures = (
        "the tested attacks could not turn them into pictures; a better one may"
        if tried
        else "no attack on pictures gave a figure there; one may turn them into pictures"
    )
    return (
        f"The messages tell patients apart ({whom}: whose they are was told for {share} of the "
        f"patients, where chance is {chance}); {pictures}."
    )


def _best(record: ReportRecord, target: TargetRecord) -> tuple[CellRecord, Matching] | None:
    found = [
        (cell, figures)
        for cell in _cells(record, target)
        if (figures := valid_matching(cell)) is not None
    ]
    return max(found, key=lambda one: one[1].top1, default=None)


def _pictured(record: ReportRecord, target: TargetRecord) -> bool:
    """Whether some attack rebuilt images here: beyond a policy's limit, or beyond a guess.

    A policy may allow more than a guess; what is rebuilt within its limits is a picture all the
    same.
    """
    if any(check.outcome == "violates" for check in _limits(record, target)):
        return True
    advantages = [
        figures.advantage
        for cell in _cells(record, target)
        if cell.recovers == "images" and (figures := valid_leakage(cell)) is not None
    ]
    return any(one.low is not None and one.low > 0 for one in advantages)


def _limits(record: ReportRecord, target: TargetRecord) -> list[Check]:
    """The checks of limits on images here that have a figure; empty without a policy's."""
    verdict = record.verdict
    if verdict is None:
        return []
    return [
        check
        for check in verdict.checks
        if check.target == target.target
        and _is_of_pictures(verdict.policy.thresholds[check.threshold].measure)
        and check.observed is not None
    ]


def _is_of_pictures(measure: str) -> bool:
    """Whether a limit on it says how much of an attack on images is a picture."""
    metric = limited(measure)
    return metric is not None and "images" in metric.recovers


def _cells(record: ReportRecord, target: TargetRecord) -> Sequence[CellRecord]:
    return [
        cell
        for cell in record.cells
        if cell.target == target.target and not cell.control_only and not target.control_only
    ]
