"""The first screen: what five questions of a reader are answered with, before any detail."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from leakaudit.measure.metrics import limits
from leakaudit.records import CellRecord, Leakage, ReportRecord, WorstCase
from leakaudit.records.verdict import N_MIN
from leakaudit.report.figures.tradeoff import TradeoffView
from leakaudit.report.pictures.similarity import Example, example
from leakaudit.report.text.formatting import (
    best_guess,
    figure,
    guess_name,
    matched,
    patients_words,
    percent,
)
from leakaudit.report.text.pointers import count
from leakaudit.report.text.validity import valid_figures, valid_leakage, valid_masks, valid_matching
from leakaudit.report.text.verdicts import VerdictView
from leakaudit.report.text.words import attacker, kind_words
from leakaudit.report.views.choices import Choice
from leakaudit.report.views.coverage import kinds
from leakaudit.report.views.told_apart import told_apart_sentence

SHOWN = (0.4, 0.6, 0.8, 0.95)
_MOST_WHO = 3


@dataclass(frozen=True)
class Tile:
    """A simulated patient at one SSIM.

    Args:
        name: what the figure is in this audit; empty for one on the scale.
        example: the picture with its measured SSIM.
        marked: whether it is this audit's own figure.
    """

    name: str
    example: Example
    marked: bool


@dataclass(frozen=True)
class Unknown:
    """A question that the audit leaves open, and the section that says more."""

    words: str
    section: str
    grave: bool = False


@dataclass(frozen=True)
class Answers:
    """Answers in plain words.

    Args:
        few: that so few patients show nothing; empty if they are enough.
        who: who could see what, strongest first.
        figure: Dice against SSIM where most of what is judged stands; None if nothing is drawn.
        tiles: how alike images of an SSIM look.
        choice: what to do next.
        unknown: what is left open.
    """

    few: str
    who: tuple[str, ...]
    figure: TradeoffView | None
    tiles: tuple[Tile, ...]
    choice: Choice
    unknown: tuple[Unknown, ...]


def answers(
    record: ReportRecord,
    judged: VerdictView | None,
    figures: Sequence[TradeoffView],
    advice: Choice,
) -> Answers:
    """Answer the first screen's five questions; a policy limits them to proposed settings.

    Args:
        record: the run.
        judged: its verdict in words; None without a policy.
        figures: Dice against SSIM, by cut level and kind of victims.
        advice: what to do next.
    """
    about = set(judged.outcomes) if judged and judged.outcomes else None
    top = _strongest(record, about)
    images = next((found for cell, _ in top if (found := valid_leakage(cell))), None)
    return Answers(
        few=_few(record, top),
        who=tuple(_who(record, cell, case) for cell, case in top[:_MOST_WHO]),
        figure=_figure(figures, about or (), advice.targets),
        tiles=_tiles(images),
        choice=advice,
        unknown=_unknown(record, about),
    )


def _strongest(
    record: ReportRecord, about: Collection[str] | None
) -> list[tuple[CellRecord, WorstCase]]:
    """The strongest attack of each kind of victims and of what is recovered, images first."""
    cells = {cell.cell: cell for cell in record.cells}
    best: dict[tuple[str, str], tuple[CellRecord, WorstCase]] = {}
    for case in record.worst:
        cell = cells.get(case.worst or "")
        if cell is None or valid_figures(cell) is None:
            continue
        if about is not None and case.target not in about:
            continue
        kind = (case.victims, case.recovers)
        if kind not in best or _score(cell) > _score(best[kind][0]):
            best[kind] = (cell, case)
    return sorted(best.values(), key=lambda one: (one[1].recovers != "images", -_score(one[0])))


def _score(cell: CellRecord) -> float:
    figures = valid_figures(cell)
    return figures.score.mean if figures is not None else -1.0


def _few(record: ReportRecord, top: Sequence[tuple[CellRecord, WorstCase]]) -> str:
    """That a figure rests on fewer patients than count; empty if none does."""
    asked = [one.n_min for one in record.verdict.policy.thresholds] if record.verdict else []
    least = max(asked, default=N_MIN)
    tried = [count(each.patients) for cell, _ in top if (each := valid_figures(cell))]
    if not tried or min(tried) >= least:
        return ""
    fewest = min(tried)
    shows = "shows" if fewest == 1 else "show"
    return f"{patients_words(fewest)} {shows} nothing: a figure needs at least {figure(least)}."


def _who(record: ReportRecord, cell: CellRecord, case: WorstCase) -> str:
    threat = next((one for one in record.threats if one.name == cell.threat), None)
    party = attacker(cell, threat)
    whom = kind_words(case.victims, case.recovers, case.site)
    start = f"{party[:1].upper()}{party[1:]}"
    if (leakage := valid_leakage(cell)) is not None:
        what = whom if cell.recovers == "other-site images" else f"images of {whom}"
        told = f"{start} could rebuild {what}: SSIM {figure(leakage.ssim_brain.mean)}"
        if cell.recovers != "images":
            return f"{told}."
        found = leakage.reidentification
        return (
            f"{told}. The picture picked out the right patient in {percent(found.top1)} of cases, "
            f"{guess_name(found)} in {percent(best_guess(found))}."
        )
    if (masks := valid_masks(cell)) is not None:
        return f"{start} could recover {whom}: Dice {figure(masks.dice.mean)}."
    who = valid_matching(cell)
    return f"{start} could tell {whom}: {matched(who)}." if who is not None else ""


def _figure(
    figures: Sequence[TradeoffView], about: Collection[str], advised: Collection[str]
) -> TradeoffView | None:
    drawn = [one for one in figures if one.compact]
    return max(
        drawn,
        key=lambda one: (
            any(row.target in advised for row in one.rows),
            sum(row.target in about for row in one.rows),
        ),
        default=None,
    )


def _tiles(leakage: Leakage | None) -> tuple[Tile, ...]:
    scale = tuple(Tile("", example(ssim), marked=False) for ssim in SHOWN)
    original = Tile("The original", example(1.0), marked=False)
    if leakage is None:
        return (*scale, original)
    floor = Tile("Blind floor", example(float(leakage.blind_floor)), marked=True)
    worst = Tile("Worst here", example(float(leakage.ssim_brain.mean)), marked=True)
    return (floor, *scale, worst, original)


def _unknown(record: ReportRecord, about: Collection[str] | None) -> tuple[Unknown, ...]:
    """List the cautions that a reader must know before trusting a figure, the gravest first."""
    found: list[Unknown] = []
    if record.data.simulated:
        words = "The patients are simulated: the figures say nothing about real patients."
        found.append(Unknown(words, "scope", grave=True))
    for one in record.data.cautions:
        if one.grave:
            found.append(Unknown(f"Grave caution about the data: {one.words}", "cautions", True))
    told = told_apart_sentence(record)
    found += [Unknown(told, "identity")] if told else []
    targets = [one for one in record.targets if about is None or one.target in about]
    if useless := [one for one in targets if one.is_useless]:
        subject = "One network" if len(useless) == 1 else f"{len(useless)} networks"
        found.append(Unknown(f"{subject} learned nothing. Such privacy is worthless.", "matrix"))
    missing = record.counts.without_figure
    if missing:
        found.append(
            Unknown(
                f"{figure(missing)} of {figure(record.counts.planned)} planned attacks gave no "
                "valid figure. The true worst case may be higher.",
                "limits",
            )
        )
    untested = [one for one in kinds(record) if not one.attacks]
    if untested:
        found.append(Unknown(f"{len(untested)} kinds of attack have no figure at all.", "coverage"))
    if record.verdict is not None:
        limited = {one.measure for one in record.verdict.policy.thresholds}
        share = f"{len(limited)} of {len(limits())} measures"
        words = f"The policy limits {share}. A PASS is about these alone."
        found.append(Unknown(words, "policy"))
    minor = [one for one in record.data.cautions if not one.grave]
    if minor:
        words = f"{len(minor)} more cautions about the data are open."
        found.append(Unknown(words, "cautions"))
    return tuple(found)
