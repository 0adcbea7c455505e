"""Names and figures of a comparison in words."""

from __future__ import annotations

from leakaudit.comparison.records import (
    CellIdentity,
    Change,
    Delta,
    Outcome,
    Reading,
    SettingIdentity,
    Shares,
)
from leakaudit.measure import metrics
from leakaudit.records import Interval, written
from leakaudit.report.text.formatting import epochs_words, levels

HEADER = f"{'':<22}{'A':>7}{'B':>8}  {'B minus A, 95 % interval':<26}reading"
TAGS = {
    Outcome.WORSE: "WORSE",
    Outcome.BETTER: "BETTER",
    Outcome.LOST: "FIGURE LOST",
    Outcome.GAINED: "FIGURE GAINED",
    Outcome.STATE_CHANGED: "STATE CHANGED",
}
_READINGS = {Reading.NOT_SHOWN: "not shown", Reading.NO_INTERVAL: "no interval"}


def figures_row(delta: Delta, indent: int) -> str:
    """A figure of A, of B, and B minus A: in the columns of `HEADER`."""
    label = f"{' ' * indent}{_label(delta.measure)}, n={delta.b.n}"
    found = delta.difference
    difference = "-" if found is None else f"{_number(found.mean, '+'):>6}{_ends(found, '+')}"
    return (
        f"{label:<22}{_number(delta.a.mean):>7}{_number(delta.b.mean):>8}  {difference:<26}"
        f"{_READINGS.get(delta.reading, delta.reading)}"
    )


def shares_row(found: Shares) -> str:
    """The shares of victims picked out, in the columns of `HEADER`."""
    a, b = (f"{one.top1:.2f} [{one.low:.2f}, {one.high:.2f}]" for one in (found.a, found.b))
    reading = _READINGS.get(found.reading, found.reading)
    return f"{'    picked out':<22}  {a} -> {b:<21}   {reading}"


def score_words(measure: str, found: Interval) -> str:
    """One figure with its interval, alone: ``Dice 0.694 [0.640, 0.744], n=5``."""
    return f"{_label(measure)} {_number(found.mean)}{_ends(found)}, n={found.n}"


def changed_words(change: Change) -> str:
    """``GaussianNoise std, 3.0 -> 5.0``."""
    return f"{change.field}, {change.a} -> {change.b}"


def place_of(setting: SettingIdentity) -> str:
    """Where the network is cut, and its seed."""
    words = levels(setting.cut_level, setting.shared_skips, setting.bottleneck)
    return f"{words}, seed {setting.seed}"


def named(setting: SettingIdentity) -> str:
    """The defense; of a reference training its kind."""
    if setting.kind == "split":
        return written(setting.defense)
    return f"{setting.kind} training {setting.site}".strip()


def attacked(cell: CellIdentity) -> str:
    """The attack, the adversary and the victims, as short as possible."""
    site = f" with {cell.site}" if cell.site else ""
    tensor = "" if cell.tensor is None else f", {cell.tensor.words} alone"
    batch = "" if cell.gradient_batch is None else f", batch {cell.gradient_batch}"
    steps = "" if cell.round_steps is None else f", {cell.round_steps} steps"
    whom = "" if cell.victims == "inference" else f", on {cell.victims} patients"
    return f"{cell.attack_name} by {cell.threat}{site}{tensor}{batch}{steps}{whom}"


def identified(cell: CellIdentity) -> str:
    """A cell by every field that identifies it."""
    releases = counted(cell.releases, "release")
    seen = epochs_words(cell.gradient_checkpoints)
    gradients = f", gradients {seen}" if seen else ""
    return f"{attacked(cell)}, {releases}{gradients}: {cell.attack}"


def counted(count: int, name: str) -> str:
    """``1 cell`` or ``4 cells``."""
    return f"{count} {name}" if count == 1 else f"{count} {name}s"


def _label(measure: str) -> str:
    found = [metric.short for metric in metrics.METRICS if metric.name == measure]
    return found[0] if found else "Dice"


def _ends(found: Interval, sign: str = "") -> str:
    if found.low is None or found.high is None:
        return ""
    return f" [{_number(found.low, sign)}, {_number(found.high, sign)}]"


def _number(value: float, sign: str = "") -> str:
    """Three decimals; a number that no measure gives stays short as well."""
    text = f"{value:{sign}.3f}" if abs(value) < 1000 else f"{value:{sign}.0e}"
    return "0.000" if float(text) == 0 else text
