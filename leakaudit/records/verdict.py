"""A user's policy, the figures that it judged, and the verdict."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, model_validator

from leakaudit.errors import ExitCode
from leakaudit.records.base import Record
from leakaudit.records.cautions import Caution, CautionKind

# The name of what is limited, as `leakaudit.measure.metrics` declares it.
Measure = str
Quantifier = Literal["worst_patient", "p95", "mean"]
Bound = Literal["upper", "estimate"]

N_MIN = 5
"""Fewer patients than this show nothing, unless a policy asks for another number."""


class Outcome(StrEnum):
    """The verdict of a policy on an audit, and the exit code that gives it to a machine."""

    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"

    @property
    def exit_code(self) -> int:
        """0, 1 or 3."""
        if self is Outcome.INCONCLUSIVE:
            return ExitCode.UNDECIDED.value
        return ExitCode.DONE.value if self is Outcome.PASS else ExitCode.FOUND.value


# The gravest first; the whole has that of its gravest setting.
GRAVITY = (Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.PASS)


class Rule(StrEnum):
    """Which rule decided; the first that applies, in this order."""

    VIOLATED = "violated"
    NOT_CLAIMED = "not-claimed"
    NOT_TRAINED = "not-trained"
    NOTHING_MEASURED = "nothing-measured"
    REQUIRED_MISSING = "required-missing"
    UNMEASURED = "unmeasured"
    DOUBTED = "doubted"
    TOO_FEW_PATIENTS = "too-few-patients"
    NOT_SHOWN = "not-shown"
    OPEN_CAUTION = "open-caution"
    NOTHING_JUDGED = "nothing-judged"
    ALL_HOLD = "all-hold"


# Rules by which a check stays open, the gravest first.
OPEN_RULES = (Rule.UNMEASURED, Rule.DOUBTED, Rule.TOO_FEW_PATIENTS, Rule.NOT_SHOWN)


class Threshold(Record):
    """One limit of a policy, all defaults filled in.

    Args:
        measure: ``ssim`` (inside the brain), ``mask_dice`` (of recovered tumour masks),
            ``advantage``, ``reidentification`` (share picked out by pictures), ``matched`` (share
            picked out by what was released), ``clinical_harm`` (whole-tumour Dice on
            reconstructions), ``epsilon`` (of a claim on releases) or ``dice_loss`` (mean
            Dice lost to the undefended network, paired by patient).
        limit: the highest value that is allowed.
        quantifier: over patients; None for ``reidentification`` and ``matched``, shares of them,
            and ``epsilon``.
        bound: ``upper`` holds the upper end of the 95 % interval against the limit, ``estimate``
            the figure itself.
        n_min: fewer patients never pass.
        delta: of ``epsilon``, the largest at which a claim counts; None of the others.
        rationale: why this limit, in its owner's words.
        owner: who answers for it.
        date: when it was set, ISO 8601.
    """

    measure: Measure
    limit: float
    quantifier: Quantifier | None
    bound: Bound
    n_min: int
    delta: float | None = None
    rationale: str
    owner: str
    date: str


class RequiredAttack(Record):
    """An attack without whose figure nothing passes; ``threat`` is empty for any."""

    attack: str
    threat: str = ""


class AcceptedCaution(Record):
    """A kind of caution that a policy accepts, and why, in its owner's words."""

    caution: CautionKind
    reason: str


class Policy(Record):
    """The limits that the user sets.

    Args:
        owner: who answers for it.
        date: when it was set, ISO 8601.
        thresholds: the limits.
        required: attacks that must have a figure; None for all that were planned and whose needs
            the threat grants.
        proposed: the defenses that are up for use, as configured; empty for all of the audit but
            the undefended network, or for that if there is no other.
        accepts: grave cautions about the data that do not keep a setting from passing.
    """

    owner: str
    date: str
    thresholds: tuple[Threshold, ...]
    required: Annotated[tuple[RequiredAttack, ...], Field(min_length=1)] | None
    proposed: tuple[str, ...]
    accepts: tuple[AcceptedCaution, ...] = ()


class Check(Record):
    """One threshold compared with one cell, or with a setting as a whole.

    Args:
        threshold: number of the threshold in the policy, from 0.
        target: key of the setting.
        cell: key of the cell; None for ``epsilon`` and ``dice_loss``.
        observed: the figure under the quantifier; None if there is none.
        held: the figure compared with the limit: the observed or the upper end of its interval.
        n: patients behind it; 0 for ``epsilon``.
        patient: the worst one, where the quantifier names one.
        outcome: ``holds``, ``violates`` (the observed figure itself exceeds the limit, or an
            epsilon is asked for and not claimed) or ``open``.
        rule: why it is open, or ``not-claimed``; None otherwise.
        reason: the same in words; empty likewise.
    """

    threshold: int
    target: str
    cell: str | None
    observed: float | None
    held: float | None
    n: int
    patient: str | None
    outcome: Literal["holds", "violates", "open"]
    rule: Rule | None = None
    reason: str = ""


class SettingVerdict(Record):
    """The verdict on one setting.

    Args:
        target: key of the setting.
        outcome: PASS, FAIL or INCONCLUSIVE.
        rule: what decided.
        check: number of the deciding check in the verdict's, from 0; None if none decided.
        missing: required attacks without a figure, as ``attack under threat: why``.
    """

    target: str
    outcome: Outcome
    rule: Rule
    check: int | None
    missing: tuple[str, ...]


class Verdict(Record):
    """The verdict; computed once, and read by the page, the command line and CI.

    Args:
        outcome: FAIL if any setting fails, else INCONCLUSIVE if any is, else PASS.
        rule: what decided.
        setting: number of the deciding entry of ``settings``, from 0; None if none was judged.
        exit_code: 0, 1 or 3.
        counts: settings by outcome.
        policy: what was allowed.
        settings: the settings that were judged.
        checks: every threshold on every cell of theirs.
        cautions: the grave cautions about the data that the policy does not accept.
        judged_again: whether ``policy`` is another than the audit's own, so that the figures were
            known when it was held against them.
        own: then the outcome under the audit's own policy; None if the audit has none.
    """

    outcome: Outcome
    rule: Rule
    setting: int | None
    exit_code: int
    counts: dict[Outcome, int]
    policy: Policy
    settings: tuple[SettingVerdict, ...]
    checks: tuple[Check, ...]
    cautions: tuple[Caution, ...] = ()
    judged_again: bool = False
    own: Outcome | None = None

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Verdict:
        found = {one: sum(each.outcome is one for each in self.settings) for one in Outcome}
        worst = next((one for one in GRAVITY if found[one]), Outcome.INCONCLUSIVE)
        if (self.exit_code, self.counts) != (self.outcome.exit_code, found):
            raise ValueError("exit code or counts do not fit the outcome")
        if self.outcome is not worst or (self.setting is None) != (not self.settings):
            raise ValueError("the outcome does not follow from the settings")
        if self.setting is not None and self.settings[self.setting].outcome is not worst:
            raise ValueError("the deciding setting has another outcome")
        if self.own is not None and not self.judged_again:
            raise ValueError("a verdict by the audit's own policy has no other of its own")
        return self
