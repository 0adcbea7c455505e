"""Leakage over what an adversary observed: of how many epochs, or how many passes."""

from __future__ import annotations

from collections.abc import Sequence

from leakaudit.report.figures.series import (
    MASK_DICE,
    SSIM,
    Line,
    SeriesView,
    StepName,
    series_view,
    step_cell,
)
from leakaudit.report.text.protections import protections
from leakaudit.report.text.words import kind_words
from leakaudit.report.views.settings import CellView, MatrixView, SettingView

Seen = tuple[tuple[int, ...], int]


def epochs(matrices: Sequence[MatrixView]) -> tuple[SeriesView, ...]:
    """One figure for each attack that met the settings of a table with more and with less observed.

    All else is equal along a line: the setting, the attack, the threat, the site and the batch. An
    attack that always observed the same has no figure.
    """
    views: list[SeriesView] = []
    for matrix in matrices:
        attacks = dict.fromkeys(_attack(cell) for one in matrix.settings for cell in one.cells)
        for attack in attacks:
            view = _view(f"epochs-{len(views)}", matrix, attack)
            views += [view] if view else []
    return tuple(views)


def _attack(cell: CellView) -> tuple[object, ...]:
    """Return the properties that two cells of one line share beside their setting."""
    one = cell.record
    return one.attack, one.seen_by, one.victims, one.recovers


def _seen(cell: CellView) -> Seen:
    return cell.record.gradient_checkpoints, cell.record.releases


def _view(anchor: str, matrix: MatrixView, attack: tuple[object, ...]) -> SeriesView | None:
    met: list[tuple[SettingView, dict[Seen, CellView]]] = [
        (one, {_seen(cell): cell for cell in one.cells if _attack(cell) == attack})
        for one in matrix.settings
    ]
    shown = [
        (one, cells)
        for one, cells in met
        if sum(cell.rebuilt is not None for cell in cells.values()) > 1
    ]
    steps = sorted(
        {seen for _, cells in shown for seen in cells},
        key=lambda seen: (seen[1], len(seen[0]), seen[0]),
    )
    if len(steps) < 2:
        return None
    first = next(iter(shown[0][1].values()))
    one = first.record
    return series_view(
        anchor,
        f"{matrix.title} · {first.name} by {one.seen_by} on "
        f"{kind_words(one.victims, one.recovers, one.site)}",
        MASK_DICE if one.recovers == "masks" else SSIM,
        ("what the adversary observed", "observed"),
        [_step(seen, steps) for seen in steps],
        [
            Line(
                protections(
                    setting.defense, setting.cut_level, setting.shared_skips, setting.bottleneck
                ),
                setting.anchor,
                tuple(step_cell(cells.get(seen), absent=seen not in cells) for seen in steps),
            )
            for setting, cells in shown
        ],
    )


def _step(seen: Seen, steps: Sequence[Seen]) -> StepName:
    """Name an observation in as many words as tell the steps apart."""
    observed, passes = seen
    lines, short = [], []
    if len({one for one, _ in steps}) > 1:
        named = "+".join(map(str, observed)) or "none"
        lines.append(f"{'epoch' if len(observed) == 1 else 'epochs'} {named}")
        short.append(named)
    if len({one for _, one in steps}) > 1:
        lines.append("1 pass" if passes == 1 else f"{passes} passes")
        short.append(f"{passes}")
    return StepName(tuple(lines), tuple(short))
