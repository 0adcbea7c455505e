"""The trade-off between Dice and SSIM: one panel per cut level, and the same numbers as rows."""

from __future__ import annotations

from dataclasses import dataclass

from leakaudit.records import Interval
from leakaudit.report.figures import Floor, Panel, Point, panels
from leakaudit.report.formatting import figure, levels, undefended
from leakaudit.report.views import ExposureView, MatrixView, SettingView
from leakaudit.report.words import kind_words


@dataclass(frozen=True)
class TradeoffRow:
    """The numbers behind one point; ``missing`` says why it is not drawn, empty if it is."""

    defense: str
    name: str
    details: str
    link: str
    attack: str
    dice: Interval | None
    ssim: Interval | None
    blind_floor: float | None
    outline_floor: float | None
    pareto: bool
    missing: str


@dataclass(frozen=True)
class TradeoffView:
    """One panel with its table; ``panel`` is None if there is nothing to draw."""

    anchor: str
    title: str
    description: str
    panel: Panel | None
    rows: tuple[TradeoffRow, ...]


def tradeoffs(matrices: tuple[MatrixView, ...]) -> tuple[TradeoffView, ...]:
    """One panel per cut level, seed, kind of victims and what is recovered but for masks.

    Figures of different kinds never stand together.

    Every defence keeps one marker shape throughout.
    """
    settings = [setting for matrix in matrices for setting in matrix.settings]
    defenses = dict.fromkeys(one.defense for one in settings if not undefended(one.defense))
    shapes = {defense: number for number, defense in enumerate(defenses)}
    grouped: dict[tuple[int, tuple[int, ...], int], list[SettingView]] = {}
    for setting in settings:
        grouped.setdefault((setting.cut_level, setting.shared_skips, setting.seed), []).append(
            setting
        )
    titles, rows, floors = [], [], []
    for (cut, skips, seed), group in grouped.items():
        kinds = {one.kind for setting in group for one in setting.exposures}
        for kind in sorted(kinds):
            if kind[1] == "masks":  # not to be drawn on an axis of SSIM
                continue
            met = [(setting, _exposure_of(setting, kind)) for setting in group]
            titles.append((f"{levels(cut, skips)} · seed {seed}", kind))
            rows.append(tuple(_row(setting, exposure) for setting, exposure in met))
            floors.append(_floors([exposure for _, exposure in met if exposure]))
    points = [
        [point for row in of_panel if (point := _point(row, shapes)) is not None]
        for of_panel in rows
    ]
    drawn = panels(list(zip(points, floors, strict=True)))
    told_apart = any(kind[0] not in ("", "inference") for _, kind in titles)
    return tuple(
        TradeoffView(
            anchor=f"tradeoff-{number}",
            title=f"{title} · {kind_words(*kind)}" if told_apart and kind[0] else title,
            description=_description(rows[number]),
            panel=drawn[number] if points[number] else None,
            rows=rows[number],
        )
        for number, (title, kind) in enumerate(titles)
    )


def _exposure_of(setting: SettingView, kind: tuple[str, str, str]) -> ExposureView | None:
    return next((one for one in setting.exposures if one.kind == kind), None)


def _description(rows: tuple[TradeoffRow, ...]) -> str:
    return "; ".join(
        f"{row.name}, {row.details}: Dice {figure(row.dice.mean)}, SSIM {figure(row.ssim.mean)}"
        f"{', on the Pareto front' if row.pareto else ''}"
        for row in rows
        if row.dice is not None and row.ssim is not None
    ).replace(", : ", ": ")


def _row(setting: SettingView, exposure: ExposureView | None) -> TradeoffRow:
    worst = exposure.case if exposure else None
    cell = exposure.cell if exposure else None
    leakage = cell.leakage if cell else None
    dice = setting.dice
    missing = ""
    if leakage is None:
        missing = "no attack gave a valid figure"
    elif dice is None:
        missing = f"Dice: {setting.missing}"
    return TradeoffRow(
        defense=setting.defense,
        name=setting.name,
        details=setting.parameters,
        link=cell.anchor if cell else setting.anchor,
        attack=cell.name if cell else "",
        dice=dice,
        ssim=leakage.ssim_brain if leakage else None,
        blind_floor=leakage.blind_floor if leakage else None,
        outline_floor=leakage.outline_floor if leakage else None,
        pareto=bool(worst and worst.pareto and not missing),
        missing=missing,
    )


def _point(row: TradeoffRow, shapes: dict[str, int]) -> Point | None:
    if row.dice is None or row.ssim is None:
        return None
    return Point(
        label=tuple(part for part in (row.name, row.details) if part),
        dice=row.dice,
        ssim=row.ssim,
        shape=-1 if undefended(row.defense) else shapes[row.defense],
        pareto=row.pareto,
    )


def _floors(exposures: list[ExposureView]) -> list[Floor]:
    """The distinct floors of the worst cells."""
    floors: dict[tuple[str, str], float] = {}
    for exposure in exposures:
        if exposure.cell is None or exposure.cell.leakage is None:
            continue
        leakage = exposure.cell.leakage
        for kind, value in (
            ("blind", leakage.blind_floor),
            ("outline", leakage.outline_floor),
        ):
            floors.setdefault((kind, f"{kind.capitalize()} floor {figure(value)}"), value)
    return [Floor(kind, label, value) for (kind, label), value in floors.items()]
