"""The first screen: what five questions of a reader are answered with, before any detail."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from leakaudit.measure.metrics import limits
from leakaudit.records import (
    CellRecord,
    Interval,
    Leakage,
    Reidentification,
    ReportRecord,
    Verdict,
    WorstCase,
)
from leakaudit.records.verdict import N_MIN
from leakaudit.report.figures.tradeoff import TradeoffView
from leakaudit.report.pictures.similarity import Example, example
from leakaudit.report.text.formatting import (
    best_guess,
    figure,
    listed,
    matched,
    patients_words,
    percent,
)
from leakaudit.report.text.pointers import count
from leakaudit.report.text.unlimited import highest
from leakaudit.report.text.validity import (
    beyond_a_guess,
    doubt,
    most_picked_out,
    valid_figures,
    valid_leakage,
    valid_masks,
    valid_matching,
)
from leakaudit.report.text.verdicts import VerdictView
from leakaudit.report.text.words import kind_words, party
from leakaudit.report.views.choices import Choice, placed_name
from leakaudit.report.views.coverage import kinds
from leakaudit.report.views.told_apart import told_apart_sentence

SHOWN = (0.4, 0.6, 0.8, 0.95)
_MOST_WHO = 3
# The measures that tell patients from each other.
_TELLS = ("reidentification", "matched")


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
class Seen:
    """Who could see what.

    Args:
        setting: under which setting; empty for that of the sentence before, or for all that is
            proposed.
        words: the sentence.
    """

    setting: str
    words: str


@dataclass(frozen=True)
class Answers:
    """Answers in plain words.

    Args:
        few: that so few patients show nothing; empty if they are enough.
        free: how many patients are told apart, where the policy does not limit it; else empty.
        achieved: without a policy how well the best setting did; else empty.
        who: who could see what, strongest first.
        figure: Dice against SSIM where most of what is judged stands; None if nothing is drawn.
        mark: by which the figure's key numbers the advised setting, 0 if it does not.
        tiles: how alike images of an SSIM look, the least alike first.
        named: that a blurred picture can still name its patient; empty if none did.
        choice: what to do next.
        unknown: what is left open.
    """

    few: str
    free: str
    achieved: str
    who: tuple[Seen, ...]
    figure: TradeoffView | None
    mark: int
    tiles: tuple[Tile, ...]
    named: str
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
    shown = _figure(figures, about or (), advice.targets)
    return Answers(
        few=_few(record, top),
        free=_free(record, judged.verdict) if judged else "",
        achieved=_achieved(record, advice),
        who=_all_seen(record, top, about is not None),
        figure=shown,
        mark=_mark(shown),
        tiles=_tiles(images, [leakage for _, leakage in _images(record, about)]),
        named=_named(record, top),
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


def _all_seen(
    record: ReportRecord, top: Sequence[tuple[CellRecord, WorstCase]], proposed: bool
) -> tuple[Seen, ...]:
    """The strongest attacks; settings that nobody proposed are named."""
    found: list[Seen] = []
    many_cuts = len({one.cut_level for one in record.targets if not one.control_only}) > 1
    names = {one.target: "" if proposed else placed_name(one, many_cuts) for one in record.targets}
    setting = ""
    met: set[str] = set()
    for cell, case in top[:_MOST_WHO]:
        name = names[case.target]
        start = party(cell, next((one for one in record.threats if one.name == cell.threat), None))
        words = _seen(record, cell, case)
        found.append(
            Seen(
                "" if name == setting else name,
                f"{start.split(',')[0] if start in met else start} {words}",
            )
        )
        setting = name
        met.add(start)
    return tuple(found)


def _seen(record: ReportRecord, cell: CellRecord, case: WorstCase) -> str:
    whose = "training patients" if case.victims == "training" else "new patients"
    if (leakage := valid_leakage(cell)) is not None:
        alone = cell.recovers == "images"
        what = f"images of {whose}" if alone else kind_words(case.victims, case.recovers, case.site)
        verb, beside = _verb(leakage.advantage)
        told = f"{verb} rebuild {what}: mean SSIM {figure(leakage.ssim_brain.mean)}{beside}."
        if not alone:
            return told
        own, most = leakage.reidentification, _most_picked_out(record, [case])
        told = f"{told} {_picked_out(own, 'It')}"
        if most is None or beyond_a_guess(most) <= beyond_a_guess(own):
            return told
        return f"{told} Another attack picked out {percent(most.top1)}."
    if (masks := valid_masks(cell)) is not None:
        verb, beside = _verb(masks.advantage)
        return f"{verb} recover tumour masks of {whose}: Dice {figure(masks.dice.mean)}{beside}."
    if (who := valid_matching(cell)) is None:
        return ""
    verb = "could" if who.singles_out else "tried to"
    return f"{verb} tell who is who among {whose}: {matched(who)}."


def _verb(advantage: Interval) -> tuple[str, str]:
    """Whether an attack could or only tried, and the doubt; few patients show neither."""
    why = doubt(advantage)
    shown_not_to = why and advantage.n >= N_MIN
    return ("tried to" if shown_not_to else "could"), f", {why}" if why else ""


def _achieved(record: ReportRecord, advice: Choice) -> str:
    """Without a policy: how well the best setting did, and whom its pictures still picked out."""
    cases = [case for _, case in _strongest(record, advice.targets) if case.recovers == "images"]
    most = _most_picked_out(record, cases)
    if not advice.achieved or most is None:
        return advice.achieved
    return f"{advice.achieved} {_picked_out(most, 'Pictures')}"


def _picked_out(found: Reidentification, whose: str) -> str:
    """The share of patients that pictures picked out, beside a guess.

    Where it is not shown to beat the guess, the interval says how much it may be all the same.
    """
    guess = best_guess(found)
    may_be = "" if found.low > guess else f" (or up to {percent(found.high)})"
    return (
        f"{whose} picked out {percent(found.top1)} of {patients_words(found.n)}{may_be}, "
        f"a guess {percent(guess)}."
    )


def _most_picked_out(record: ReportRecord, cases: Sequence[WorstCase]) -> Reidentification | None:
    """The share that is furthest beyond a guess, of all attacks on images of the same victims."""
    kinds = {(one.target, one.victims) for one in cases if one.recovers == "images"}
    found = most_picked_out([one for one in record.cells if (one.target, one.victims) in kinds])
    leakage = valid_leakage(found)
    return leakage.reidentification if leakage is not None else None


def _images(
    record: ReportRecord, targets: Collection[str] | None
) -> Iterator[tuple[CellRecord, Leakage]]:
    """The attacks on images with a valid figure; of these settings, if any are named."""
    for cell in record.cells:
        asked = targets is None or cell.target in targets
        if asked and cell.recovers == "images" and not cell.control_only:
            leakage = valid_leakage(cell)
            if leakage is not None:
                yield cell, leakage


def _named(record: ReportRecord, top: Sequence[tuple[CellRecord, WorstCase]]) -> str:
    found = _most_picked_out(record, [case for _, case in top])
    if found is None or found.low <= best_guess(found):
        return ""
    return "A blur does not hide who it is: see above how many were picked out."


def _mark(view: TradeoffView | None) -> int:
    points = view.compact.points if view is not None and view.compact is not None else ()
    return next((one.number for one in points if one.point.advised), 0)


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


def _tiles(leakage: Leakage | None, every: Sequence[Leakage]) -> tuple[Tile, ...]:
    scale = [Tile("", example(ssim), marked=False) for ssim in SHOWN]
    own = []
    if leakage is not None:
        own = [Tile("Blind guess", example(float(leakage.blind_floor)), marked=True)]
        own.append(Tile("Mean here", example(float(leakage.ssim_brain.mean)), marked=True))
        patients = [one.ssim_brain for each in every for one in each.patients]
        if patients:
            own.append(Tile("Worst patient", example(float(max(patients))), marked=True))
    shown = {figure(one.example.ssim) for one in own}
    rest = (one for one in scale if figure(one.example.ssim) not in shown)
    ordered = sorted((*rest, *own), key=lambda one: one.example.ssim)
    return (*ordered, Tile("Original", example(1.0), marked=False))


def _unknown(record: ReportRecord, about: Collection[str] | None) -> tuple[Unknown, ...]:
    """List the cautions that a reader must know before trusting a figure, the gravest first."""
    found: list[Unknown] = []
    if record.verdict is not None:
        limited = {one.measure for one in record.verdict.policy.thresholds}
        share = f"{len(limited)} of {len(limits())} measures"
        words = f"The policy limits {share}; a verdict is about these alone."
        found.append(Unknown(words, "policy"))
    if record.data.simulated:
        words = "Simulated: the figures say nothing about real patients."
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
        planned = figure(record.counts.planned)
        share = f"{figure(missing)} of {planned} planned attacks"
        words = f"{share} gave no valid figure: the worst may be worse."
        found.append(Unknown(words, "limits"))
    untested = [one for one in kinds(record) if not one.attacks]
    if untested:
        words = f"{len(untested)} kinds of attack were not tried, or gave no figure."
        found.append(Unknown(words, "coverage"))
    minor = [one for one in record.data.cautions if not one.grave]
    if minor:
        words = f"{len(minor)} more cautions about the data are open."
        found.append(Unknown(words, "cautions"))
    return tuple(found)


def _free(record: ReportRecord, verdict: Verdict) -> str:
    """How many patients are told from each other, where the policy does not limit that."""
    names = limits()
    limited = {one.measure for one in verdict.policy.thresholds}
    free = [one for one in _TELLS if one not in limited]
    found = [f"{names[one]}: {it.text}" for one in free if (it := highest(record, verdict, one))]
    if found:
        return f"The policy does not limit the {listed(found)}."
    return "" if limited & set(_TELLS) else "Who can be picked out is neither limited nor measured."
