"""Which cells have a figure: the one rule that every part of the report asks."""

from __future__ import annotations

from leakaudit.records import CellRecord, Leakage, State


def valid_leakage(cell: CellRecord | None) -> Leakage | None:
    """The cell's figures if it is ``ok``; None otherwise, whatever else it carries."""
    return cell.leakage if cell is not None and cell.state is State.OK else None
