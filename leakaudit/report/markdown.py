"""The worst cases of a run as a Markdown table, for documents."""

from __future__ import annotations

from leakaudit.records import CellRecord, Interval, ReportRecord, WorstCase
from leakaudit.report.formatting import figure
from leakaudit.report.validity import valid_leakage, valid_masks

_HEAD = (
    "cut",
    "skips",
    "defense",
    "victims",
    "recovers",
    "Dice",
    "worst attack",
    "SSIM inside the brain",
    "blind floor",
    "advantage",
    "picked out by it",
    "not measured",
)


def worst_table(record: ReportRecord) -> str:
    """A row for each setting, kind of victims and of what is recovered: its worst attack.

    A figure that is missing is a dash, and the attacks without a figure are named with their state.
    """
    rows = [_HEAD, ("---",) * len(_HEAD), *(_row(record, case) for case in record.worst)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(record: ReportRecord, case: WorstCase) -> tuple[str, ...]:
    cell = next((one for one in record.cells if one.cell == case.worst), None)
    leakage, masks = valid_leakage(cell), valid_masks(cell)
    figures = ("-",) * 5
    if cell is not None and leakage is not None:
        single = leakage.reidentification
        figures = (
            _by(cell),
            _interval(leakage.ssim_brain),
            figure(leakage.blind_floor, 3),
            _interval(leakage.advantage),
            f"{figure(single.top1)} (chance {figure(single.chance)})",
        )
    elif cell is not None and masks is not None:
        figures = (
            _by(cell),
            f"Dice {_interval(masks.dice)}",
            figure(masks.blind_floor, 3),
            _interval(masks.advantage),
            "-",
        )
    seed = f", seed {case.seed}" if len({one.seed for one in record.worst}) > 1 else ""
    return (
        f"{case.cut_level}{seed}",
        "+".join(str(level) for level in case.shared_skips) or "none",
        f"`{_plain(case.defense)}`",
        case.victims,
        case.recovers,
        figure(case.dice.mean, 3) if case.dice else "-",
        *figures,
        _plain("; ".join(case.incomplete)) or "none",
    )


def _by(cell: CellRecord) -> str:
    site = f" with {_plain(cell.site)}" if cell.site else ""
    return f"{_plain(cell.attack_name)} by {_plain(cell.threat)}{site}"


def _interval(value: Interval) -> str:
    if value.low is None or value.high is None:
        return figure(value.mean, 3)
    return f"{figure(value.mean, 3)} [{figure(value.low, 3)}, {figure(value.high, 3)}]"


def _plain(text: str) -> str:
    """Text that ends no cell, row or code span."""
    return "".join(" " if char in "|`" or not char.isprintable() else char for char in text)
