"""All that a report needs to know of one figure of an attack."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

from leakaudit.records.base import Interval, State
from leakaudit.records.cells import CellRecord
from leakaudit.records.leakage import Leakage, Matching, Reidentification

IMAGES = ("images", "other-site images")
Named = list[tuple[str, float]]


@final
@dataclass(frozen=True, kw_only=True)
class Metric:
    """One figure of an attack, and all that others need to know of it.

    Args:
        name: in the record and in the comparison.
        words: within a sentence: ``SSIM inside the brain``.
        head: of a column: ``NCC``.
        meaning: what the glossary says of it; empty if another entry does.
        unit: ``dB``; empty for a number without one.
        low: its smallest value; minus infinity if there is none.
        high: its largest.
        more_leaks: whether a higher figure gives more away.
        digits: decimals in the table of patients.
        missing: what stands there for a patient without one.
        complete: whether its mean needs a value of every patient.
        recovers: the attacks that it is a figure of, by what they recover.
        victims: the victims that it is a figure of.
        scored: makes the figure of each victim of a `leakaudit.measure.metrics.Recovered`; None if
            `leakaudit.audit.scoring` makes it.
        over: its mean with the interval, of an ``ok`` cell; None for what is stored by its name.
        each: the figure of each patient, of an ``ok`` cell; None likewise.
        parts: what each patient adds to the mean, where that is not the patient's figure.
        share: the share of patients that it is, to which no quantifier over patients applies.
        limit: its name in a policy; empty if no policy limits it.
        absent: why it may be missing from an attack that has other figures, in words.
        columns: in cells.csv: of the mean, then of the ends of its interval.
        tabled: whether the Markdown tables have a column for it, and the page a line with a strip.
        short: its label in a comparison; empty if it is not compared.
    """

    name: str
    words: str
    head: str
    meaning: str = ""
    unit: str = ""
    low: float = -1.0
    high: float = 1.0
    more_leaks: bool = True
    digits: int = 2
    missing: str = "none"
    complete: bool = False
    recovers: tuple[str, ...] = IMAGES
    victims: tuple[str, ...] = ("inference", "training")
    scored: Callable[[Any], Sequence[float | None]] | None = None
    over: Callable[[CellRecord], Interval | None] | None = None
    each: Callable[[CellRecord], Named | None] | None = None
    parts: Callable[[CellRecord], Named | None] | None = None
    share: Callable[[CellRecord], Reidentification | Matching | None] | None = None
    limit: str = ""
    absent: str = ""
    columns: tuple[str, ...] = ()
    tabled: bool = False
    short: str = ""

    def __post_init__(self) -> None:
        """Refuse a limit that no figure could exceed in the direction of a leak.

        Raises:
            ValueError: a lower figure gives more away, and a policy is to limit it.
        """
        if self.limit and not self.more_leaks:
            raise ValueError(
                f"{self.name}: a policy limits figures that leak more where they are higher"
            )

    def applies(self, cell: CellRecord) -> bool:
        """Whether a cell of this kind can have the figure at all."""
        return cell.recovers in self.recovers and cell.victims in self.victims

    @property
    def is_bounded(self) -> bool:
        """Whether its range has two ends, so that a strip can show it."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    @property
    def sentence(self) -> str:
        """Its words as they start a sentence."""
        return f"{self.words[:1].upper()}{self.words[1:]}"

    @property
    def listed(self) -> bool:
        """Whether it is stored with each patient, and so a column of the page's tables."""
        return self.each is None

    def figure(self, cell: CellRecord) -> Interval | None:
        """Its mean with the interval; None unless the cell is ``ok`` and has one."""
        if self.over is not None:
            return self.over(cell)
        found = leakage_of(cell)
        return found.mean_of(self.name) if found is not None else None

    def by_patient(self, cell: CellRecord) -> Named | None:
        """The figure of each patient who has one; None unless the cell is ``ok`` and has any."""
        if self.each is not None:
            return self.each(cell)
        found = leakage_of(cell)
        if found is None:
            return None
        values = [(one.patient, one.value_of(self.name)) for one in found.patients]
        return [(patient, value) for patient, value in values if value is not None]

    def compared(self, cell: CellRecord) -> Named | None:
        """Return the figure of each patient that is paired with that of another audit."""
        return self.parts(cell) if self.parts is not None else self.by_patient(cell)

    def mean(self, values: Sequence[float | None]) -> list[float]:
        """The values that its mean is over; none if that would leave a patient out unsaid."""
        shown = [value for value in values if value is not None]
        return [] if self.complete and len(shown) < len(values) else shown


def leakage_of(cell: CellRecord) -> Leakage | None:
    """The figures on images of an ``ok`` cell."""
    return cell.leakage if cell.state is State.OK else None
