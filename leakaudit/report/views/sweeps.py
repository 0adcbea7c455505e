"""Which settings are strengths of one defense, in what order, and what tells them apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from leakaudit.report.text.formatting import MINUS, listed
from leakaudit.report.text.protections import Protection, in_words


@dataclass(frozen=True)
class Sweep:
    """Settings that differ in one number alone, or one that has no such neighbour.

    Args:
        name: what protects them all: ``Activation dropout``.
        details: the number in all its strengths, then what stays fixed:
            ``p 0.5, 0.8 and 0.95; unit channel``.
        members: positions of the settings, the smallest number first.
        labels: of each member, the number alone: ``0.5``.
    """

    name: str
    details: str
    members: tuple[int, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class _Column:
    """One parameter of a setting: of which protection, its text, its name and its value."""

    part: Protection
    text: str
    name: str
    value: str

    @property
    def label(self) -> str:
        """The value; in words where the protection has words of its own for it."""
        own_words = len(self.part.strengths) == 1 and self.part.details != self.text
        return self.part.details if own_words else self.value


def sweeps(settings: Sequence[tuple[Protection, ...]]) -> tuple[Sweep, ...]:
    """Every protected setting in exactly one sweep, in the order of their first members.

    Where settings differ in several numbers, the one with the most strengths is swept, and each
    choice of the others is a sweep of its own.

    Args:
        settings: what protects each; the one without any is in no sweep.
    """
    alike: dict[tuple[object, ...], list[int]] = {}
    for position, parts in enumerate(settings):
        if parts:
            shape = tuple((part.name, *map(_parameter, part.strengths)) for part in parts)
            alike.setdefault(shape, []).append(position)
    found = [one for group in alike.values() for one in _swept(settings, group)]
    return tuple(sorted(found, key=lambda sweep: min(sweep.members)))


def _swept(settings: Sequence[tuple[Protection, ...]], positions: Sequence[int]) -> list[Sweep]:
    """The sweeps among settings with the same protections and parameters."""
    table = {position: _columns(settings[position]) for position in positions}
    counts = [_strengths(column) for column in zip(*table.values(), strict=True)]
    swept = counts.index(max(counts)) if max(counts, default=0) > 1 else None
    groups: dict[tuple[str, ...], list[int]] = {}
    for position, row in table.items():
        fixed = tuple(column.text for number, column in enumerate(row) if number != swept)
        groups.setdefault(fixed, []).append(position)
    return [_sweep(settings, table, members, swept) for members in groups.values()]


def _sweep(
    settings: Sequence[tuple[Protection, ...]],
    table: dict[int, list[_Column]],
    members: Sequence[int],
    swept: int | None,
) -> Sweep:
    name, details = in_words(settings[members[0]])
    if swept is None or len(members) < 2:
        return Sweep(name, details, tuple(members), ("",) * len(members))
    ordered = sorted(members, key=lambda member: _number(table[member][swept].value) or 0.0)
    columns = [table[member][swept] for member in ordered]
    labels = tuple(column.label for column in columns)
    in_own_words = labels[0] != columns[0].value
    strengths = ", ".join(labels) if in_own_words else f"{columns[0].name} {listed(labels)}"
    rest = [column for number, column in enumerate(table[ordered[0]]) if number != swept]
    fixed = [column.text if column.label == column.value else column.label for column in rest]
    return Sweep(name, "; ".join([strengths, *filter(None, fixed)]), tuple(ordered), labels)


def _columns(parts: Sequence[Protection]) -> list[_Column]:
    return [
        _Column(part, text, _parameter(text), text.rpartition(" ")[2])
        for part in parts
        for text in part.strengths
    ]


def _strengths(column: Sequence[_Column]) -> int:
    """How many numbers a parameter takes; 0 if it takes anything else."""
    numbers = {_number(one.value) for one in column}
    return 0 if None in numbers else len(numbers)


def _number(text: str) -> float | None:
    try:
        value = float(text.replace(MINUS, "-"))
    except ValueError:
        return None
    return None if math.isnan(value) else value


def _parameter(text: str) -> str:
    return text.rpartition(" ")[0]
