"""The trade-off between Dice and SSIM: one panel per cut level, and the same numbers as rows."""

from __future__ import annotations

from dataclasses import dataclass

from leakaudit.records import Interval
from leakaudit.report.figures import Floor, Panel, Point, panels
from leakaudit.report.formatting import figure, levels, undefended
from leakaudit.report.views import MatrixView, SettingView


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
    """One panel per cut level and seed; every defence keeps one marker shape throughout."""
    settings = [setting for matrix in matrices for setting in matrix.settings]
    defenses = dict.fromkeys(one.defense for one in settings if not undefended(one.defense))
    shapes = {defense: number for number, defense in enumerate(defenses)}
    grouped: dict[tuple[int, tuple[int, ...], int], list[SettingView]] = {}
    for setting in settings:
        grouped.setdefault((setting.cut_level, setting.shared_skips, setting.seed), []).append(
            setting
        )
    rows, points = [], []
    for group in grouped.values():
        rows.append(tuple(_row(one) for one in group))
        points.append([point for row in rows[-1] if (point := _point(row, shapes)) is not None])
    floors = [_floors(group) for group in grouped.values()]
    drawn = panels(list(zip(points, floors, strict=True)))
    return tuple(
        TradeoffView(
            anchor=f"tradeoff-{number}",
            title=f"{levels(cut, skips)} · seed {seed}",
            description=_description(rows[number]),
            panel=drawn[number] if points[number] else None,
            rows=rows[number],
        )
        for number, (cut, skips, seed) in enumerate(grouped)
    )


def _description(rows: tuple[TradeoffRow, ...]) -> str:
    return "; ".join(
        f"{row.name}, {row.details}: Dice {figure(row.dice.mean)}, SSIM {figure(row.ssim.mean)}"
        f"{', on the Pareto front' if row.pareto else ''}"
        for row in rows
        if row.dice is not None and row.ssim is not None
    ).replace(", : ", ": ")


def _row(setting: SettingView) -> TradeoffRow:
    worst = setting.worst
    cell = setting.worst_cell
    leakage = cell.leakage if cell else None
    dice = worst.dice if worst else None
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


def _floors(settings: list[SettingView]) -> list[Floor]:
    """The distinct floors of the worst cells, named by their victims where these differ."""
    cells = [one.worst_cell for one in settings if one.worst_cell]
    several = len({cell.record.victims for cell in cells}) > 1
    floors: dict[tuple[str, str], float] = {}
    for cell in cells:
        if cell.leakage is None:
            continue
        suffix = f", {cell.record.victims}" if several else ""
        for kind, value in (
            ("blind", cell.leakage.blind_floor),
            ("outline", cell.leakage.outline_floor),
        ):
            floors.setdefault((kind, f"{kind.capitalize()} floor {figure(value)}{suffix}"), value)
    return [Floor(kind, label, value) for (kind, label), value in floors.items()]
