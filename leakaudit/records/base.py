"""The parts of all records: the base, the states of a cell, intervals."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION = "4"
# Of what is measured: figures of patients, and their means. Where an interval is cut off, since no
# mean can lie beyond, makes no other version: such a report can be compared with an older one.
METRIC_VERSION = "3"


class Record(BaseModel):
    """Base of all records: frozen, no unknown keys, no NaN."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, ser_json_inf_nan="strings"
    )


class Kind(NamedTuple):
    """The kind of a figure; figures of two kinds are never compared.

    Args:
        victims: ``"inference"`` or ``"training"``.
        recovers: ``"images"``, ``"other-site images"``, ``"masks"`` or ``"identities"``.
        site: modalities of the data site that recovers other sites' images; else empty.
    """

    victims: str
    recovers: str
    site: str


class State(StrEnum):
    """How a cell or a training ended. Only ``ok`` has a leakage figure.

    `label` names the state for a reader, `meaning` says in sentences what follows from it.
    """

    label: str
    meaning: str

    def __new__(cls, value: str, label: str = "", meaning: str = "") -> State:
        """A state with its words."""
        member = str.__new__(cls, value)
        member._value_, member.label, member.meaning = value, label, meaning
        return member

    OK = "ok", "Measured", "The attack ran, its controls held, and its figure counts."
    UNSUPPORTED = (
        "unsupported",
        "Not applicable",
        "The threat model does not grant what the attack needs, or the system sends no such "
        "message. The attack says nothing about this setting.",
    )
    FAILED = (
        "failed",
        "Failed",
        "The attack or the training broke off. Nothing is known about this setting.",
    )
    CONTROL_FAILED = (
        "control-failed",
        "Attack not shown to work",
        "A control failed or could not be made, so what the attack scored, high or low, means "
        "nothing.",
    )
    TIMED_OUT = (
        "timed-out",
        "Ran out of time",
        "The time allowed was used up. Nothing is known about this setting.",
    )
    NOT_RUN = (
        "not-run",
        "Not run",
        "The cell was planned and not run. Nothing is known about this setting.",
    )

    @property
    def broke_off(self) -> bool:
        """Whether it came to no end, so that a run is not complete."""
        return self in (State.FAILED, State.TIMED_OUT, State.NOT_RUN)

    @property
    def was_tried(self) -> bool:
        """Whether the attack was made at all."""
        return self not in (State.UNSUPPORTED, State.NOT_RUN)


class Interval(Record):
    """A mean over patients with its 95 % interval.

    Args:
        mean: the mean.
        low: lower end; None if there are too few patients for one.
        high: upper end; None likewise.
        n: number of patients.
        method: ``"t"`` under 20 patients, ``"bootstrap"`` from 20, ``"none"`` for one patient; of
            several folds ``"wider of bootstrap over patients and t over folds"`` and the like; of a
            share ``"clopper-pearson"``.
    """

    mean: float
    low: float | None
    high: float | None
    n: int
    method: str

    @property
    def ends(self) -> tuple[float, ...]:
        """The mean and, if there are any, the ends of the interval around it, ascending."""
        found = (self.low, self.mean, self.high)
        return tuple(value for value in found if value is not None)
