"""The worst cases of a run as a Markdown table, for documents."""

from __future__ import annotations

from leakaudit.records import Interval, ReportRecord, WorstCase
from leakaudit.report.formatting import figure
from leakaudit.report.validity import valid_leakage

_HEAD = (
    "cut",
    "skips",
    "defense",
    "victims",
    "Dice",
    "worst attack",
    "SSIM inside the brain",
    "blind floor",
    "advantage",
    "picked out by it",
    "not measured",
)


def worst_table(record: ReportRecord) -> str:
    """A row for each setting and kind of victims: what its worst attack recovers.

    A figure that is missing is a dash, and the attacks without a figure are named with their state.
    """
    rows = [_HEAD, ("---",) * len(_HEAD), *(_row(record, case) for case in record.worst)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(record: ReportRecord, case: WorstCase) -> tuple[str, ...]:
    cell = next((one for one in record.cells if one.cell == case.worst), None)
    leakage = valid_leakage(cell)
    figures = ("-",) * 5
    if cell is not None and leakage is not None:
        single = leakage.reidentification
        figures = (
            f"{_plain(cell.attack_name)} by {_plain(cell.seen_by)}",
            _interval(leakage.ssim_brain),
            figure(leakage.blind_floor, 3),
            _interval(leakage.advantage),
            f"{figure(single.top1)} (chance {figure(single.chance)})",
        )
    seed = f", seed {case.seed}" if len({one.seed for one in record.worst}) > 1 else ""
    return (
        f"{case.cut_level}{seed}",
        "+".join(str(level) for level in case.shared_skips) or "none",
        f"`{_plain(case.defense)}`",
        case.victims,
        figure(case.dice.mean, 3) if case.dice else "-",
        *figures,
        _plain("; ".join(case.incomplete)) or "none",
    )


def _interval(value: Interval) -> str:
    if value.low is None or value.high is None:
        return figure(value.mean, 3)
    return f"{figure(value.mean, 3)} [{figure(value.low, 3)}, {figure(value.high, 3)}]"


def _plain(text: str) -> str:
    """Text that ends no cell, row or code span."""
    return "".join(" " if char in "|`" or not char.isprintable() else char for char in text)
