"""Leakage by released tensor: what one of them gives away alone, of every modality."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from leakaudit.report.figures.modalities import (
    Entry,
    ModalitiesView,
    Sites,
    modalities_view,
    scored_sites,
)
from leakaudit.report.text.formatting import parameters_words, spoken
from leakaudit.report.text.words import kind_words
from leakaudit.report.views.settings import CellView, MatrixView, SettingView


def tensors(matrices: Sequence[MatrixView], drawn: Collection[str]) -> tuple[ModalitiesView, ...]:
    """Tables of the attacks on one tensor alone, one for each matrix and kind of victims.

    Groups are settings. Their first row is the strongest attack on the same victims, by the same
    adversaries, that reads all it is granted; without a valid one it is one that has no figure.

    Args:
        matrices: the settings.
        drawn: keys of those that are drawn.
    """
    kinds = sorted(
        {cell.record.kind for one in matrices for s in one.settings for cell in _alone(s)}
    )
    views: list[ModalitiesView] = []
    for matrix in matrices:
        for kind in kinds:
            alike: dict[Sites, list[tuple[str, list[Entry]]]] = {}
            for setting in matrix.settings:
                mine = [cell for cell in _alone(setting) if cell.record.kind == kind]
                if mine and mine[0].record.target in drawn:
                    entries = [*_whole(setting, mine), *_entries(setting, mine)]
                    found = next((one.cell for one in entries if _drawn(one.cell)), mine[0])
                    title = ", ".join(filter(None, [setting.name, setting.parameters]))
                    alike.setdefault(scored_sites(setting, found), []).append((title, entries))
            title = matrix.title
            title += f" · {kind_words(*kind)}" if len(kinds) > 1 else ""
            for sites, groups in alike.items():
                views.append(modalities_view(f"tensors-{len(views)}", title, sites, groups))
    return tuple(views)


def _alone(setting: SettingView) -> list[CellView]:
    return [cell for cell in setting.cells if not cell.record.reads_all]


def _entries(setting: SettingView, cells: Sequence[CellView]) -> list[Entry]:
    """A row for every cell, by site and level; a site with what it holds."""
    held = setting.target.sites if setting.target else ()
    rows = []
    for cell in cells:
        tensor = cell.record.tensor
        if tensor is not None:
            holds = held[tensor.site - 1] if tensor.site <= len(held) else ()
            details = ["+".join(holds)]
            if sum(other.record.tensor == tensor for other in cells) > 1:
                details += [parameters_words(cell.record.attack), cell.record.threat]
            name = f"Data site {tensor.site}, level\N{NO-BREAK SPACE}{tensor.level}"
            entry = Entry(cell.anchor, name, ", ".join(filter(None, details)), cell)
            rows.append(((tensor.site, tensor.level), entry))
    return [entry for _, entry in sorted(rows, key=lambda one: one[0])]


def _whole(setting: SettingView, alone: Sequence[CellView]) -> list[Entry]:
    threats = {cell.record.threat for cell in alone}
    found = [
        cell
        for cell in setting.cells
        if cell.record.reads_all
        and cell.record.kind == alone[0].record.kind
        and cell.record.threat in threats
    ]
    if not found:
        return []
    top = max(found, key=lambda cell: cell.leakage.ssim_brain.mean if cell.leakage else -2.0)
    return [Entry(top.anchor, "All that it sees", spoken(top.record.attack_name), top)]


def _drawn(cell: CellView) -> bool:
    return cell.leakage is not None and bool(cell.leakage.by_modality)
