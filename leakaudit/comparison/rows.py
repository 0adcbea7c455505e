"""The rows of a comparison in lines of at most 80 characters, and the names of what they are of.

Whatever a report says in it is inert.
"""

from __future__ import annotations

import textwrap

from leakaudit.comparison.records import (
    CellIdentity,
    CellRow,
    Change,
    Delta,
    Outcome,
    Reading,
    SettingIdentity,
    SettingRow,
    Shares,
)
from leakaudit.measure import metrics
from leakaudit.records import Interval, written
from leakaudit.report.text.formatting import epochs_words, levels
from leakaudit.visible import made_visible

WIDTH = 80
HEADER = f"{'':<22}{'A':>7}{'B':>8}  {'B minus A, 95 % interval':<26}reading"
_READINGS = {
    Reading.HIGHER: "higher",
    Reading.LOWER: "lower",
    Reading.NOT_SHOWN: "not shown",
    Reading.EQUAL: "equal",
    Reading.NO_INTERVAL: "no interval",
}
_TAGS = {
    Outcome.WORSE: "WORSE",
    Outcome.BETTER: "BETTER",
    Outcome.LOST: "FIGURE LOST",
    Outcome.GAINED: "FIGURE GAINED",
    Outcome.STATE_CHANGED: "STATE CHANGED",
}


def setting_lines(row: SettingRow) -> list[str]:
    """A setting with its Dice, or with its states."""
    lines = _tagged(named(row.setting), row.outcome, "", approximate=bool(row.changes))
    for one in row.changed:
        lines += wrapped(made_visible(changed_words(one), "line"), "  ", "    ")
    if row.dice is not None:
        lines += _figures(row.dice, "  ")
    else:
        lines += _states(row, "  ")
    if row.claim is not None:
        claim = f"{row.claim.field}: {row.claim.a} -> {row.claim.b}"
        lines += wrapped(made_visible(claim, "line"), "  ", "    ")
    return lines


def cell_lines(row: CellRow, name: str) -> list[str]:
    """A cell with its figures, or with its states.

    Args:
        row: the cell.
        name: what tells it from the others on its setting.
    """
    lines = _tagged(name, row.outcome, "  ", approximate=bool(row.changes))
    for delta in row.figures:
        lines += _figures(delta, "    ")
    if row.reidentification is not None:
        lines.append(_picked_out(row.reidentification))
    if not row.figures:
        lines += _states(row, "    ")
    if row.note:
        lines += wrapped(row.note, "    ", "    ")
    return lines


def _tagged(name: str, outcome: Outcome, indent: str, *, approximate: bool) -> list[str]:
    """A name with what happened to it at the right end of its first line."""
    tag = _TAGS.get(outcome, "")
    text = f"{made_visible(name, 'line')}{' ~' if approximate else ''}"
    first, *rest = wrapped(text, indent, indent + "  ", WIDTH - len(tag) - 1 if tag else WIDTH)
    return [f"{first:<{WIDTH - len(tag)}}{tag}" if tag else first, *rest]


def _states(row: SettingRow | CellRow, indent: str) -> list[str]:
    """How it ended on both sides: a state, never a figure."""
    ended = f"{row.state_a} -> {row.state_b}"
    if row.state_a is row.state_b:
        ended = f"{row.state_a} in both"
    lines = wrapped(ended, indent, indent + "  ")
    for letter, reason in (("A", row.reason_a), ("B", row.reason_b)):
        if reason:
            told = f"{letter}: {made_visible(reason, 'line')}"
            lines += wrapped(told, indent + "  ", indent + "    ")
    return lines


def _figures(delta: Delta, indent: str) -> list[str]:
    label = f"{indent}{_label(delta.measure)}, n={delta.b.n}"
    found = delta.difference
    line = (
        f"{label:<22}{_number(delta.a.mean):>7}{_number(delta.b.mean):>8}  "
        f"{_difference(found):<26}{_READINGS[delta.reading]}"
    )
    reason = wrapped(delta.reason, indent + "  ", indent + "  ") if delta.reason else []
    return [line.rstrip(), *reason]


def _picked_out(found: Shares) -> str:
    a, b = (f"{one.top1:.2f} [{one.low:.2f}, {one.high:.2f}]" for one in (found.a, found.b))
    return f"{'    picked out':<22}  {a} -> {b:<21}   {_READINGS[found.reading]}"


def _difference(found: Interval | None) -> str:
    if found is None:
        return "-"
    mean = f"{_signed(found.mean):>6}"
    if found.low is None or found.high is None:
        return mean
    return f"{mean} [{_signed(found.low)}, {_signed(found.high)}]"


def _signed(value: float) -> str:
    return _number(value, "+")


def _number(value: float, sign: str = "") -> str:
    """Three decimals; a number that no measure gives stays short as well."""
    text = f"{value:{sign}.3f}" if abs(value) < 1000 else f"{value:{sign}.0e}"
    return "0.000" if float(text) == 0 else text


def score_words(measure: str, found: Interval) -> str:
    """One figure with its interval, for itself: ``Dice 0.694 [0.640, 0.744], n=5``."""
    told = f"{_label(measure)} {_number(found.mean)}"
    if found.low is not None and found.high is not None:
        told += f" [{_number(found.low)}, {_number(found.high)}]"
    return f"{told}, n={found.n}"


def _label(measure: str) -> str:
    found = [metric.short for metric in metrics.METRICS if metric.name == measure]
    return found[0] if found else "Dice"


def changed_words(change: Change) -> str:
    """``GaussianNoise std, 3.0 -> 5.0``."""
    return f"{change.field}, {change.a} -> {change.b}"


def place_of(setting: SettingIdentity) -> str:
    """Where the network is cut, and its seed."""
    words = levels(setting.cut_level, setting.shared_skips, setting.bottleneck)
    return f"{words}, seed {setting.seed}"


def named(setting: SettingIdentity) -> str:
    """The defense; of a reference training what it is."""
    if setting.kind == "split":
        return written(setting.defense)
    return f"{setting.kind} training {setting.site}".strip()


def attacked(cell: CellIdentity) -> str:
    """Who attacks and whom, as short as it can be told."""
    site = f" with {cell.site}" if cell.site else ""
    tensor = "" if cell.tensor is None else f", {cell.tensor.words} alone"
    batch = "" if cell.gradient_batch is None else f", batch {cell.gradient_batch}"
    steps = "" if cell.round_steps is None else f", {cell.round_steps} steps"
    whom = "" if cell.victims == "inference" else f", on {cell.victims} patients"
    return f"{cell.attack_name} by {cell.threat}{site}{tensor}{batch}{steps}{whom}"


def in_full(cell: CellIdentity) -> str:
    """The same with all that it is matched by."""
    releases = counted(cell.releases, "release")
    seen = epochs_words(cell.gradient_checkpoints)
    gradients = f", gradients {seen}" if seen else ""
    return f"{attacked(cell)}, {releases}{gradients}: {cell.attack}"


def counted(count: int, name: str) -> str:
    """``1 cell`` or ``4 cells``."""
    return f"{count} {name}" if count == 1 else f"{count} {name}s"


def wrapped(text: str, first: str = "", rest: str = "", width: int = WIDTH) -> list[str]:
    """Text in lines, the first of which starts with ``first``, the others with ``rest``."""
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_on_hyphens=False,
    ) or [first.rstrip()]
