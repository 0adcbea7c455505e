"""Leakage by what crosses: the cut level, and which shallower levels cross beside it."""

from __future__ import annotations

from collections.abc import Sequence

from leakaudit.records import Configured, Kind
from leakaudit.report.figures.series import (
    MASK_DICE,
    SSIM,
    Line,
    SeriesView,
    StepName,
    series_view,
    step_cell,
)
from leakaudit.report.text.protections import protections
from leakaudit.report.text.words import kind_words
from leakaudit.report.views.settings import CellView, MatrixView, SettingView

Place = tuple[int, tuple[int, ...]]


def places(matrices: Sequence[MatrixView]) -> tuple[SeriesView, ...]:
    """One figure per seed, kind of victims and what is recovered.

    A line is a defense, with its bottleneck if it has one; it is drawn if its worst attack has a
    valid figure at two places or more. Without such a line there is no figure.
    """
    settings = [setting for matrix in matrices for setting in matrix.settings]
    found = {one.kind for setting in settings for one in setting.exposures}
    kinds = sorted(kind for kind in found if kind[1] != "identities")  # which no picture is of
    told_apart = len([kind for kind in kinds if kind[0]]) > 1
    views: list[SeriesView] = []
    for seed in dict.fromkeys(setting.seed for setting in settings):
        for kind in kinds:
            of_seed = [setting for setting in settings if setting.seed == seed]
            title = f"Seed {seed}"
            title += f" · {kind_words(*kind)}" if told_apart and kind[0] else ""
            view = _view(f"places-{len(views)}", title, of_seed, kind)
            views += [view] if view else []
    return tuple(views)


def _view(
    anchor: str, title: str, settings: Sequence[SettingView], kind: Kind
) -> SeriesView | None:
    lines = [line for line in _by_defense(settings).values() if _reached(line, kind) > 1]
    met = {place for line in lines for place, one in line.items() if _has(one, kind)}
    # From the shallowest cut to the deepest, at each from all levels crossing to the deepest alone.
    order = sorted(met, key=lambda place: (place[0], -len(place[1]), place[1]))
    if not order:
        return None
    return series_view(
        anchor,
        title,
        MASK_DICE if kind[1] == "masks" else SSIM,
        ("fewer and deeper levels cross →", "cut; skips that cross"),
        [_step(place) for place in order],
        [_line(line, order, kind) for line in lines],
    )


def _by_defense(
    settings: Sequence[SettingView],
) -> dict[tuple[tuple[Configured, ...], int | None], dict[Place, SettingView]]:
    """The settings of every defense, with its bottleneck, by what crosses."""
    found: dict[tuple[tuple[Configured, ...], int | None], dict[Place, SettingView]] = {}
    for one in settings:
        where = (one.cut_level, tuple(sorted(one.shared_skips)))
        found.setdefault((one.defense, one.bottleneck), {})[where] = one
    return found


def _line(line: dict[Place, SettingView], order: Sequence[Place], kind: Kind) -> Line:
    first = next(iter(line.values()))
    cells = []
    for place in order:
        setting = line.get(place)
        cells.append(step_cell(_exposure(setting, kind), absent=setting is None))
    return Line(protections(first.defense, 0, (), first.bottleneck), first.anchor, tuple(cells))


def _exposure(setting: SettingView | None, kind: Kind) -> CellView | None:
    """The cell of the worst attack of a kind."""
    if setting is None:
        return None
    return next((one.cell for one in setting.exposures if one.kind == kind), None)


def _has(setting: SettingView, kind: Kind) -> bool:
    return _exposure(setting, kind) is not None


def _reached(line: dict[Place, SettingView], kind: Kind) -> int:
    return sum(_has(setting, kind) for setting in line.values())


def _step(place: Place) -> StepName:
    cut, skips = place
    if not cut:
        return StepName((f"cut {cut}",), (f"{cut}",))
    if not skips:
        return StepName((f"cut {cut}", "no skip"), (f"{cut}", "none"))
    named = "+".join(map(str, skips))
    if skips == tuple(range(cut)):
        return StepName((f"cut {cut}", "all skips" if cut > 1 else "skip 0"), (f"{cut}", "all"))
    words = f"{'skip' if len(skips) == 1 else 'skips'} {named}"
    return StepName((f"cut {cut}", words), (f"{cut}", named))
