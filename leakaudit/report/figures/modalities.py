"""Leakage by modality, and so by the site that holds it: of each setting's worst attack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from leakaudit.records import Interval, Kind
from leakaudit.report.figures.markers import SHAPES
from leakaudit.report.figures.rows import LaneRow, RowScale, lane_row, row_scale
from leakaudit.report.text.words import kind_words
from leakaudit.report.views.settings import CellView, MatrixView, SettingView

Sites = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class SiteHead:
    """A site with those of its modalities that are recovered, each with its marker."""

    name: str
    modalities: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Entry:
    """The subject of a row: its name, its link, and the cell with the figures."""

    link: str
    name: str
    details: str
    cell: CellView


@dataclass(frozen=True)
class ModalityRow:
    """One entry: score and blind floor of each modality in the order of the sites.

    A cell without a figure by modality has no scores and is not drawn. ``says_floors`` is whether
    the floors are others than in the row above.
    """

    entry: Entry
    scores: tuple[tuple[Interval, float | None], ...]
    drawn: LaneRow | None
    says_floors: bool = True


@dataclass(frozen=True)
class ModalityGroup:
    """The rows under one heading."""

    title: str
    rows: tuple[ModalityRow, ...]


@dataclass(frozen=True)
class ModalitiesView:
    """Rows whose modalities are held by the same sites."""

    anchor: str
    title: str
    scale: RowScale
    sites: tuple[SiteHead, ...]
    groups: tuple[ModalityGroup, ...]


def modalities(matrices: Sequence[MatrixView]) -> tuple[ModalitiesView, ...]:
    """A table for each kind of victims, a row for each setting whose modalities were scored."""
    kinds = sorted({one.kind for each in matrices for s in each.settings for one in s.exposures})
    views: list[ModalitiesView] = []
    for kind in kinds:
        met = [(matrix.title, _scored(matrix, kind)) for matrix in matrices]
        alike: dict[Sites, list[tuple[str, list[Entry]]]] = {}
        for title, found in met:
            for sites in dict.fromkeys(scored_sites(*one) for one in found):
                own = [_entry(*one) for one in found if scored_sites(*one) == sites]
                alike.setdefault(sites, []).append((title, own))
        for sites, groups in alike.items():
            views.append(modalities_view(f"modalities-{len(views)}", _whom(kind), sites, groups))
    return tuple(views)


def scored_sites(setting: SettingView, cell: CellView) -> Sites:
    """The scored modalities by site, those of no known site at the end; a site may have none."""
    scored = cell.leakage.by_modality if cell.leakage else {}
    known = setting.target.sites if setting.target else ()
    held = tuple(tuple(name for name in site if name in scored) for site in known)
    rest = tuple(sorted(name for name in scored if not any(name in site for site in held)))
    return (*held, rest)


def modalities_view(
    anchor: str, title: str, sites: Sites, groups: Sequence[tuple[str, Sequence[Entry]]]
) -> ModalitiesView:
    """Lay out rows that share a scale.

    Args:
        anchor: identifier of the figure.
        title: what is meant.
        sites: the modalities by site, the last those of no known site.
        groups: headings with the entries under each.
    """
    scored = [one.cell.leakage for _, found in groups for one in found if one.cell.leakage]
    lows = [
        low
        for one in scored
        for score in one.by_modality.values()
        for low in (score.mean, score.low)
        if low is not None
    ]
    shared = row_scale([*lows, *(low for one in scored for low in one.blind_by_modality.values())])
    paths = iter(SHAPES * (1 + sum(map(len, sites)) // len(SHAPES)))
    heads = [
        SiteHead(
            f"Data site {number}" if number < len(sites) else "Held by no site",
            tuple((name, next(paths)) for name in site),
        )
        for number, site in enumerate(sites, 1)
    ]
    return ModalitiesView(
        anchor,
        title,
        shared,
        tuple(head for head in heads if head.modalities),
        tuple(
            ModalityGroup(name, _told_once([_row(one, sites, shared) for one in found]))
            for name, found in groups
        ),
    )


def _scored(matrix: MatrixView, kind: Kind) -> list[tuple[SettingView, CellView]]:
    return [
        (setting, exposure.cell)
        for setting in matrix.settings
        for exposure in setting.exposures
        if exposure.kind == kind
        and exposure.cell is not None
        and exposure.cell.leakage is not None
        and exposure.cell.leakage.by_modality
    ]


def _entry(setting: SettingView, cell: CellView) -> Entry:
    return Entry(setting.anchor, setting.name, setting.parameters, cell)


def _row(entry: Entry, sites: Sites, shared: RowScale) -> ModalityRow:
    leakage = entry.cell.leakage
    if leakage is None or not leakage.by_modality:
        return ModalityRow(entry, (), None)
    scores, floors = leakage.by_modality, leakage.blind_by_modality
    lanes = [
        (number, scores[name], floors.get(name))
        for number, site in enumerate(sites)
        for name in site
    ]
    return ModalityRow(
        entry, tuple((score, floor) for _, score, floor in lanes), lane_row(lanes, shared)
    )


def _told_once(rows: Sequence[ModalityRow]) -> tuple[ModalityRow, ...]:
    """The rows of a group; floors are said where they change."""
    last: tuple[float | None, ...] = ()
    told = []
    for row in rows:
        floors = tuple(floor for _, floor in row.scores)
        told.append(replace(row, says_floors=bool(floors) and floors != last))
        last = floors or last
    return tuple(told)


def _whom(kind: Kind) -> str:
    words = kind_words(*kind) if kind[0] else "patients"
    return f"{words[:1].upper()}{words[1:]}"
