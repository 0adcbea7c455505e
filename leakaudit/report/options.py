"""What is left to choose from: the settings on the Pareto front, least exposed first."""

from __future__ import annotations

from dataclasses import dataclass

from leakaudit.records import Outcome, ReportRecord, WorstCase
from leakaudit.report.verdicts import setting_name
from leakaudit.report.views import cell_anchors


@dataclass(frozen=True)
class Option:
    """One setting on the front; ``outcome`` is None if no policy judged it."""

    name: str
    where: str
    anchor: str
    case: WorstCase
    outcome: Outcome | None


def options(record: ReportRecord) -> tuple[Option, ...]:
    """The settings on the front of an image leak, by their worst attack's SSIM."""
    targets = {target.target: target for target in record.targets}
    judged = {one.target: one.outcome for one in record.verdict.settings} if record.verdict else {}
    anchors = cell_anchors(record)
    front = [
        case
        for case in record.worst
        if case.pareto and case.ssim_brain is not None and case.worst in anchors
    ]
    return tuple(
        Option(
            *setting_name(targets[case.target]),
            anchor=anchors[case.worst or ""],
            case=case,
            outcome=judged.get(case.target),
        )
        for case in sorted(front, key=lambda one: one.ssim_brain.mean if one.ssim_brain else 0.0)
    )
