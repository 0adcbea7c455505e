"""Of which cells the page lists the patients one by one; report.json lists them all."""

from __future__ import annotations

from leakaudit.records import CellRecord, ReportRecord

SHARED_ROWS = 1_000
"""Rows of single patients in a shared page of 500 cells, which they keep under 5 MB."""


def listed_cells(record: ReportRecord) -> frozenset[str]:
    """Keys of the cells whose patients stand in the page: all, but in a large shared report.

    There the strongest attack of each setting comes first, then the others in their order, until
    `SHARED_ROWS` are used up.
    """
    if record.profile != "share":
        return frozenset(cell.cell for cell in record.cells)
    strongest = {case.worst for case in record.worst}
    left, listed = SHARED_ROWS, set()
    for cell in sorted(record.cells, key=lambda one: one.cell not in strongest):
        rows = 0 if cell.control_only else _rows(cell)
        if rows <= left:
            left -= rows
            listed.add(cell.cell)
    return frozenset(listed)


def _rows(cell: CellRecord) -> int:
    figures = (cell.leakage, cell.mask_leakage, cell.withheld, cell.withheld_masks)
    return sum(len(one.patients) for one in figures if one is not None)
