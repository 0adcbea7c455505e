"""Which cells have a figure, and which figures are in doubt: rules that every part asks."""

from __future__ import annotations

from leakaudit.records import CellRecord, Figures, Interval, Leakage, MaskLeakage, Matching, State
from leakaudit.records.verdict import N_MIN
from leakaudit.report.text.formatting import figure


def valid_leakage(cell: CellRecord | None) -> Leakage | None:
    """The cell's figures on images if it is ``ok``; None otherwise."""
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


def doubt(advantage: Interval) -> str:
    """Why an attack is not shown to beat the blind guess; empty if it is.

    Fewer than `N_MIN` patients show nothing either way, however far above the guess they lie.
    """
    if advantage.low is not None and advantage.low > 0:
        return ""
    if advantage.mean > 0 and (advantage.low is None or advantage.n < N_MIN):
        return f"too few patients ({figure(advantage.n)}) to compare it with the guess"
    return "not shown to exceed the guess"


def valid_figures(cell: CellRecord | None) -> Figures | None:
    """The cell's figures of any kind if it is ``ok``; None otherwise."""
    return cell.figures if cell is not None and cell.state is State.OK else None
