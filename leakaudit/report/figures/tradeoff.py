"""The trade-off between Dice and SSIM: one panel per cut level, and the same numbers as rows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from leakaudit.records import Interval
from leakaudit.report.figures.markers import SHAPES
from leakaudit.report.figures.scales import COMPACT, FACET, NARROW, WIDE
from leakaudit.report.figures.tradeoff_panel import Axes, Floor, Panel, Point, axes, panel
from leakaudit.report.text.formatting import figure, listed
from leakaudit.report.text.pointers import strip_marks
from leakaudit.report.text.protections import Protection, in_lines, in_words, protections
from leakaudit.report.text.words import kind_words
from leakaudit.report.views.settings import ExposureView, MatrixView, SettingView
from leakaudit.report.views.sweeps import Sweep, sweeps

_MOST_NAMED = 12


@dataclass(frozen=True)
class TradeoffRow:
    """The numbers behind one point; ``missing`` says why it is not drawn, empty if it is."""

    target: str
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
class FacetView:
    """One sweep before the background of all settings of its panel."""

    anchor: str
    sweep: Sweep
    panel: Panel
    description: str


@dataclass(frozen=True)
class TradeoffView:
    """One panel with its table.

    Args:
        anchor: its identifier.
        title: where the settings are cut, and whose images are meant.
        description: the figure in words.
        wide: the plot; None if there is nothing to draw.
        narrow: the same for a narrow screen.
        compact: the same for the first screen: the undefended system, the front and the advised
            setting are named.
        facets: a small plot for every sweep, where all settings in one plot would be too many.
        rows: the numbers.
    """

    anchor: str
    title: str
    description: str
    wide: Panel | None
    narrow: Panel | None
    compact: Panel | None
    facets: tuple[FacetView, ...]
    rows: tuple[TradeoffRow, ...]


def tradeoffs(
    matrices: tuple[MatrixView, ...], advised: Collection[str] = ()
) -> tuple[TradeoffView, ...]:
    """One panel per cut level, kind of victims and kind of images recovered.

    A setting under several seeds is one mark: the mean over seeds, with their range in place of an
    interval. Figures of different kinds never stand together. What does not cross the cut, skips
    withheld or channels narrowed, is a defense beside the others.

    Every defense keeps one marker shape throughout; several together have that of the first. Where
    settings are too many to be named in one plot, it names the Pareto front and the undefended
    system, and every sweep has a small plot of its own.

    Args:
        matrices: the settings.
        advised: keys of the trainings of the setting that a reader is pointed to, always named.
    """
    settings = [setting for matrix in matrices for setting in matrix.settings]
    names = dict.fromkeys(parts[0].name for one in settings if (parts := _parts(one)))
    shapes = {name: number for number, name in enumerate(names)}
    grouped: dict[int, list[SettingView]] = {}
    for setting in settings:
        grouped.setdefault(setting.cut_level, []).append(setting)
    titles, rows, floors = [], [], []
    for cut, group in grouped.items():
        seeds = sorted({one.seed for one in group})
        sown = f"{'seed' if len(seeds) == 1 else 'seeds'} {listed(tuple(map(str, seeds)))}"
        kinds = {one.kind for setting in group for one in setting.exposures}
        for kind in sorted(kinds):
            if kind[1] in ("masks", "identities"):  # not to be drawn on an axis of SSIM
                continue
            met = [(setting, _exposure_of(setting, kind)) for setting in group]
            titles.append((f"Cut level {cut} · {sown}", kind))
            rows.append(tuple(_row(*one, len(seeds) > 1) for one in met))
            floors.append(_floors([exposure for _, exposure in met if exposure]))
    drawn = [_drawn(of_panel, shapes, advised) for of_panel in rows]
    shared = axes(
        [point for points, _ in drawn for point in points], [one for some in floors for one in some]
    )
    told_apart = any(kind[0] not in ("", "inference") for _, kind in titles)
    return tuple(
        _view(
            f"tradeoff-{number}",
            f"{title} · {kind_words(*kind)}" if told_apart and kind[0] else title,
            rows[number],
            *drawn[number],
            floors[number],
            shared,
            len(shapes) > len(SHAPES),
        )
        for number, (title, kind) in enumerate(titles)
    )


def _view(
    anchor: str,
    title: str,
    rows: tuple[TradeoffRow, ...],
    points: Sequence[Point],
    found: Sequence[Sweep],
    floors: Sequence[Floor],
    shared: Axes,
    out_of_shapes: bool,
) -> TradeoffView:
    if not points:
        return TradeoffView(anchor, title, "", None, None, None, (), rows)
    facets: tuple[FacetView, ...] = ()
    shown = points
    if out_of_shapes or len(points) > _MOST_NAMED:
        facets = tuple(
            _facet(f"{anchor}-{number}", sweep, points, floors, shared)
            for number, sweep in enumerate(found)
        )
        shown = [replace(one, shape=min(one.shape, 0), sweep="") for one in _background(points)]
    return TradeoffView(
        anchor,
        title,
        _description([point for point in shown if not point.dot], len(points)),
        panel(shown, floors, shared, WIDE),
        panel(shown, floors, shared, NARROW),
        panel(_background(shown), [one for one in floors if one.kind == "blind"], shared, COMPACT),
        facets,
        rows,
    )


def _background(points: Sequence[Point]) -> list[Point]:
    """The points; the undefended system, the front and the advised setting alone stand out."""
    return [
        one if one.pareto or one.advised or one.shape < 0 else replace(one, dot=True)
        for one in points
    ]


def _facet(
    anchor: str, sweep: Sweep, points: Sequence[Point], floors: Sequence[Floor], shared: Axes
) -> FacetView:
    labels = dict(zip(sweep.members, sweep.labels, strict=True))
    shown = [
        replace(point, shape=0, label=tuple(filter(None, [labels[number]])))
        if number in labels
        else replace(point, label=(), dot=point.shape >= 0)
        for number, point in enumerate(points)
    ]
    unnamed = [replace(floor, label="") for floor in floors]
    members = [points[number] for number in sweep.members]
    drawn = panel(shown, unnamed, shared, FACET)
    return FacetView(anchor, sweep, drawn, _description(members, len(members)))


def _parts(setting: SettingView) -> tuple[Protection, ...]:
    return protections(setting.defense, setting.cut_level, setting.shared_skips, setting.bottleneck)


def _exposure_of(setting: SettingView, kind: tuple[str, str, str]) -> ExposureView | None:
    return next((one for one in setting.exposures if one.kind == kind), None)


def _description(named: Sequence[Point], count: int) -> str:
    """The points with a name, one by one; how many there are, if there are more."""
    words = [
        f"{point.name}: Dice {figure(point.dice.mean)}, SSIM {figure(point.ssim.mean)}"
        f"{', on the Pareto front' if point.pareto else ''}"
        for point in named
    ]
    if len(named) < count:
        words.insert(0, f"{count} settings; named are")
    return strip_marks("; ".join(words))


def _row(setting: SettingView, exposure: ExposureView | None, sown: bool) -> TradeoffRow:
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
    details = ", ".join(filter(None, [details, f"seed {setting.seed}" if sown else ""]))
    return TradeoffRow(
        target=setting.target.target if setting.target else "",
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


def _drawn(
    rows: tuple[TradeoffRow, ...], shapes: dict[str, int], advised: Collection[str]
) -> tuple[list[Point], tuple[Sweep, ...]]:
    """The rows that can be drawn, and which of them are strengths of one defense."""
    alike: dict[tuple[Protection, ...], list[TradeoffRow]] = {}
    for row in rows:
        if row.dice and row.ssim:
            alike.setdefault(row.parts, []).append(row)
    drawn = [
        (
            replace(some[0], pareto=all(one.pareto for one in some)),
            _spread([one.dice for one in some if one.dice]),
            _spread([one.ssim for one in some if one.ssim]),
        )
        for some in alike.values()
    ]
    found = sweeps([row.parts for row, _, _ in drawn])
    places = {
        member: (f"{number}", rank)
        for number, sweep in enumerate(found)
        for rank, member in enumerate(sweep.members)
    }
    points = [
        Point(
            name=", ".join(in_lines(row.parts)).replace(", + ", " + "),
            label=in_lines(row.parts),
            dice=dice,
            ssim=ssim,
            shape=shapes[row.parts[0].name] if row.parts else -1,
            pareto=row.pareto,
            advised=row.target in advised,
            sweep=places.get(number, ("", 0))[0],
            rank=places.get(number, ("", 0))[1],
        )
        for number, (row, dice, ssim) in enumerate(drawn)
    ]
    return points, found


def _spread(values: Sequence[Interval]) -> Interval:
    """The one interval; of several seeds the mean of their means, with the range of these."""
    if len(values) == 1:
        return values[0]
    means = [one.mean for one in values]
    mean = sum(means) / len(means)
    return Interval(mean=mean, low=min(means), high=max(means), n=values[0].n, method="seeds")


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
            label = strip_marks(f"{kind.capitalize()} floor {figure(value)}")
            floors.setdefault((kind, label), value)
    return [Floor(kind, label, value) for (kind, label), value in floors.items()]
