"""Which cells have a figure: the one rule that every part of the report asks."""

from __future__ import annotations

from leakaudit.records import CellRecord, Figures, Leakage, MaskLeakage, Matching, State


def valid_leakage(cell: CellRecord | None) -> Leakage | None:
    """The cell's figures on images if it is ``ok``; None otherwise, whatever else it carries."""
    return cell.leakage if cell is not None and cell.state is State.OK else None


def valid_masks(cell: CellRecord | None) -> MaskLeakage | None:
    """The cell's figures on tumour masks if it is ``ok``; None otherwise."""
    return cell.mask_leakage if cell is not None and cell.state is State.OK else None


def valid_matching(cell: CellRecord | None) -> Matching | None:
    """The cell's figures on who is who if it is ``ok``; None otherwise."""
    return cell.matching if cell is not None and cell.state is State.OK else None


def valid_rebuilt(cell: CellRecord | None) -> Leakage | MaskLeakage | None:
    """The cell's figures if it is ``ok`` and rebuilt images or masks; None otherwise."""
    return valid_leakage(cell) or valid_masks(cell)


def valid_figures(cell: CellRecord | None) -> Figures | None:
    """The cell's figures of any kind if it is ``ok``; None otherwise."""
    return cell.figures if cell is not None and cell.state is State.OK else None
