"""Which settings are strengths of one defense, in what order, and what tells them apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leakaudit.report.text.formatting import listed
from leakaudit.report.text.protections import Protection, Strength, in_words


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
    """One parameter of a setting, and which protection it is of."""

    part: Protection
    strength: Strength

    @property
    def in_own_words(self) -> bool:
        """Whether the protection has words of its own for it."""
        return len(self.part.strengths) == 1 and self.part.details != self.strength.words

    @property
    def label(self) -> str:
        """The value alone, or the protection's own words for it."""
        return self.part.details if self.in_own_words else self.strength.shown

    @property
    def words(self) -> str:
        """Name and value, or the protection's own words for both."""
        return self.part.details if self.in_own_words else self.strength.words


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
            shape = tuple((part.name, *(one.name for one in part.strengths)) for part in parts)
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
        fixed = tuple(column.strength.words for number, column in enumerate(row) if number != swept)
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
    ordered = sorted(members, key=lambda member: table[member][swept].strength.number or 0.0)
    columns = [table[member][swept] for member in ordered]
    labels = tuple(column.label for column in columns)
    named = f"{columns[0].strength.name} {listed(labels)}"
    strengths = ", ".join(labels) if columns[0].in_own_words else named
    rest = [column.words for number, column in enumerate(table[ordered[0]]) if number != swept]
    return Sweep(name, "; ".join([strengths, *rest]), tuple(ordered), labels)


def _columns(parts: Sequence[Protection]) -> list[_Column]:
    return [_Column(part, strength) for part in parts for strength in part.strengths]


def _strengths(column: Sequence[_Column]) -> int:
    """How many numbers a parameter takes; 0 if it takes anything else."""
    numbers = {one.strength.number for one in column}
    return 0 if None in numbers else len(numbers)
