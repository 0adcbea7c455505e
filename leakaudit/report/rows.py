"""Of which cells the page lists the patients one by one; report.json lists them all."""

from __future__ import annotations

from leakaudit.records import CellRecord, ReportRecord

# A shared page has at most 5 MB. What it takes without patients is measured, with room to spare for
# reasons and notes: a cell and a setting with all their tables and figures, the mark of one patient
# in a figure of the strongest attack, and the row of one patient.
_MOST = 4_600_000
_CELL = 4_700
_SETTING = 13_400
_MARK = 65
_ROW = 970


def listed_cells(record: ReportRecord) -> frozenset[str]:
    """Keys of the cells whose patients stand in the page: all, but in a large shared report.

    There the strongest attack of each setting comes first, then the others in their order, until
    there is no more room.
    """
    if record.profile != "share":
        return frozenset(cell.cell for cell in record.cells)
    strongest = {case.worst for case in record.worst}
    left, listed = room_for_rows(record), set()
    for cell in sorted(record.cells, key=lambda one: one.cell not in strongest):
        rows = 0 if cell.control_only else _rows(cell)
        if rows <= left:
            left -= rows
            listed.add(cell.cell)
    return frozenset(listed)


def room_for_rows(record: ReportRecord) -> int:
    """How many rows of single patients a shared page has room for."""
    strongest = {case.worst for case in record.worst}
    marks = sum(_rows(cell) for cell in record.cells if cell.cell in strongest)
    settings = len({cell.target for cell in record.cells})
    taken = _CELL * len(record.cells) + _SETTING * settings + _MARK * marks
    return max(0, (_MOST - taken) // _ROW)


def _rows(cell: CellRecord) -> int:
    figures = (cell.leakage, cell.mask_leakage, cell.withheld, cell.withheld_masks)
    return sum(len(one.patients) for one in figures if one is not None)
