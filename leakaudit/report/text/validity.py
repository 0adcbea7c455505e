"""Which cells have a figure, and which figures are in doubt: rules that every part asks."""

from __future__ import annotations

from collections.abc import Sequence

from leakaudit.records import (
    CellRecord,
    Figures,
    Interval,
    Leakage,
    MaskLeakage,
    Matching,
    Reidentification,
    State,
)
from leakaudit.records.verdict import N_MIN
from leakaudit.report.text.formatting import best_guess, figure


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


def beyond_a_guess(share: Reidentification) -> float:
    """How far the share of patients picked out is shown to lie above the best guess, in [-1, 1]."""
    return share.low - best_guess(share)


def most_picked_out(cells: Sequence[CellRecord]) -> CellRecord | None:
    """The attack on images that picks out the share of patients furthest beyond a guess.

    It need not be the attack whose images are most like the originals. None if no cell of these
    tells whose images it rebuilt.
    """
    found = [
        (beyond_a_guess(leakage.reidentification), cell)
        for cell in cells
        if cell.recovers == "images"
        and not cell.control_only
        and (leakage := valid_leakage(cell)) is not None
    ]
    return max(found, key=lambda one: one[0], default=(0.0, None))[1]


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
