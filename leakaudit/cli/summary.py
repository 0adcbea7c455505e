"""The matrix as text: what `leakaudit run` prints when it is done."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

from leakaudit.records import (
    CellRecord,
    Interval,
    ReferenceComparison,
    ReportRecord,
    State,
    TargetRecord,
    WorstCase,
)


def print_matrix(record: ReportRecord) -> None:
    """Print Dice and SSIM inside the brain, one table per cut level and seed, on stdout."""
    console = Console(width=None if sys.stdout.isatty() else 100)
    cells = [cell for cell in record.cells if not cell.control_only]
    attacks = list(dict.fromkeys((cell.attack_name, cell.threat) for cell in cells))
    targets = {target.target: target for target in record.targets}
    cases: dict[str, WorstCase] = {}
    for case in record.worst:
        cases.setdefault(case.target, case)  # inference victims stand first
    for cut, skips, seed in dict.fromkeys(
        (case.cut_level, case.shared_skips, case.seed) for case in cases.values()
    ):
        table = Table(
            title=f"cut level {cut}, skips {_skips(skips)}, seed {seed}: SSIM inside the brain",
            title_justify="left",
            title_style="bold",
            box=None,
            pad_edge=False,
        )
        table.add_column("defense", max_width=22)
        table.add_column("Dice", justify="right")
        for name, _ in attacks:
            table.add_column(name.replace("-", " "), justify="right", max_width=14)
        table.add_column("worst", justify="right")
        table.add_column("floor", justify="right")
        for case in cases.values():
            if (case.cut_level, case.shared_skips, case.seed) == (cut, skips, seed):
                mine = [cell for cell in cells if cell.target == case.target]
                table.add_row(*_row(case, mine, attacks, targets[case.target]))
        console.print(table, markup=False)
        console.print()
    for reference in record.references:
        name = f"{reference.kind} {reference.site}".strip()
        print(f"{name} at cut {reference.cut_level}, {_compared(reference)}")
    for target in record.targets:
        if target.kind == "split" and target.state is not State.OK:
            where = f"cut {target.cut_level}, seed {target.seed}"
            print(f"training of {target.defense} at {where} {target.state}: {target.reason}")
    _print_reasons(cells)


def _row(
    case: WorstCase,
    cells: list[CellRecord],
    attacks: list[tuple[str, str]],
    target: TargetRecord,
) -> list[str]:
    shown = []
    for attack in attacks:
        matching = [cell for cell in cells if (cell.attack_name, cell.threat) == attack]
        shown.append("\n".join(_cell(cell) for cell in matching) or "-")
    floors = [
        cell.leakage.blind_floor for cell in cells if cell.cell == case.worst and cell.leakage
    ]
    defense = case.defense.split("(")[0]
    strength = case.defense.removeprefix(defense).strip("()").replace(", ", "\n")
    return [
        f"{defense}\n{strength}".strip(),
        _figure(target.utility.mean.mean if target.utility else None),
        *shown,
        _figure(case.ssim_brain.mean if case.ssim_brain else None),
        _figure(floors[0] if floors else None),
    ]


def _cell(cell: CellRecord) -> str:
    return _figure(cell.leakage.ssim_brain.mean) if cell.leakage else str(cell.state)


def _print_reasons(cells: list[CellRecord]) -> None:
    reasons: dict[tuple[str, str, str], int] = {}
    for cell in cells:
        if cell.state is not State.OK:
            key = (cell.attack_name, str(cell.state), cell.reason)
            reasons[key] = reasons.get(key, 0) + 1
    for (attack, state, reason), count in reasons.items():
        print(f"{attack}: {count} cells {state}: {reason}")


def _compared(reference: ReferenceComparison) -> str:
    seeds = f"seeds {', '.join(str(seed) for seed in reference.seeds)}"
    if reference.difference is None:
        return f"{seeds}: not compared: {reference.reason}"
    return (
        f"{seeds}: Dice {_interval(reference.dice)}; Split-U-Net "
        f"{_interval(reference.split_dice)}; difference {_interval(reference.difference)}"
    )


def _skips(levels: tuple[int, ...]) -> str:
    return "+".join(str(level) for level in levels) or "none"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _interval(value: Interval | None) -> str:
    if value is None or value.low is None or value.high is None:
        return _figure(value.mean if value else None)
    return f"{value.mean:.3f} [{value.low:.3f}, {value.high:.3f}]"
