"""The policy section: limits with their reasons, and the attacks whose figures are required."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, StrictFloat, StrictInt, field_validator, model_validator

from leakaudit.config.plugins import PluginUse
from leakaudit.config.sections import Section, refusal
from leakaudit.measure.metrics import limited, limits
from leakaudit.records import AcceptedCaution, Policy, RequiredAttack, Threshold
from leakaudit.records.cautions import CautionKind
from leakaudit.records.verdict import N_MIN, Bound, Measure, Quantifier
from leakaudit.spelling import nearest

_USUAL_DELTA = 1e-5
Words = Annotated[str, Field(min_length=1, max_length=2_000)]


class ThresholdConfig(Section):
    """One limit; ``{ssim: 0.5, rationale: why}`` is short for ``{measure: ssim, max: 0.5, ...}``.

    Args:
        measure: what is limited, see `leakaudit.records.verdict.Threshold`.
        max: the highest value that is allowed.
        rationale: why this limit.
        delta: of ``epsilon``: the largest at which a claim counts, 1e-5 if not given.
        quantifier, bound, n_min, owner, date: in place of the policy's.
    """

    measure: Measure
    max: StrictFloat
    rationale: Words
    quantifier: Quantifier | None = None
    bound: Bound | None = None
    n_min: StrictInt | None = Field(default=None, ge=1)
    delta: StrictFloat | None = Field(default=None, gt=0, lt=1)
    owner: Words | None = None
    date: datetime.date | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        """``{ssim: 0.5, ...}``; a whole number is a number."""
        if not isinstance(value, Mapping):
            return value
        known = [name for name in value if name in limits()]
        fields = {"measure", *cls.model_fields}
        if not known and "measure" not in value:
            others = [str(name) for name in value if name not in fields]
            if others:
                raise _unknown(others[0])
        if known and "measure" not in value and "max" not in value:
            if len(known) > 1:
                raise ValueError(f"one limit in each entry, got {' and '.join(known)}")
            value = {
                "measure": known[0],
                "max": value[known[0]],
                **{name: each for name, each in value.items() if name != known[0]},
            }
        if type(value.get("max")) is int:
            value = {**value, "max": float(value["max"])}
        return value

    @field_validator("measure")
    @classmethod
    def _declared(cls, value: str) -> str:
        if value not in limits():
            raise _unknown(value)
        return value

    @model_validator(mode="after")
    def _fits_its_measure(self) -> ThresholdConfig:
        if self.quantifier is not None and _is_share(self.measure):
            raise ValueError(
                f"{self.measure} is not a figure per patient; leave the quantifier out"
            )
        if self.measure == "epsilon" and (self.bound is not None or self.n_min is not None):
            raise ValueError("epsilon is claimed, not estimated; leave bound and n_min out")
        if self.delta is not None and self.measure != "epsilon":
            raise ValueError(f"{self.measure} has no delta")
        metric = limited(self.measure)
        highest = None if self.measure == "epsilon" else metric.high if metric else 1.0
        if self.max < 0 or (highest is not None and self.max >= highest):
            raise ValueError(
                f"a limit on {self.measure} lies from 0 to below {highest:g}; got {self.max}"
                if highest
                else f"epsilon is at least 0, got {self.max}"
            )
        return self


def _is_share(measure: str) -> bool:
    """Whether there is no figure per patient, so no quantifier over them."""
    metric = limited(measure)
    return measure == "epsilon" or (metric is not None and metric.share is not None)


def _unknown(measure: str) -> ValueError:
    known = tuple(limits())
    return ValueError(
        f"unknown measure {measure!r}{nearest(measure, known)}; there are {', '.join(known)}"
    )


class AcceptConfig(Section):
    """A kind of caution about the data that keeps nothing from passing, and why.

    Args:
        caution: its kind, as the report and `leakaudit plan` name it.
        reason: why it is accepted.
    """

    caution: CautionKind
    reason: Words


class PolicyConfig(Section):
    """The user's policy, in the audit file or a file of its own.

    Args:
        owner: who answers for it.
        date: when it was set.
        thresholds: the limits, at least one of them on what leaks.
        quantifier: over patients, where a limit says nothing else (``dice_loss``: ``mean``).
        bound: ``upper`` end of the 95 % interval or the ``estimate``, likewise.
        n_min: fewer patients never pass, likewise.
        required: attacks without whose figure nothing passes, or threat to such attacks; None for
            all that the audit plans and whose needs the threat grants.
        proposed: the defenses that are up for use, written as under ``defenses``, ``identity`` for
            none; by default all of the audit, and ``identity`` only if there is no other.
        accepts: grave cautions about the data with which a setting may pass.
    """

    owner: Words
    date: datetime.date
    thresholds: tuple[ThresholdConfig, ...] = Field(min_length=1)
    quantifier: Quantifier = "worst_patient"
    bound: Bound = "upper"
    n_min: StrictInt = Field(default=N_MIN, ge=1)
    required: tuple[str, ...] | dict[str, tuple[str, ...]] | None = None
    proposed: tuple[Annotated[tuple[PluginUse, ...], Field(min_length=1)], ...] = ()
    accepts: tuple[AcceptConfig, ...] = ()

    @field_validator("proposed", mode="before")
    @classmethod
    def _stacks(cls, value: object) -> object:
        if not isinstance(value, list | tuple):
            return value
        return [each if isinstance(each, list | tuple) else [each] for each in value]

    @model_validator(mode="after")
    def _limits_leakage(self) -> PolicyConfig:
        of_leakage = [name for name in limits() if limited(name) is not None]
        if not any(one.measure in of_leakage for one in self.thresholds):
            raise refusal(
                f"no limit on what leaks; name one of {', '.join(of_leakage)}", "thresholds"
            )
        required = self.required
        if isinstance(required, dict):
            empty = not required or not all(required.values())
        else:
            empty = required is not None and not required
        if empty:
            raise refusal("a list is empty; leave it out to require every attack", "required")
        return self


def resolved_policy(config: PolicyConfig) -> Policy:
    """The policy with every default filled in, as the report states it."""
    return Policy(
        owner=config.owner,
        date=config.date.isoformat(),
        thresholds=tuple(_resolved(one, config) for one in config.thresholds),
        required=_required(config.required),
        proposed=tuple(" + ".join(map(_written, uses)) for uses in config.proposed),
        accepts=tuple(
            AcceptedCaution(caution=one.caution, reason=one.reason) for one in config.accepts
        ),
    )


def _resolved(one: ThresholdConfig, config: PolicyConfig) -> Threshold:
    usual: Quantifier = "mean" if one.measure == "dice_loss" else config.quantifier
    return Threshold(
        measure=one.measure,
        limit=one.max,
        quantifier=None if _is_share(one.measure) else one.quantifier or usual,
        bound="estimate" if one.measure == "epsilon" else one.bound or config.bound,
        n_min=1 if one.measure == "epsilon" else one.n_min or config.n_min,
        delta=(one.delta or _USUAL_DELTA) if one.measure == "epsilon" else None,
        rationale=one.rationale,
        owner=one.owner or config.owner,
        date=(one.date or config.date).isoformat(),
    )


def _required(
    given: tuple[str, ...] | dict[str, tuple[str, ...]] | None,
) -> tuple[RequiredAttack, ...] | None:
    if given is None:
        return None
    if isinstance(given, dict):
        return tuple(
            RequiredAttack(attack=attack, threat=threat)
            for threat, attacks in given.items()
            for attack in attacks
        )
    return tuple(RequiredAttack(attack=attack) for attack in given)


def _written(use: PluginUse) -> str:
    """A defense as a line: ``gaussian-noise (std 1.0)``."""
    given = ", ".join(f"{name} {_plain(value)}" for name, value in use.parameters.items())
    return f"{use.name} ({given})" if given else use.name


def _plain(value: Any) -> str:
    return " or ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
