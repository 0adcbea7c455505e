"""Leakage by released tensor: what one of them gives away alone, of every modality."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from leakaudit.records import ReleasedTensor
from leakaudit.report.figures.modalities import (
    Entry,
    ModalitiesView,
    Sites,
    modalities_view,
    scored_sites,
)
from leakaudit.report.formatting import spoken
from leakaudit.report.views import CellView, MatrixView, SettingView


def tensors(matrices: Sequence[MatrixView], drawn: Collection[str]) -> tuple[ModalitiesView, ...]:
    """A table for each matrix with attacks on one tensor alone; without such attacks there is none.

    Its groups are settings. Their first row is the strongest attack that reads all tensors, on the
    same patients; a tensor's is its strongest valid attack, or one without a figure.

    Args:
        matrices: the settings.
        drawn: keys of those that are drawn.
    """
    views: list[ModalitiesView] = []
    for matrix in matrices:
        alike: dict[Sites, list[tuple[str, list[Entry]]]] = {}
        for setting in matrix.settings:
            entries = _entries(setting) if setting.cells[0].record.target in drawn else []
            if entries:
                found = next((one.cell for one in entries if _drawn(one.cell)), entries[0].cell)
                title = ", ".join(filter(None, [setting.name, setting.parameters]))
                alike.setdefault(scored_sites(setting, found), []).append((title, entries))
        for sites, groups in alike.items():
            views.append(modalities_view(f"tensors-{len(views)}", matrix.title, sites, groups))
    return tuple(views)


def _entries(setting: SettingView) -> list[Entry]:
    alone = [cell for cell in setting.cells if cell.record.tensor is not None]
    if not alone:
        return []
    of_tensor: dict[ReleasedTensor, list[CellView]] = {}
    for cell in alone:
        if cell.record.tensor is not None:
            of_tensor.setdefault(cell.record.tensor, []).append(cell)
    rows = [
        Entry(cell.anchor, f"Data site {tensor.site}, level {tensor.level}", "", cell)
        for tensor, cells in sorted(of_tensor.items(), key=lambda one: (one[0].site, one[0].level))
        for cell in [max(cells, key=_height)]
    ]
    whose = {(cell.record.victims, cell.record.recovers) for cell in alone}
    whole = [
        cell
        for cell in setting.cells
        if cell.record.tensor is None
        and (cell.record.victims, cell.record.recovers) in whose
        and _drawn(cell)
    ]
    if whole:
        top = max(whole, key=_height)
        rows.insert(0, Entry(top.anchor, "All that crosses", spoken(top.record.attack_name), top))
    return rows


def _drawn(cell: CellView) -> bool:
    return cell.leakage is not None and bool(cell.leakage.by_modality)


def _height(cell: CellView) -> float:
    return cell.leakage.ssim_brain.mean if cell.leakage is not None else -2.0
