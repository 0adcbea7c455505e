"""The matrix as text: what `leakaudit run` prints when it is done."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from string import ascii_lowercase

from rich.console import Console
from rich.table import Table

from leakaudit.cli.printing.messages import line_width, print_line
from leakaudit.records import (
    NO_DEFENSE,
    CellRecord,
    Configured,
    Interval,
    Plain,
    ReferenceComparison,
    ReportRecord,
    State,
    TargetRecord,
    WorstCase,
    written,
)
from leakaudit.records.configured import assigned, varying

_NARROW = 14
_DEFENSE = 22
_GAP = 2
_ON_WHOM = {"training": ["training patients"]}
_OF_WHAT = {
    "masks": ["their masks (Dice)"],
    "other-site images": ["other sites' images"],
    "identities": ["who they are (share)"],
}


def print_matrix(record: ReportRecord) -> None:
    """Print Dice and SSIM inside the brain, one table per cut level and seed, on stdout."""
    console = Console(width=line_width())
    cells = [cell for cell in record.cells if not cell.control_only]
    tried = [cell for cell in cells if cell.state is not State.UNSUPPORTED]
    attacks = list(dict.fromkeys((cell.attack_name, cell.threat) for cell in tried))
    rows = [line for case in record.worst for line in _defense(case)]
    parts = _parts(attacks, max(map(len, [*rows, "defense"])))
    labels, legend = _short_labels(varying(cell.attack for cell in cells))
    targets = {target.target: target for target in record.targets}
    for where in dict.fromkeys(map(_where, record.worst)):
        title = f"cut level {where}: SSIM inside the brain"
        cases = [case for case in record.worst if _where(case) == where]
        for number, part in enumerate(parts, start=1):
            table = Table(
                title=title if len(parts) == 1 else f"{title} ({number} of {len(parts)})",
                title_justify="left",
                title_style="bold",
                box=None,
                pad_edge=False,
            )
            table.add_column("defense", max_width=_DEFENSE, no_wrap=True, overflow="fold")
            table.add_column("Dice", justify="right", no_wrap=True)
            for attack in part:
                table.add_column(_heading(attack, attacks), justify="right", overflow="fold")
            table.add_column("worst", justify="right", no_wrap=True)
            table.add_column("floor", justify="right", no_wrap=True)
            for case in cases:
                mine = _cells_of(case, cells, record.worst)
                shown = [
                    _figures([c for c in mine if (c.attack_name, c.threat) == attack], labels)
                    for attack in part
                ]
                table.add_row(*_row(case, mine, shown, targets[case.target]))
            console.print(table, markup=False)
        for line in legend:
            print_line(line)
        console.print()
    for reference in record.references:
        name = f"{reference.kind} {reference.site}".strip()
        print_line(f"{name} at cut {reference.cut_level}, {_compared(reference)}")
    for target in record.targets:
        if target.kind == "split" and target.state is not State.OK:
            training = f"training of {written(target.defense)} at cut {_where(target)}"
            print_line(f"{training} {target.state}: {target.reason}")
    _print_reasons(cells)


def _parts(attacks: list[tuple[str, str]], first: int) -> list[list[tuple[str, str]]]:
    """The attacks, as many at a time as a table has room for without breaking a word.

    Args:
        attacks: the columns.
        first: characters that the widest defense needs.
    """
    figures = 3 * (len("0.000") + _GAP)  # Dice, worst, floor
    room = line_width() - min(first, _DEFENSE) - figures
    parts: list[list[tuple[str, str]]] = [[]]
    left = room
    for attack in attacks:
        words = _heading(attack, attacks).split()
        needed = _GAP + max(map(len, [*words, "unsupported"]))
        if needed > left and parts[-1]:
            parts.append([])
            left = room
        parts[-1].append(attack)
        left -= needed
    return parts


def _short_labels(
    differing: dict[Configured, dict[str, Plain]],
) -> tuple[dict[Configured, str], list[str]]:
    """Letters for the configurations that differ in several parameters, and what they stand for."""
    short = {one: assigned(parameters) for one, parameters in differing.items()}
    legend = []
    for attack in dict.fromkeys(one.name for one in differing):
        swept = [one for one in differing if one.name == attack]
        if any(len(differing[one]) > 1 for one in swept):
            letters = _letters(len(swept))
            named = (f"{letter}: {short[one]}" for letter, one in zip(letters, swept, strict=True))
            legend.append(f"{attack} {'; '.join(named)}")
            short |= dict(zip(swept, letters, strict=True))
    return short, legend


def _letters(count: int) -> list[str]:
    """A to z, or numbers if these do not do."""
    return list(ascii_lowercase[:count]) if count <= 26 else [str(n + 1) for n in range(count)]


def _heading(attack: tuple[str, str], attacks: list[tuple[str, str]]) -> str:
    """The attack, and the threat if it is met under several; narrow where the figures are."""
    name, threat = attack
    if [one for one, _ in attacks].count(name) > 1:
        name = f"{name} by {threat}"
    return textwrap.fill(name.replace("-", " "), _NARROW)


def _figures(cells: list[CellRecord], labels: dict[Configured, str]) -> str:
    """A line for each configuration of an attack; one line if none of them has a figure."""
    measured = any(cell.figures for cell in cells)
    if not measured and len({cell.state for cell in cells}) == 1:
        return _cell(cells[0])
    lines = (f"{_label(cell, cells, labels)} {_cell(cell)}".strip() for cell in cells)
    return "\n".join(lines) or "-"


def _label(cell: CellRecord, beside: list[CellRecord], labels: dict[Configured, str]) -> str:
    """Return the words that tell a cell from the others of its column."""
    swept = len({other.gradient_batch for other in beside}) > 1
    parts = [cell.site, labels[cell.attack], f"b={cell.gradient_batch}" if swept else ""]
    if len({other.gradient_checkpoints for other in beside}) > 1:
        parts.append(f"e={'+'.join(map(str, cell.gradient_checkpoints))}")
    return " ".join(part for part in parts if part)


def _cells_of(
    case: WorstCase, cells: list[CellRecord], cases: Sequence[WorstCase]
) -> list[CellRecord]:
    """A case's own cells; a target's first row also holds those that no row is about."""
    kinds = [one.kind for one in cases if one.target == case.target]
    kind = case.kind
    return [
        cell
        for cell in cells
        if cell.target == case.target
        and (cell.kind == kind or (kind == kinds[0] and cell.kind not in kinds))
    ]


def _row(
    case: WorstCase, cells: list[CellRecord], shown: list[str], target: TargetRecord
) -> list[str]:
    floors = [
        figures.blind_floor
        for cell in cells
        if cell.cell == case.worst and (figures := cell.figures)
    ]
    score = case.score
    return [
        "\n".join(_defense(case)),
        _figure(target.utility.mean.mean if target.utility else None),
        *shown,
        _figure(score.mean if score else None),
        _figure(floors[0] if floors else None),
    ]


def _defense(case: WorstCase) -> list[str]:
    """The defense, a line for each of its strengths, and who is attacked."""
    on_whom = [*_ON_WHOM.get(case.victims, []), *_OF_WHAT.get(case.recovers, [])]
    lines: list[str] = []
    for part in case.defense:
        given = [f"{name}={value!r}" for name, value in part.parameters if value is not None]
        lines += [f"+ {part.name}" if lines else part.name, *given]
    return [*(lines or [NO_DEFENSE]), *on_whom]


def _cell(cell: CellRecord) -> str:
    if cell.figures is None:
        return cell.state.replace("-", " ")  # may be broken in two
    return _figure(cell.figures.score.mean)


def _print_reasons(cells: list[CellRecord]) -> None:
    reasons: dict[tuple[str, str, str], int] = {}
    for cell in cells:
        if cell.state is not State.OK:
            site = f" with {cell.site}" if cell.site else ""
            batch = (
                f" in batches of {cell.gradient_batch}" if (cell.gradient_batch or 1) > 1 else ""
            )
            key = (f"{cell.attack_name}{site}{batch}", str(cell.state), cell.reason)
            reasons[key] = reasons.get(key, 0) + 1
    for (attack, state, reason), count in reasons.items():
        counted = "1 cell" if count == 1 else f"{count} cells"
        print_line(f"{attack}: {counted} {state}: {reason}")


def _compared(reference: ReferenceComparison) -> str:
    seeds = f"seeds {', '.join(str(seed) for seed in reference.seeds)}"
    if reference.difference is None:
        return f"{seeds}: not compared: {reference.reason}"
    return (
        f"{seeds}: Dice {_interval(reference.dice)}; Split-U-Net "
        f"{_interval(reference.split_dice)}; difference {_interval(reference.difference)}"
    )


def _where(one: WorstCase | TargetRecord) -> str:
    skips = "+".join(str(level) for level in one.shared_skips) or "none"
    channels = f", channels {one.bottleneck}" if one.bottleneck else ""
    return f"{one.cut_level}, skips {skips}{channels}, seed {one.seed}"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _interval(value: Interval | None) -> str:
    if value is None or value.low is None or value.high is None:
        return _figure(value.mean if value else None)
    return f"{value.mean:.3f} [{value.low:.3f}, {value.high:.3f}]"
