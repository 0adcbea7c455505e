"""The patients and tensors that a page lists one by one; report.json lists them all."""

from __future__ import annotations

from leakaudit.records import CellRecord, ReportRecord

# A shared page has at most 5 MB. What it takes without patients is measured, with room to spare for
# reasons and notes: a cell and a setting with all their tables and figures, the mark of one patient
# in a figure of the strongest attack, the row of one patient, and that of one released tensor.
_MOST = 4_600_000
_CELL = 4_700
_SETTING = 13_400
_MARK = 65
_ROW = 970
_TENSOR = 2_800


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
    tensors = sum(_tensors(record, target) for target in drawn_tensors(record))
    return max(0, (_room(record) - tensors) // _ROW)


def drawn_tensors(record: ReportRecord) -> frozenset[str]:
    """Keys of the settings whose released tensors the page draws one by one.

    All, but in a large shared report: there it is the first ones, as many as there is room for.
    """
    targets = dict.fromkeys(cell.target for cell in record.cells if _alone(cell))
    if record.profile != "share":
        return frozenset(targets)
    left, drawn = _room(record), set()
    for target in targets:
        left -= _tensors(record, target)
        if left < 0:
            break
        drawn.add(target)
    return frozenset(drawn)


def _room(record: ReportRecord) -> int:
    """Bytes that cells, settings and the marks of the strongest attacks leave."""
    strongest = {case.worst for case in record.worst}
    marks = sum(_rows(cell) for cell in record.cells if cell.cell in strongest)
    settings = len({cell.target for cell in record.cells})
    return _MOST - _CELL * len(record.cells) - _SETTING * settings - _MARK * marks


def _tensors(record: ReportRecord, target: str) -> int:
    """Bytes of the rows of a setting's tensors, and of that of all together."""
    alone = [cell for cell in record.cells if cell.target == target and _alone(cell)]
    return _TENSOR * (len(alone) + 1)


def _alone(cell: CellRecord) -> bool:
    return cell.tensor is not None and not cell.control_only


def _rows(cell: CellRecord) -> int:
    figures = (cell.figures, cell.set_aside)
    return sum(len(one.patients) for one in figures if one is not None)
