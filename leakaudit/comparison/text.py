"""A comparison as text for a terminal: lines of at most 80 characters, every name in them inert."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from leakaudit.comparison.caveats import caveat_sentences
from leakaudit.comparison.matching import NO_COUNTERPART
from leakaudit.comparison.records import (
    SHARED,
    CellRow,
    Change,
    Comparison,
    Delta,
    Outcome,
    Pair,
    SettingRow,
    Unmatched,
    UnmatchedCell,
    UnmatchedSetting,
)
from leakaudit.comparison.words import (
    HEADER,
    TAGS,
    attacked,
    changed_words,
    counted,
    figures_row,
    identified,
    named,
    place_of,
    score_words,
    shares_row,
)
from leakaudit.visible import made_visible

WIDTH = 80
_MOST_NAMED = 3
_OUTCOMES = {
    Outcome.WORSE: "shown to be worse",
    Outcome.BETTER: "shown to be better",
    Outcome.NOT_SHOWN: "no difference shown",
    Outcome.EQUAL: "equal",
    Outcome.NO_INTERVAL: "figures without an interval",
    Outcome.LOST: "a figure in A, none in B",
    Outcome.GAINED: "none in A, a figure in B",
    Outcome.STATE_CHANGED: "no figure, another state",
    Outcome.NO_FIGURE: "no figure in either",
}
_SILENT = {Outcome.EQUAL, Outcome.NO_FIGURE}
_APPROXIMATE = (
    "~ Matched approximately: what changed stands above, and may be what a difference comes from. "
    "An attack that tried less recovers less, which makes no defense better and is not counted so."
)
_LEGEND = (
    "SSIM is taken inside the brain. Each interval is at 95 % and, of a difference, over the same "
    "patients on both sides; one that contains 0 does not show a difference ('not shown').",
    "An interval says how much a difference varies over patients. It does not say how much another "
    "training would change it: several seeds do.",
    "Where nothing changed, about 1 in 20 such intervals excludes 0 all the same: a single one "
    "among many is a reason to look again.",
    "Picked out: the share of victims who were found by what was rebuilt, with its own interval. A "
    "report does not hold which, so there is none of the difference; it counts as higher or lower "
    "if the two intervals do not overlap.",
)
_ALONE = (
    "What stands only in A or only in B is not paired, so there is no difference of it. Of each "
    "setting the attack with the highest advantage is named; report.json has the others."
)


class Line(NamedTuple):
    """A line before it is broken.

    Args:
        text: may hold names from a report.
        indent: blanks before it.
        hang: how much further in stands what follows a break.
        mark: stands before the text.
        tag: stands at the right end of the first line.
    """

    text: str = ""
    indent: int = 0
    hang: int = 2
    mark: str = ""
    tag: str = ""

    def broken(self) -> list[str]:
        """The lines that fit, with every character of the text visible."""
        first = " " * self.indent + self.mark
        rest = " " * (self.indent + self.hang)
        room = WIDTH - len(self.tag) - 1 if self.tag else WIDTH
        text = made_visible(self.text, "line")
        lines = textwrap.wrap(
            text, room, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False
        ) or [""]
        lines[0] = f"{lines[0]:<{WIDTH - len(self.tag)}}{self.tag}" if self.tag else lines[0]
        return lines


def comparison_text(
    comparison: Comparison, names: tuple[str, str], *, only_changes: bool = False
) -> str:
    """The whole comparison in lines of at most 80 characters.

    Args:
        comparison: what to show.
        names: where A and B came from.
        only_changes: leave out the rows that show no difference.
    """
    lines = _heading(comparison, names)
    if caveats := caveat_sentences(comparison):
        lines += [Line(), Line("Read with care"), *(Line(one, mark="- ") for one in caveats)]
    lines.append(Line())
    if comparison.equal:
        lines.append(Line(_no_difference(comparison), hang=0))
    else:
        lines += [*_headline(comparison), Line(), *_summary(comparison)]
        lines += [*_details(comparison, only_changes), *_alone(comparison)]
    return "\n".join(part for line in lines for part in line.broken()) + "\n"


def _heading(comparison: Comparison, names: tuple[str, str]) -> list[Line]:
    return [
        Line(
            f"{name}: {'shared report of ' if side.profile == SHARED else ''}audit {side.name}, "
            f"{counted(side.settings, 'setting')}, {counted(side.cells, 'cell')} "
            f"({side.measured} with a figure), {counted(side.patients, 'patient')}, "
            f"leakaudit {side.leakaudit}",
            hang=3,
            mark=f"{letter}  ",
        )
        for letter, name, side in zip("AB", names, (comparison.a, comparison.b), strict=True)
    ]


def _no_difference(comparison: Comparison) -> str:
    settings, cells = len(comparison.settings), len(comparison.cells)
    silent = comparison.counts[Outcome.NO_FIGURE]
    without = ""
    if silent.total:
        without = (
            f" Without a figure in either: {counted(silent.settings, 'setting')}, "
            f"{counted(silent.cells, 'cell')}."
        )
    return (
        "No difference in any figure, state, claim or verdict of "
        f"{counted(settings, 'setting')} and {counted(cells, 'cell')}.{without}"
    )


def _headline(comparison: Comparison) -> list[Line]:
    """Whether it got worse, and of how much nothing can be said."""
    over = _over(*comparison.with_intervals(comparison.settings))
    worse = comparison.counts[Outcome.WORSE]
    if comparison.is_worse:
        told = (
            f"Worse: of {over}, leakage is shown to be higher in {counted(worse.cells, 'cell')} "
            f"and Dice to be lower in {counted(worse.settings, 'setting')}."
        )
    elif comparison.intervals:
        told = (
            f"Not shown to be worse: of {over}, no leakage is shown to be higher and no Dice to be "
            "lower. That does not show that nothing changed."
        )
    else:
        told = "Nothing is compared: no figure of A has a comparable one in B."
    sentences = [*_changed(comparison), *_unpaired(comparison), told]
    verdicts = [one.verdict or "none" for one in (comparison.a, comparison.b)]
    if verdicts[0] != verdicts[1]:
        sentences.append(f"Verdict of the policy: {verdicts[0]} in A, {verdicts[1]} in B.")
    sentences += [
        f"Verdict on {one.setting}: {one.a or 'not judged'} in A, {one.b or 'not judged'} in B."
        for one in comparison.verdicts
    ]
    lost = comparison.lost
    if lost.total:
        sentences.append(
            f"Of {counted(lost.cells, 'cell')} and {counted(lost.settings, 'setting')} nothing "
            "can be said: they have a figure in A and none in B."
        )
    return [Line(one, hang=0) for one in sentences]


def _over(settings: int, cells: int) -> str:
    return f"{counted(cells, 'cell')} and {counted(settings, 'setting')} with figures in both"


def _changed(comparison: Comparison) -> list[str]:
    """A sentence for each change of a defense: what is shown of it."""
    groups: dict[tuple[Change, ...], list[SettingRow]] = {}
    for row in comparison.settings:
        if row.changed:
            groups.setdefault(row.changed, []).append(row)
    sentences = []
    for changes, rows in groups.items():
        settings, cells = comparison.with_intervals(rows)
        told = "On it nothing is compared: no figure of A has a comparable one in B."
        if settings + cells:
            dice = Counter(row.outcome for row in rows)
            leaks = Counter(row.outcome for row in comparison.cells_on(rows))
            told = (
                f"On it, of {_over(settings, cells)}, leakage is shown to be higher in "
                f"{leaks[Outcome.WORSE]} and lower in {counted(leaks[Outcome.BETTER], 'cell')}, "
                f"Dice to be lower in {dice[Outcome.WORSE]} and higher in "
                f"{counted(dice[Outcome.BETTER], 'setting')}."
            )
        sentences.append(f"Changed: {'; '.join(map(changed_words, changes))}. {told}")
    return sentences


def _unpaired(comparison: Comparison) -> list[str]:
    """A sentence that each audit made settings which the other did not, if that is so."""
    if not comparison.unpaired:
        return []
    sides = comparison.settings_only_in_a, comparison.settings_only_in_b
    names = [list(dict.fromkeys(named(one.setting) for one in side)) for side in sides]
    if set(names[0]) & set(names[1]):
        names = [list(dict.fromkeys(_with_place(one) for one in side)) for side in sides]
    first, second = map(_listed, names)
    return [
        f"What was changed has no counterpart: in A {first}; in B {second}. They are not compared; "
        "the figures of both stand at the end."
    ]


def _with_place(one: UnmatchedSetting) -> str:
    place = place_of(one.setting)
    return f"{named(one.setting)} at {place[:1].lower()}{place[1:]}"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _summary(comparison: Comparison) -> list[Line]:
    """How many settings and cells ended how."""
    rows: list[tuple[str, object, object]] = [("", "settings", "cells")]
    rows.append(("in both", len(comparison.settings), len(comparison.cells)))
    rows += [
        (f"  {words}", found.settings, found.cells)
        for outcome, words in _OUTCOMES.items()
        if (found := comparison.counts[outcome]).total or outcome in TAGS
    ]
    if claims := sum(row.claim is not None for row in comparison.settings):
        rows.append(("  another privacy claim", claims, ""))
    for letter, settings, cells in _sides(comparison):
        if settings or cells:
            rows.append((f"only in {letter}", len(settings), len(cells)))
    return [Line(f"{name:<34}{first:>9}{second:>7}".rstrip()) for name, first, second in rows]


def _details(comparison: Comparison, only_changes: bool) -> list[Line]:
    """Every setting with its cells, without those that are alike."""
    left_out = _SILENT | ({Outcome.NOT_SHOWN, Outcome.NO_INTERVAL} if only_changes else set())
    lines: list[Line] = []
    unlisted = [len(comparison.settings), len(comparison.cells)]
    where = ""
    for row in comparison.settings:
        own = [one for one in comparison.cells if one.setting == row.setting]
        cells = [one for one in own if one.outcome not in left_out]
        if row.outcome in left_out and row.claim is None and not cells:
            continue
        if not lines:
            lines += [Line(), Line(HEADER)]
        if where != (where := place_of(row.setting)):
            lines += [Line(), Line(where, hang=0)]
        lines += _setting(row)
        alike = Counter(attacked(one.cell) for one in own)
        for one in cells:
            name = identified(one.cell) if alike[attacked(one.cell)] > 1 else attacked(one.cell)
            lines += _cell(one, name)
        unlisted = [unlisted[0] - 1, unlisted[1] - len(cells)]
    listed = bool(lines)
    if any(unlisted):
        counts = comparison.counts
        met = {one for one in left_out if counts[one].total}
        names = "; ".join(words for one, words in _OUTCOMES.items() if one in met)
        told = f"{counted(unlisted[0], 'setting')}, {counted(unlisted[1], 'cell')}"
        lines += [Line(), Line(f"Not listed ({names}): {told}.", hang=0)]
    if listed:
        approximate = any(one.settings + one.cells for one in comparison.caveats)
        legend = (_APPROXIMATE, *_LEGEND) if approximate else _LEGEND
        lines += [Line(), *(Line(one, hang=0) for one in legend)]
    return lines


def _setting(row: SettingRow) -> list[Line]:
    """A setting with its Dice, or with its states."""
    lines = [_title(named(row.setting), row, 0)]
    lines += [Line(changed_words(one), 2) for one in row.changed]
    lines += _figures(row.dice, 2) if row.dice else _states(row, 2)
    if row.claim is not None:
        lines.append(Line(f"{row.claim.field}: {row.claim.a} -> {row.claim.b}", 2))
    return lines


def _cell(row: CellRow, name: str) -> list[Line]:
    """A cell with its figures, or with its states, under a name that tells it from others."""
    lines = [_title(name, row, 2)]
    for delta in row.figures:
        lines += _figures(delta, 4)
    if row.reidentification is not None:
        lines.append(Line(shares_row(row.reidentification)))
    return [*lines, *([] if row.figures else _states(row, 4)), *_why(row.note, 4)]


def _title(name: str, row: Pair, indent: int) -> Line:
    """A name with what happened to it at the right end."""
    return Line(name + (" ~" if row.changes else ""), indent, tag=TAGS.get(row.outcome, ""))


def _figures(delta: Delta, indent: int) -> list[Line]:
    return [Line(figures_row(delta, indent)), *_why(delta.reason, indent + 2)]


def _why(reason: str, indent: int) -> list[Line]:
    return [Line(reason, indent)] if reason else []


def _states(row: Pair, indent: int) -> list[Line]:
    """How it ended on both sides: a state, never a figure."""
    same = row.state_a is row.state_b
    lines = [Line(f"{row.state_a} in both" if same else f"{row.state_a} -> {row.state_b}", indent)]
    for letter, reason in (("A", row.reason_a), ("B", row.reason_b)):
        lines += _why(reason and f"{letter}: {reason}", indent + 2)
    return lines


def _sides(
    comparison: Comparison,
) -> Iterable[tuple[str, Sequence[UnmatchedSetting], Sequence[UnmatchedCell]]]:
    yield "A", comparison.settings_only_in_a, comparison.cells_only_in_a
    yield "B", comparison.settings_only_in_b, comparison.cells_only_in_b


def _alone(comparison: Comparison) -> list[Line]:
    """Settings that one audit alone made, with figures, and cells on settings of both."""
    lines: list[Line] = []
    for letter, settings, cells in _sides(comparison):
        own = [one.setting for one in settings]
        entries = [(place_of(one.setting), _unmatched_setting(one)) for one in settings]
        entries += [
            (
                f"{place_of(one.setting)}, {named(one.setting)}" if one.setting else "No setting",
                [Line(f"{identified(one.cell)}: {one.state}{_reason(one)}", 4)],
            )
            for one in cells
            if one.setting is None or one.setting not in own
        ]
        lines += [Line(), Line(f"Only in {letter}")] if settings or cells else []
        where = ""
        for place, told in entries:
            if where != (where := place):
                lines.append(Line(place, 2))
            lines += told
    if comparison.settings_only_in_a or comparison.settings_only_in_b:
        lines += [Line(), Line(_ALONE, hang=0)]
    return lines


def _unmatched_setting(one: UnmatchedSetting) -> list[Line]:
    """Its training, its Dice and the strongest attacks on it."""
    verdict = f", {one.verdict}" if one.verdict else ""
    cells = counted(one.cells, "cell")
    told = f"{named(one.setting)}: training {one.state}, {cells}{verdict}{_reason(one)}"
    figures = [score_words("dice", one.dice) if one.dice else "no Dice"]
    figures += [
        f"{score_words(found.measure, found.score)}: {attacked(found.cell)}"
        for found in one.strongest
    ]
    figures += ["no attack with a figure"] if one.cells and not one.strongest else []
    return [Line(told, 4), *(Line(figure, 6) for figure in figures)]


def _reason(one: Unmatched) -> str:
    return "" if one.reason == NO_COUNTERPART else f" ({one.reason})"
