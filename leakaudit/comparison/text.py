"""A comparison as text for a terminal; text from a report is inert in it."""

from __future__ import annotations

from collections import Counter

from leakaudit.comparison.lone import lone_lines, unpaired_lines
from leakaudit.comparison.records import (
    CHANGED_DEFENSE,
    SHARED,
    Change,
    Comparison,
    Outcome,
    SettingRow,
)
from leakaudit.comparison.rows import (
    HEADER,
    attacked,
    cell_lines,
    changed_words,
    counted,
    in_full,
    place_of,
    setting_lines,
    wrapped,
)
from leakaudit.visible import made_visible

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
_SAID = {Outcome.WORSE, Outcome.BETTER, Outcome.LOST, Outcome.GAINED, Outcome.STATE_CHANGED}
_SILENT = {Outcome.EQUAL, Outcome.NO_FIGURE}
_APPROXIMATE = (
    "~ Matched approximately: what changed stands above, and may be what a difference comes from. "
    "An attack that tried less recovers less, which makes no defense better and is not counted so."
)
_SHARED_WORDS = (
    "shared reports are compared: paths, users, hosts and local parts of versions were taken out "
    "of them, so what differs there alone does not show"
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
    caveats = caveat_sentences(comparison)
    if caveats:
        lines += ["", "Read with care"]
        lines += [line for one in caveats for line in wrapped(one, "- ", "  ")]
    if comparison.equal:
        lines += ["", *wrapped(_no_difference(comparison))]
    else:
        lines += ["", *_headline(comparison), "", *_summary(comparison)]
        lines += _details(comparison, only_changes)
        lines += lone_lines(comparison)
    return "\n".join(lines) + "\n"


def caveat_sentences(comparison: Comparison) -> list[str]:
    """Word the other differences of two audits, one sentence each."""
    found = [_caveat(one.change, one.settings, one.cells) for one in comparison.caveats]
    matched = len(comparison.cells)
    changed = matched - comparison.equal_keys
    if changed and not found:
        found.append(
            f"{counted(changed, 'cell')} of {matched} in both have another key although no "
            "recorded version or parameter differs: the code or the kind of device changed"
        )
    if comparison.differing_elsewhere:
        found.append(
            f"{counted(comparison.differing_elsewhere, 'cell')} without a difference below differ "
            "in a figure that has no row here: of the tumour, of modalities or of single patients; "
            "see report.json"
        )
    if comparison.differing_equal_keys:
        found.append(
            f"{counted(comparison.differing_equal_keys, 'cell')} of the same key, so of the same "
            "work by the same code, have other figures: the computation does not repeat exactly, "
            "or a report was changed"
        )
    if SHARED in (comparison.a.profile, comparison.b.profile):
        found.insert(0, _SHARED_WORDS)
    return [made_visible(one, "line") for one in found]


def _caveat(change: Change, settings: int, cells: int) -> str:
    told = {
        "schema": "the reports are of different layouts",
        "package": "another version",
        "plug-in": "a plug-in from elsewhere or of another version",
        "system": "another system",
        "training": "trained otherwise",
        "defense": "a defense with other parameters, taken as the same",
        CHANGED_DEFENSE: "a defense that was changed",
        "attack": "an attack of another strength, taken as the same",
        "threat": "a threat that grants something else",
        "limit": "another limit of the run",
        "device": "another device was asked for",
        "policy": "a policy that asks for something else",
    }[change.kind]
    rows = [(settings, "setting"), (cells, "cell")]
    about = ", ".join(counted(count, name) for count, name in rows if count)
    where = f" ({about} matched approximately)" if about else ""
    return f"{told}: {changed_words(change)}{where}"


def _heading(comparison: Comparison, names: tuple[str, str]) -> list[str]:
    lines = []
    for letter, name, side in zip("AB", names, (comparison.a, comparison.b), strict=True):
        told = (
            f"{made_visible(name, 'line')}: {'shared report of ' if side.profile == SHARED else ''}"
            f"audit {made_visible(side.name, 'line')}, "
            f"{counted(side.settings, 'setting')}, {counted(side.cells, 'cell')} "
            f"({side.measured} with a figure), {counted(side.patients, 'patient')}, "
            f"leakaudit {made_visible(side.leakaudit, 'line')}"
        )
        lines += wrapped(told, f"{letter}  ", "   ")
    return lines


def _no_difference(comparison: Comparison) -> str:
    settings, cells = len(comparison.settings), len(comparison.cells)
    silent = comparison.counts[Outcome.NO_FIGURE]
    without = ""
    if silent.settings + silent.cells:
        without = (
            f" Without a figure in either: {counted(silent.settings, 'setting')}, "
            f"{counted(silent.cells, 'cell')}."
        )
    return (
        "No difference in any figure, state, claim or verdict of "
        f"{counted(settings, 'setting')} and {counted(cells, 'cell')}.{without}"
    )


def _headline(comparison: Comparison) -> list[str]:
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
    lines = [*_changed(comparison), *unpaired_lines(comparison), *wrapped(told)]
    verdicts = [one.verdict or "none" for one in (comparison.a, comparison.b)]
    if verdicts[0] != verdicts[1]:
        lines += wrapped(f"Verdict of the policy: {verdicts[0]} in A, {verdicts[1]} in B.")
    for one in comparison.verdicts:
        told = f"{one.a or 'not judged'} in A, {one.b or 'not judged'} in B"
        lines += wrapped(f"Verdict on {made_visible(one.setting, 'line')}: {told}.")
    lost = comparison.lost
    if lost.settings + lost.cells:
        lines += wrapped(
            f"Of {counted(lost.cells, 'cell')} and {counted(lost.settings, 'setting')} nothing "
            "can be said: they have a figure in A and none in B."
        )
    return lines


def _over(settings: int, cells: int) -> str:
    return f"{counted(cells, 'cell')} and {counted(settings, 'setting')} with figures in both"


def _changed(comparison: Comparison) -> list[str]:
    """Return the lines on each change of a defense."""
    groups: dict[tuple[Change, ...], list[SettingRow]] = {}
    for row in comparison.settings:
        if row.changed:
            groups.setdefault(row.changed, []).append(row)
    lines = []
    for changes, rows in groups.items():
        what = made_visible("; ".join(changed_words(one) for one in changes), "line")
        told = f"Changed: {what}. "
        settings, cells = comparison.with_intervals(rows)
        if settings + cells:
            dice = Counter(row.outcome for row in rows)
            leaks = Counter(row.outcome for row in comparison.cells_on(rows))
            told += (
                f"On it, of {_over(settings, cells)}, leakage is shown to be higher in "
                f"{leaks[Outcome.WORSE]} and lower in {counted(leaks[Outcome.BETTER], 'cell')}, "
                f"Dice to be lower in {dice[Outcome.WORSE]} and higher in "
                f"{counted(dice[Outcome.BETTER], 'setting')}."
            )
        else:
            told += "On it nothing is compared: no figure of A has a comparable one in B."
        lines += wrapped(told)
    return lines


def _summary(comparison: Comparison) -> list[str]:
    """How many of what."""
    lines = [f"{'':<34}{'settings':>9}{'cells':>7}"]
    lines.append(_count("in both", len(comparison.settings), len(comparison.cells)))
    lines += [
        _count(f"  {words}", found.settings, found.cells)
        for outcome, words in _OUTCOMES.items()
        if (found := comparison.counts[outcome]).settings + found.cells or outcome in _SAID
    ]
    claims = sum(row.claim is not None for row in comparison.settings)
    if claims:
        lines.append(f"{'  another privacy claim':<34}{claims:>9}")
    for letter, settings, cells in (
        ("A", comparison.settings_only_in_a, comparison.cells_only_in_a),
        ("B", comparison.settings_only_in_b, comparison.cells_only_in_b),
    ):
        if settings or cells:
            lines.append(_count(f"only in {letter}", len(settings), len(cells)))
    return lines


def _count(name: str, settings: int, cells: int) -> str:
    return f"{name:<34}{settings:>9}{cells:>7}"


def _details(comparison: Comparison, only_changes: bool) -> list[str]:
    """Every setting with its cells, those alike left out."""
    left_out = _SILENT | ({Outcome.NOT_SHOWN, Outcome.NO_INTERVAL} if only_changes else set())
    lines: list[str] = []
    unlisted = [len(comparison.settings), len(comparison.cells)]
    where = ""
    for row in comparison.settings:
        own = [one for one in comparison.cells if one.setting == row.setting]
        cells = [one for one in own if one.outcome not in left_out]
        if row.outcome in left_out and row.claim is None and not cells:
            continue
        if not lines:
            lines += ["", HEADER]
        if where != (where := place_of(row.setting)):
            lines += ["", *wrapped(where)]
        lines += setting_lines(row)
        alike = Counter(attacked(one.cell) for one in own)
        for one in cells:
            name = in_full(one.cell) if alike[attacked(one.cell)] > 1 else attacked(one.cell)
            lines += cell_lines(one, name)
        unlisted = [unlisted[0] - 1, unlisted[1] - len(cells)]
    listed = bool(lines)
    if any(unlisted):
        counts = comparison.counts
        met = {one for one in left_out if counts[one].settings + counts[one].cells}
        names = "; ".join(words for one, words in _OUTCOMES.items() if one in met)
        told = f"{counted(unlisted[0], 'setting')}, {counted(unlisted[1], 'cell')}"
        lines += ["", *wrapped(f"Not listed ({names}): {told}.")]
    if listed:
        approximate = any(one.settings + one.cells for one in comparison.caveats)
        legend = (_APPROXIMATE, *_LEGEND) if approximate else _LEGEND
        lines += ["", *(line for one in legend for line in wrapped(one))]
    return lines
