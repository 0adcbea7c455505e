"""Leakage by modality, and so by the site that holds it: of each setting's worst attack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leakaudit.records import Interval
from leakaudit.report.figures.markers import SHAPES
from leakaudit.report.figures.rows import LaneRow, RowScale, lane_row, row_scale
from leakaudit.report.views import CellView, MatrixView, SettingView
from leakaudit.report.words import kind_words

Kind = tuple[str, str, str]
Sites = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class SiteHead:
    """A site with those of its modalities that are recovered, each with its marker."""

    name: str
    modalities: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ModalityRow:
    """One setting: score and blind floor of each modality in the order of the sites."""

    setting: SettingView
    cell: CellView
    scores: tuple[tuple[Interval, float | None], ...]
    drawn: LaneRow


@dataclass(frozen=True)
class ModalityGroup:
    """The settings of one table of the matrix."""

    title: str
    rows: tuple[ModalityRow, ...]


@dataclass(frozen=True)
class ModalitiesView:
    """One kind of victims and of what is recovered."""

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
        alike: dict[Sites, list[tuple[str, list[tuple[SettingView, CellView]]]]] = {}
        for title, found in met:
            for sites in dict.fromkeys(_sites(*one) for one in found):
                own = [one for one in found if _sites(*one) == sites]
                alike.setdefault(sites, []).append((title, own))
        for sites, groups in alike.items():
            views.append(_view(f"modalities-{len(views)}", kind, sites, groups))
    return tuple(views)


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


def _sites(setting: SettingView, cell: CellView) -> Sites:
    """The scored modalities by site, those of no known site at the end; a site may have none."""
    assert cell.leakage is not None  # _scored leaves out what has none
    scored = cell.leakage.by_modality
    known = setting.target.sites if setting.target else ()
    held = tuple(tuple(name for name in site if name in scored) for site in known)
    rest = tuple(sorted(name for name in scored if not any(name in site for site in held)))
    return (*held, rest)


def _view(
    anchor: str,
    kind: Kind,
    sites: Sites,
    groups: Sequence[tuple[str, Sequence[tuple[SettingView, CellView]]]],
) -> ModalitiesView:
    scored = [cell.leakage for _, found in groups for _, cell in found if cell.leakage]
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
        _whom(kind),
        shared,
        tuple(head for head in heads if head.modalities),
        tuple(
            ModalityGroup(title, tuple(_row(*one, sites, shared) for one in found))
            for title, found in groups
        ),
    )


def _row(setting: SettingView, cell: CellView, sites: Sites, shared: RowScale) -> ModalityRow:
    assert cell.leakage is not None  # _scored leaves out what has none
    scores, floors = cell.leakage.by_modality, cell.leakage.blind_by_modality
    lanes = [
        (number, scores[name], floors.get(name))
        for number, site in enumerate(sites)
        for name in site
    ]
    return ModalityRow(
        setting,
        cell,
        tuple((score, floor) for _, score, floor in lanes),
        lane_row(lanes, shared),
    )


def _whom(kind: Kind) -> str:
    words = kind_words(*kind) if kind[0] else "patients"
    return f"{words[:1].upper()}{words[1:]}"
