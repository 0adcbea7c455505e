"""The remaining choices: the settings on the Pareto front, least exposed first."""

from __future__ import annotations

from dataclasses import dataclass

from leakaudit.records import Outcome, ReportRecord, WorstCase
from leakaudit.report.text.verdicts import setting_name
from leakaudit.report.text.words import kind_words
from leakaudit.report.views.settings import cell_anchors


@dataclass(frozen=True)
class Option:
    """One setting on the front; ``outcome`` is None if no policy judged it."""

    name: str
    where: str
    anchor: str
    case: WorstCase
    outcome: Outcome | None


@dataclass(frozen=True)
class OptionGroup:
    """Options whose exposure is of one kind, which is never compared with another."""

    kind: str
    options: tuple[Option, ...]


def option_groups(record: ReportRecord) -> tuple[OptionGroup, ...]:
    """The settings on the front of an image leak, by their worst attack's SSIM, kind by kind."""
    targets = {target.target: target for target in record.targets}
    judged = {one.target: one.outcome for one in record.verdict.settings} if record.verdict else {}
    anchors = cell_anchors(record)
    grouped: dict[str, list[WorstCase]] = {}
    for case in record.worst:
        if case.pareto and case.ssim_brain is not None and case.worst in anchors:
            kind = kind_words(case.victims, case.recovers, case.site)
            grouped.setdefault(kind, []).append(case)
    return tuple(
        OptionGroup(
            kind,
            tuple(
                Option(
                    *setting_name(targets[case.target]),
                    anchor=anchors[case.worst or ""],
                    case=case,
                    outcome=judged.get(case.target),
                )
                for case in sorted(
                    cases, key=lambda one: one.ssim_brain.mean if one.ssim_brain else 0.0
                )
            ),
        )
        for kind, cases in grouped.items()
    )
