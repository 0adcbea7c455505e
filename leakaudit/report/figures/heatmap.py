"""Every attack against every setting: a table whose cells are as dark as the attack got far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from leakaudit.records import Interval
from leakaudit.report.text.formatting import epochs_words, parameters_words
from leakaudit.report.text.validity import doubt
from leakaudit.report.text.words import kind_words
from leakaudit.report.views.settings import CellView, MatrixView, SettingView

SHADES = 5
_MOST_COLUMNS = 8


@dataclass(frozen=True)
class Heading:
    """The subject of a row or a column; ``details`` are short lines below its name."""

    name: str
    details: tuple[str, ...]
    link: str


@dataclass(frozen=True)
class HeatCell:
    """One attack on one setting.

    Args:
        cell: None if the audit never meant the two to meet.
        advantage: None unless the cell has a valid figure.
        shade: 0 for no advantage, then equal steps up to ``SHADES``.
        doubtful: why the advantage is not shown to exceed the guess; empty if it is.
    """

    cell: CellView | None
    advantage: Interval | None
    shade: int
    doubtful: str


@dataclass(frozen=True)
class HeatRow:
    """A row of the table."""

    heading: Heading
    cells: tuple[HeatCell, ...]


@dataclass(frozen=True)
class HeatGroup:
    """Rows under a title of their own; ``title`` is empty if the table's says it all."""

    title: str
    rows: tuple[HeatRow, ...]


@dataclass(frozen=True)
class HeatTable:
    """A heat map of at most eight columns, which a sheet of paper holds."""

    title: str
    columns: tuple[Heading, ...]
    groups: tuple[HeatGroup, ...]


def heat_tables(matrices: Sequence[MatrixView]) -> tuple[HeatTable, ...]:
    """Attacks against settings, whichever are more as rows, eight columns a table.

    Attacks on one tensor alone have a figure of their own; one that is the strongest of a setting
    stands here too. An attack that recovers identities has no advantage over a blind guess.
    """
    settings = [setting for matrix in matrices for setting in matrix.settings]
    attacks = _attacks(settings)
    if len(settings) < len(attacks):
        return _attacks_down(matrices, attacks)
    keys = list(attacks)
    parts = [keys[part] for part in _in_parts(len(keys))]
    return tuple(
        HeatTable(
            _title("Settings against attacks", number, len(parts)),
            tuple(attacks[key] for key in some),
            tuple(
                HeatGroup(
                    matrix.title,
                    tuple(
                        HeatRow(_of_setting(one), tuple(_cell(one, key) for key in some))
                        for one in matrix.settings
                    ),
                )
                for matrix in matrices
            ),
        )
        for number, some in enumerate(parts, 1)
    )


def _attacks_down(
    matrices: Sequence[MatrixView], attacks: dict[tuple[object, ...], Heading]
) -> tuple[HeatTable, ...]:
    tables = []
    for matrix in matrices:
        parts = [matrix.settings[part] for part in _in_parts(len(matrix.settings))]
        for number, some in enumerate(parts, 1):
            rows = [
                HeatRow(heading, tuple(_cell(setting, key) for setting in some))
                for key, heading in attacks.items()
            ]
            shown = [row for row in rows if any(cell.cell for cell in row.cells)]
            tables.append(
                HeatTable(
                    _title(matrix.title, number, len(parts)),
                    tuple(_of_setting(setting) for setting in some),
                    (HeatGroup("", tuple(shown)),),
                )
            )
    return tuple(tables)


def shade(advantage: float) -> int:
    """The step of an advantage: 0 at or below 0, then equal steps up to 1."""
    return min(SHADES, max(0, math.ceil(round(advantage * SHADES, 9))))


def _key(view: CellView) -> tuple[object, ...]:
    one = view.record
    seen = one.seen_by, one.victims, one.releases, one.gradient_checkpoints
    return one.attack, one.recovers, *seen


def _attacks(settings: Sequence[SettingView]) -> dict[tuple[object, ...], Heading]:
    """Every attack with who ran it, in the order of the report; told apart in as few words."""
    met = [
        cell
        for one in settings
        for cell in one.cells
        if (cell.record.reads_all or cell.worst) and cell.record.recovers != "identities"
    ]
    first = {_key(cell): cell for cell in reversed(met)}
    ordered = dict.fromkeys(map(_key, met))
    kinds = {(cell.record.victims, cell.record.recovers) for cell in first.values()}
    found = {}
    for key in ordered:
        one = first[key].record
        alike = [
            other.record
            for other in first.values()
            if (other.record.attack_name, other.record.seen_by) == (one.attack_name, one.seen_by)
        ]
        details = [one.seen_by]
        if len({other.attack for other in alike}) > 1:
            details.append(parameters_words(one.attack))
        if len({other.gradient_checkpoints for other in alike}) > 1:
            details.append(epochs_words(one.gradient_checkpoints))
        if len({other.releases for other in alike}) > 1:
            details.append(f"{one.releases} passes")
        if len(kinds) > 1:
            details.append(f"on {kind_words(one.victims, one.recovers)}")
        found[key] = Heading(first[key].name, tuple(filter(None, details)), "")
    return found


def _of_setting(setting: SettingView) -> Heading:
    return Heading(setting.name, tuple(filter(None, [setting.parameters])), setting.anchor)


def _cell(setting: SettingView, key: tuple[object, ...]) -> HeatCell:
    view = next((one for one in setting.cells if _key(one) == key), None)
    figures = view.rebuilt if view is not None else None
    if figures is None:
        return HeatCell(view, None, 0, "")
    advantage = figures.advantage
    return HeatCell(view, advantage, shade(advantage.mean), doubt(advantage))


def _in_parts(count: int) -> list[slice]:
    """Runs of at most eight out of so many, as equal as they can be."""
    parts = max(1, math.ceil(count / _MOST_COLUMNS))
    size = math.ceil(count / parts) or 1
    return [slice(start, start + size) for start in range(0, count, size)]


def _title(title: str, number: int, count: int) -> str:
    return title if count < 2 else f"{title}, part {number} of {count}"
