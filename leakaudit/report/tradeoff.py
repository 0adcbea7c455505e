"""The trade-off between Dice and SSIM: one panel per cut level, and the same numbers as rows."""

from __future__ import annotations

from dataclasses import dataclass

from leakaudit.records import Interval
from leakaudit.report.figures import Floor, Panel, Point, panels
from leakaudit.report.formatting import figure
from leakaudit.report.pointers import plain
from leakaudit.report.protections import Protection, in_lines, in_words, protections, ranks
from leakaudit.report.views import ExposureView, MatrixView, SettingView
from leakaudit.report.words import kind_words


@dataclass(frozen=True)
class TradeoffRow:
    """The numbers behind one point; ``missing`` says why it is not drawn, empty if it is."""

    parts: tuple[Protection, ...]
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

    Figures of different kinds never stand together. What does not cross the cut, skips withheld
    or channels narrowed, is a defence beside the others.

    Every defence keeps one marker shape throughout; several together have that of the first.
    """
    settings = [setting for matrix in matrices for setting in matrix.settings]
    names = dict.fromkeys(parts[0].name for one in settings if (parts := _parts(one)))
    shapes = {name: number for number, name in enumerate(names)}
    grouped: dict[tuple[int, int], list[SettingView]] = {}
    for setting in settings:
        grouped.setdefault((setting.cut_level, setting.seed), []).append(setting)
    titles, rows, floors = [], [], []
    for (cut, seed), group in grouped.items():
        kinds = {one.kind for setting in group for one in setting.exposures}
        for kind in sorted(kinds):
            if kind[1] == "masks":  # not to be drawn on an axis of SSIM
                continue
            met = [(setting, _exposure_of(setting, kind)) for setting in group]
            titles.append((f"Cut level {cut} · seed {seed}", kind))
            rows.append(tuple(_row(setting, exposure) for setting, exposure in met))
            floors.append(_floors([exposure for _, exposure in met if exposure]))
    points = [_points(of_panel, shapes) for of_panel in rows]
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


def _parts(setting: SettingView) -> tuple[Protection, ...]:
    return protections(setting.defense, setting.cut_level, setting.shared_skips, setting.bottleneck)


def _exposure_of(setting: SettingView, kind: tuple[str, str, str]) -> ExposureView | None:
    return next((one for one in setting.exposures if one.kind == kind), None)


def _description(rows: tuple[TradeoffRow, ...]) -> str:
    return plain(
        "; ".join(
            f"{row.name}, {row.details}: Dice {figure(row.dice.mean)}, SSIM {figure(row.ssim.mean)}"
            f"{', on the Pareto front' if row.pareto else ''}"
            for row in rows
            if row.dice is not None and row.ssim is not None
        )
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
    parts = _parts(setting)
    name, details = in_words(parts)
    return TradeoffRow(
        parts=parts,
        name=name,
        details=details,
        link=cell.anchor if cell else setting.anchor,
        attack=cell.name if cell else "",
        dice=dice,
        ssim=leakage.ssim_brain if leakage else None,
        blind_floor=leakage.blind_floor if leakage else None,
        outline_floor=leakage.outline_floor if leakage else None,
        pareto=bool(worst and worst.pareto and not missing),
        missing=missing,
    )


def _points(rows: tuple[TradeoffRow, ...], shapes: dict[str, int]) -> list[Point]:
    """The rows that can be drawn, strengths of one defence that lie on a line named alike."""
    drawn = [(row, row.dice, row.ssim) for row in rows if row.dice and row.ssim]
    places: dict[int, tuple[str, float]] = {}
    for name, numbers in _alike([row.parts for row, _, _ in drawn]).items():
        found = ranks([drawn[number][0].parts[0] for number in numbers]) or ()
        places |= {number: (name, rank) for number, rank in zip(numbers, found, strict=False)}
    return [
        Point(
            label=in_lines(row.parts),
            dice=dice,
            ssim=ssim,
            shape=shapes[row.parts[0].name] if row.parts else -1,
            pareto=row.pareto,
            sweep=places.get(number, ("", 0.0))[0],
            rank=places.get(number, ("", 0.0))[1],
        )
        for number, (row, dice, ssim) in enumerate(drawn)
    ]


def _alike(settings: list[tuple[Protection, ...]]) -> dict[str, list[int]]:
    """Positions of the settings that differ in the strength of their first defence alone."""
    groups: dict[str, list[int]] = {}
    for number, (first, *others) in ((n, parts) for n, parts in enumerate(settings) if parts):
        groups.setdefault("; ".join([first.name, *(one.label for one in others)]), []).append(
            number
        )
    return groups


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
            label = plain(f"{kind.capitalize()} floor {figure(value)}")
            floors.setdefault((kind, label), value)
    return [Floor(kind, label, value) for (kind, label), value in floors.items()]
