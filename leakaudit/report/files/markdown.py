"""The worst cases of a run as a Markdown table, for documents."""

from __future__ import annotations

import re

from leakaudit.measure import metrics
from leakaudit.records import CellRecord, Interval, ReportRecord, WorstCase, written
from leakaudit.records.configured import assigned, varying
from leakaudit.report.text.formatting import epochs_words, figure
from leakaudit.report.text.validity import (
    beyond_a_guess,
    most_picked_out,
    valid_figures,
    valid_leakage,
    valid_masks,
    valid_matching,
)
from leakaudit.visible import made_visible

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
    "Pareto front",
    "not measured",
)


def worst_table(record: ReportRecord) -> str:
    """A row for each setting, kind of victims and of what is recovered: its worst attack.

    The Pareto front is that of the row's cut level, seed, kind of victims and of what is recovered.

    A figure that is missing is a dash, and the attacks without a figure are named with their state.
    Where another attack picks out more patients than the worst one, it is named with its share.
    """
    rows = [_with_metrics(_HEAD), *(_row(record, case) for case in record.worst)]
    rows.insert(1, ("---",) * len(rows[0]))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


_CELL_HEAD = (*_HEAD[:5], "attack", *_HEAD[7:11], "state")


def cells_table(record: ReportRecord) -> str:
    """A row for each attack on each setting, positive controls left out.

    Where there is no valid figure a dash stands for it, and the state says why. An attack that the
    audit makes with several values of a parameter is named with them, and so is the seed.
    """
    asked = [cell for cell in record.cells if not cell.control_only]
    differing = varying(cell.attack for cell in asked)
    seeds = len({cell.seed for cell in asked}) > 1
    cells = [_cell_row(cell, assigned(differing[cell.attack]), seeds=seeds) for cell in asked]
    rows = [_with_metrics(_CELL_HEAD), *cells]
    rows.insert(1, ("---",) * len(rows[0]))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _cell_row(cell: CellRecord, parameters: str, *, seeds: bool) -> tuple[str, ...]:
    return (
        f"{_cut(cell)}{f', seed {cell.seed}' if seeds else ''}",
        "+".join(str(level) for level in cell.shared_skips) or "none",
        f"`{_plain(written(cell.defense))}`",
        cell.victims,
        cell.recovers,
        *_figures(cell, parameters),
        str(cell.state),
        *_measured(cell),
    )


def _with_metrics(head: tuple[str, ...]) -> tuple[str, ...]:
    return (*head, *(metric.head for metric in metrics.METRICS if metric.tabled))


def _measured(cell: CellRecord | None) -> tuple[str, ...]:
    """The metrics that declare a column of their own."""
    found = [metric.figure(cell) if cell else None for metric in metrics.METRICS if metric.tabled]
    return tuple("-" if one is None else _interval(one) for one in found)


def _figures(cell: CellRecord, parameters: str = "") -> tuple[str, ...]:
    """Who attacks; SSIM, floor, advantage and re-identification, dashes if none is valid."""
    attack = " ".join(filter(None, [cell.attack_name, parameters]))
    who = f"{_plain(attack)} by {_plain(cell.seen_by)}{_observed(cell)}"
    leakage, masks = valid_leakage(cell), valid_masks(cell)
    if masks is not None:
        return (
            who,
            f"Dice {_interval(masks.dice)}",
            figure(masks.blind_floor, 3),
            _interval(masks.advantage),
            "-",
        )
    if (found := valid_matching(cell)) is not None:
        share = f"{_interval(found.score)} (chance {figure(found.chance)})"
        return (who, "-", "-", "-", share)
    if leakage is None:
        return (who, *("-",) * 4)
    single = leakage.reidentification
    return (
        who,
        _interval(leakage.ssim_brain),
        figure(leakage.blind_floor, 3),
        _interval(leakage.advantage),
        f"{figure(single.top1)} (chance {figure(single.chance)})",
    )


def _observed(cell: CellRecord) -> str:
    """When gradients were seen and how many passes, where there is something to say."""
    epochs = f", {epochs_words(cell.gradient_checkpoints)}" if cell.gradient_checkpoints else ""
    return f"{epochs}{f', {cell.releases} passes' if cell.releases > 1 else ''}"


def _row(record: ReportRecord, case: WorstCase) -> tuple[str, ...]:
    cell = next((one for one in record.cells if one.cell == case.worst), None)
    measured = valid_figures(cell)
    asked = [one.attack for one in record.cells if not one.control_only]
    figures: tuple[str, ...] = ("-",) * 5
    if cell is not None and measured:
        differing = varying(asked)
        figures = _figures(cell, assigned(differing[cell.attack]))
        if more := _picks_out_more(record, cell):
            attack = " ".join(filter(None, [more.attack_name, assigned(differing[more.attack])]))
            figures = (*figures[:-1], f"{figures[-1]}; {_share(more)} by {_plain(attack)}")
    seed = f", seed {case.seed}" if len({one.seed for one in record.worst}) > 1 else ""
    return (
        f"{_cut(case)}{seed}",
        "+".join(str(level) for level in case.shared_skips) or "none",
        f"`{_plain(written(case.defense))}`",
        case.victims,
        case.recovers,
        figure(case.dice.mean, 3) if case.dice else "-",
        *figures,
        "on it" if case.pareto else "-",
        _plain("; ".join(case.incomplete)) or "none",
        *_measured(cell),
    )


def _picks_out_more(record: ReportRecord, worst: CellRecord) -> CellRecord | None:
    """The attack on the same images that picks out more patients than the worst one does."""
    own = valid_leakage(worst)
    if own is None or worst.recovers != "images":
        return None
    alike = [one for one in record.cells if (one.target, one.kind) == (worst.target, worst.kind)]
    most = most_picked_out(alike)
    found = valid_leakage(most)
    if found is None or beyond_a_guess(found.reidentification) <= beyond_a_guess(
        own.reidentification
    ):
        return None
    return most


def _share(cell: CellRecord) -> str:
    leakage = valid_leakage(cell)
    return figure(leakage.reidentification.top1) if leakage is not None else "-"


def _cut(one: CellRecord | WorstCase) -> str:
    channels = f", channels {one.bottleneck}" if one.bottleneck else ""
    return f"{one.cut_level}{channels}"


def _interval(value: Interval) -> str:
    if value.low is None or value.high is None:
        return figure(value.mean, 3)
    return f"{figure(value.mean, 3)} [{figure(value.low, 3)}, {figure(value.high, 3)}]"


def _plain(text: str) -> str:
    """Text that ends no cell, row or code span."""
    return made_visible(re.sub(r"[|`\s]", " ", text), "line")
