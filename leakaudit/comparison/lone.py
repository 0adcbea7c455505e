"""What one audit alone made, in lines of at most 80 characters, with figures for themselves."""

from __future__ import annotations

from collections.abc import Sequence

from leakaudit.comparison.matching import NO_COUNTERPART
from leakaudit.comparison.records import Comparison, LoneCell, LoneSetting
from leakaudit.comparison.rows import (
    attacked,
    counted,
    in_full,
    named,
    place_of,
    score_words,
    wrapped,
)
from leakaudit.visible import made_visible

_MOST_NAMED = 3
_FOR_THEMSELVES = (
    "What stands only in A or only in B is not paired, so there is no difference of it. Of each "
    "setting the attack with the highest advantage is named; report.json has the others."
)


def unpaired_lines(comparison: Comparison) -> list[str]:
    """That each audit made settings which the other did not; nothing if that is not so."""
    if not comparison.unpaired:
        return []
    sides = comparison.settings_only_in_a, comparison.settings_only_in_b
    names = [list(dict.fromkeys(named(one.setting) for one in side)) for side in sides]
    if set(names[0]) & set(names[1]):
        names = [list(dict.fromkeys(_whole(one) for one in side)) for side in sides]
    first, second = (made_visible(_listed(side), "line") for side in names)
    return wrapped(
        f"What was changed has no counterpart: in A {first}; in B {second}. They are not compared; "
        "the figures of both stand at the end."
    )


def lone_lines(comparison: Comparison) -> list[str]:
    """Settings and cells without a counterpart, those of A first; nothing if there are none."""
    lines = [
        *_lone("A", comparison.settings_only_in_a, comparison.cells_only_in_a),
        *_lone("B", comparison.settings_only_in_b, comparison.cells_only_in_b),
    ]
    if comparison.settings_only_in_a or comparison.settings_only_in_b:
        lines += ["", *wrapped(_FOR_THEMSELVES)]
    return lines


def _whole(one: LoneSetting) -> str:
    place = place_of(one.setting)
    return f"{named(one.setting)} at {place[:1].lower()}{place[1:]}"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _lone(letter: str, settings: Sequence[LoneSetting], cells: Sequence[LoneCell]) -> list[str]:
    """What one audit alone made; cells of a setting that it alone made are counted with that."""
    if not settings and not cells:
        return []
    own = [one.setting for one in settings]
    entries = [(place_of(one.setting), _setting(one), _figures(one)) for one in settings] + [
        (
            f"{place_of(one.setting)}, {named(one.setting)}" if one.setting else "No setting",
            f"{in_full(one.cell)}: {one.state}{_why(one.reason)}",
            [],
        )
        for one in cells
        if one.setting is None or one.setting not in own
    ]
    lines = ["", f"Only in {letter}"]
    where = ""
    for place, told, figures in entries:
        if where != (where := place):
            lines += wrapped(made_visible(place, "line"), "  ", "    ")
        lines += wrapped(made_visible(told, "line"), "    ", "      ")
        for one in figures:
            lines += wrapped(made_visible(one, "line"), "      ", "        ")
    return lines


def _setting(one: LoneSetting) -> str:
    verdict = f", {one.verdict}" if one.verdict else ""
    cells = counted(one.cells, "cell")
    return f"{named(one.setting)}: training {one.state}, {cells}{verdict}{_why(one.reason)}"


def _figures(one: LoneSetting) -> list[str]:
    """Dice and the strongest attacks; where one is missing, that it is."""
    told = [score_words("dice", one.dice) if one.dice else "no Dice"]
    for found in one.strongest:
        told.append(f"{score_words(found.measure, found.score)}: {attacked(found.cell)}")
    if one.cells and not one.strongest:
        told.append("no attack with a figure")
    return told


def _why(reason: str) -> str:
    return "" if reason == NO_COUNTERPART else f" ({reason})"
