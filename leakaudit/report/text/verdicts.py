"""The verdict in words: which rule decided, on which setting, by which attack on whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leakaudit.measure.metrics import limits
from leakaudit.records import (
    CellRecord,
    Check,
    Outcome,
    ReportRecord,
    Rule,
    SettingVerdict,
    TargetRecord,
    Threshold,
    Verdict,
)
from leakaudit.records.targets import plain_network
from leakaudit.report.text.formatting import (
    estimate,
    figure,
    levels,
    listed,
    patients_words,
    scientific,
    spoken,
)
from leakaudit.report.text.limits import equal_digits, failure_words, limits_words, not_kept
from leakaudit.report.text.protections import in_words, protections
from leakaudit.report.text.unlimited import highest

QUANTIFIERS = {
    "worst_patient": "of the worst patient",
    "p95": "that 95 % of the patients do not exceed",
    "mean": "on average over patients",
    None: "",
}
BOUNDS = {
    "upper": "upper end of the 95 % interval",
    "estimate": "the figure itself",
}
OUTCOMES = {
    Outcome.PASS: "In the attacks tried, what is up for use keeps every limit.",
    Outcome.INCONCLUSIVE: "It is not shown that the policy's limits hold, nor that they do not.",
}
# The classes whose Dice are averaged.
_CLASSES = {
    "edema": "edema",
    "non_enhancing": "non-enhancing tumour",
    "enhancing": "enhancing tumour",
}
RULES = {
    Rule.VIOLATED: "a measured figure exceeds a limit",
    Rule.NOT_CLAIMED: "the policy asks for a guarantee, and none that it accepts is claimed",
    Rule.NOT_TRAINED: "the network was not trained to its end",
    Rule.NOTHING_MEASURED: "no attack gave a valid figure",
    Rule.REQUIRED_MISSING: "a required attack has no valid figure",
    Rule.UNMEASURED: "there is no figure that could show that a limit holds",
    Rule.DOUBTED: "a low figure of a required attack shows no protection",
    Rule.TOO_FEW_PATIENTS: "a figure rests on fewer patients than the policy asks for",
    Rule.NOT_SHOWN: "the interval of a figure reaches beyond a limit",
    Rule.OPEN_CAUTION: "the data is uncertain in a way that the policy does not accept",
    Rule.NOTHING_JUDGED: "the audit has none of the settings that the policy is about",
    Rule.ALL_HOLD: "every required attack has a figure, and no figure exceeds a limit",
}


@dataclass(frozen=True)
class CheckView:
    """One threshold on one cell or setting, with what it names resolved."""

    check: Check
    threshold: Threshold
    cell: CellRecord | None
    words: str


@dataclass(frozen=True)
class SettingOutcome:
    """The verdict on one setting.

    Args:
        verdict: as recorded.
        target: the setting.
        name: it in words.
        where: its cut and seed.
        rule: what decided.
        limits: how many limits are not kept, as ``2 of 3 limits are exceeded``; empty for none.
        reason: why nothing can be said, where no figure decided; else empty.
        decisive: a check of every limit that is not kept, the deciding one first; of a PASS that
            which came nearest to its limit.
        checks: all.
    """

    verdict: SettingVerdict
    target: TargetRecord
    name: str
    where: str
    rule: str
    limits: str
    reason: str
    decisive: tuple[CheckView, ...]
    checks: tuple[CheckView, ...]

    @property
    def lead(self) -> str:
        """The first sentence, or two; a colon ends it where `listing` goes on."""
        count = f"{self.limits[:1].upper()}{self.limits[1:]}" if self.limits else ""
        count += ":" if self.listing else "." if count else ""
        alone = () if self.listing else (each.words for each in self.decisive)
        return " ".join(filter(None, (self.reason, count, *alone)))

    @property
    def listing(self) -> tuple[CheckView, ...]:
        """The checks that decided, one for each limit, if there are several."""
        return self.decisive if len(self.decisive) > 1 else ()

    @property
    def lines(self) -> tuple[str, ...]:
        """The sentences that say what decided."""
        return (self.lead, *(each.words for each in self.listing))

    @property
    def sentence(self) -> str:
        """The deciding sentences in one text."""
        return " ".join(self.lines)


@dataclass(frozen=True)
class Unlimited:
    """The measures without a limit: those with a highest figure, and those without one."""

    measured: tuple[str, ...]
    unmeasured: tuple[str, ...]


@dataclass(frozen=True)
class VerdictView:
    """The verdict as the page and the terminal show it."""

    verdict: Verdict
    meaning: str
    rule: str
    sentence: str
    settings: tuple[SettingOutcome, ...]
    unlimited: Unlimited

    @property
    def told(self) -> tuple[SettingOutcome, ...]:
        """The settings that do not pass, the deciding one first; if all do, that alone."""
        number = self.verdict.setting
        if number is None:
            return ()
        others = (one for n, one in enumerate(self.settings) if n != number)
        failing = (one for one in others if one.verdict.outcome is not Outcome.PASS)
        return (self.settings[number], *failing)

    @property
    def outcomes(self) -> dict[str, str]:
        """The verdict on each setting, by its key."""
        return {one.verdict.target: one.verdict.outcome.value for one in self.settings}

    @property
    def held_ssim(self) -> dict[str, tuple[str, ...]]:
        """The figure that each limit on SSIM judged, by the setting's key: the highest."""
        return {
            one.verdict.target: tuple(map(_held_words, _highest_held(one.checks, "ssim")))
            for one in self.settings
        }


def verdict_view(record: ReportRecord) -> VerdictView | None:
    """The record's verdict in words; None without a policy."""
    verdict = record.verdict
    if verdict is None:
        return None
    settings = tuple(_setting(record, verdict, one) for one in verdict.settings)
    sentence = ""
    if verdict.setting is not None:
        first = settings[verdict.setting]
        sentence = f"{first.name} ({first.where}): {first.sentence}"
    return VerdictView(
        verdict=verdict,
        meaning=OUTCOMES.get(verdict.outcome) or failure_words(verdict),
        rule=RULES[verdict.rule],
        sentence=sentence,
        settings=settings,
        unlimited=unlimited(record, verdict),
    )


def setting_name(target: TargetRecord) -> tuple[str, str]:
    """A setting in words, ``Gaussian noise, std 1.0``, and where it is cut."""
    parts = protections(target.defense, target.cut_level, target.shared_skips, target.bottleneck)
    name = ", ".join(part for part in in_words(parts) if part)
    where = levels(target.cut_level, target.shared_skips, target.bottleneck)
    return name, f"{where[:1].lower()}{where[1:]}, seed {figure(target.seed)}"


def threshold_words(threshold: Threshold) -> str:
    """Word a limit: ``SSIM inside the brain of the worst patient``."""
    measure, over = _words(threshold.measure), QUANTIFIERS[threshold.quantifier]
    return f"{measure} {over}".strip()


def unlimited(record: ReportRecord, verdict: Verdict) -> Unlimited:
    """List the measures that the policy does not limit, measured or not."""
    limited = {one.measure for one in verdict.policy.thresholds}
    names = {one.target: ", ".join(setting_name(one)) for one in record.targets}
    measured, unmeasured = [], []
    for measure, words in limits().items():
        if measure in limited:
            continue
        found = highest(record, verdict, measure)
        if found is None:
            unmeasured.append(words)
        else:
            where = f" ({names[found[1]]})" if len(verdict.settings) > 1 else ""
            measured.append(f"{words}: {found[0]}{where}")
    return Unlimited(tuple(measured), tuple(unmeasured))


def _words(measure: str) -> str:
    """Word a measure; its name if this version declares no such metric."""
    return limits().get(measure, measure)


def bound_words(threshold: Threshold) -> str:
    """Word the part of a figure that the limit judges."""
    if threshold.measure == "epsilon":
        return "the claim; without one nothing is bounded, which fails"
    if threshold.quantifier == "worst_patient":
        return "the highest figure of any patient"
    return BOUNDS[threshold.bound]


def again_words(verdict: Verdict) -> str:
    """Say that the policy is not the audit's own, and the audit's own verdict; else empty."""
    if not verdict.judged_again:
        return ""
    if verdict.own is None:
        return (
            "Judged by a policy that was added to the finished audit, which has none of its own: "
            "its figures were known before this policy judged them."
        )
    return (
        "Judged again by another policy than the audit's own. Under the audit's own policy the "
        f"verdict is {verdict.own.value}."
    )


def counts_words(verdict: Verdict) -> str:
    """How many settings got which outcome: ``2 PASS, 1 INCONCLUSIVE``."""
    there = [one for one in Outcome if verdict.counts[one]]
    return listed(tuple(f"{figure(verdict.counts[one])} {one.value}" for one in there))


def _setting(record: ReportRecord, verdict: Verdict, one: SettingVerdict) -> SettingOutcome:
    target = next(each for each in record.targets if each.target == one.target)
    name, where = setting_name(target)
    decisive = not_kept(verdict, one)
    if one.outcome is Outcome.PASS and one.check is not None:
        decisive = (verdict.checks[one.check],)
    return SettingOutcome(
        verdict=one,
        target=target,
        name=name,
        where=where,
        rule=RULES[one.rule],
        limits=limits_words(verdict, one),
        reason=_reason(verdict, one, target),
        decisive=tuple(_check(record, verdict, each) for each in decisive),
        checks=tuple(
            _check(record, verdict, each) for each in verdict.checks if each.target == one.target
        ),
    )


def _check(record: ReportRecord, verdict: Verdict, check: Check) -> CheckView:
    cell = next((one for one in record.cells if one.cell == check.cell), None)
    threshold = verdict.policy.thresholds[check.threshold]
    words = check_words(check, threshold, cell)
    if threshold.measure == "dice_loss":
        words = " ".join(filter(None, [words, _reference_words(record, check)]))
    return CheckView(check, threshold, cell, words)


def _reference_words(record: ReportRecord, check: Check) -> str:
    """Word the undefended network's Dice, from which a loss is measured; empty without one."""
    target = next(one for one in record.targets if one.target == check.target)
    base = plain_network(target, record.targets)
    if base is None or base.utility is None:
        return ""
    classes = [
        f"{spelled} {figure(base.utility.by_class.get(name), reason='in no patient')}"
        for name, spelled in _CLASSES.items()
    ]
    mean = f"The undefended network reaches a mean Dice of {estimate(base.utility.mean)}"
    return f"{mean}: {listed(classes)}."


def check_words(check: Check, threshold: Threshold, cell: CellRecord | None) -> str:
    """One check as a sentence: what was reached, by what, and what the policy allows."""
    what, over = _words(threshold.measure), _over(check, threshold)
    digits = equal_digits(check, threshold)
    limit = scientific(threshold.limit) if digits is None else figure(threshold.limit, digits)
    if check.observed is None:
        limit = scientific(threshold.limit)
    digits = digits or 6
    allowed = f"the policy allows {limit}"
    by = f"{spoken(cell.attack_name)} ({cell.seen_by}): " if cell is not None else ""
    if check.observed is None and threshold.measure == "epsilon":
        why = check.reason.removeprefix("nothing is claimed: ")
        return (
            f"The policy asks for a guarantee on what is released, of an epsilon of at most "
            f"{limit}. There is none that counts: {why}."
        )
    if check.observed is None:
        return f"{by}No figure for {what}, {check.reason}; {allowed}."
    reached = f"{by}{what} was {figure(check.observed, digits)}{over}"
    if threshold.bound == "upper" and check.held is not None and check.held != check.observed:
        reached += f" ({BOUNDS['upper']} {figure(check.held, digits)})"
    if check.reason:
        reached += f": {check.reason}"
    if check.rule is Rule.TOO_FEW_PATIENTS:
        reached += f", {figure(threshold.n_min)} at least"
    return f"{reached[:1].upper()}{reached[1:]}; {allowed}."


def _highest_held(checks: Sequence[CheckView], measure: str) -> tuple[CheckView, ...]:
    """Return for each limit on a measure the check with the highest figure."""
    highest: dict[int, CheckView] = {}
    held = [one for one in checks if one.threshold.measure == measure]
    for one in sorted(held, key=lambda each: -(each.check.held or 0.0)):
        if one.check.held is not None:
            highest.setdefault(one.check.threshold, one)
    return tuple(highest[number] for number in sorted(highest))


def _held_words(view: CheckView) -> str:
    """A figure beside its limit, in equal digits."""
    check, threshold = view.check, view.threshold
    digits = equal_digits(check, threshold)
    limit = scientific(threshold.limit) if digits is None else figure(threshold.limit, digits)
    return (
        f"Compared with the policy's limit on {threshold_words(threshold)}: "
        f"{figure(check.held, digits or 6)}{_end_words(check)}; at most {limit} is allowed."
    )


def _end_words(check: Check) -> str:
    return "" if check.held == check.observed else f", the {BOUNDS['upper']}"


def _over(check: Check, threshold: Threshold) -> str:
    """Over whom: ``for the worst of 5 patients, P7``."""
    if not check.n:
        return ""
    patients = patients_words(check.n)
    if threshold.quantifier == "worst_patient":
        return f" for the worst of {patients}, {check.patient}"
    if threshold.quantifier == "p95":
        return f" or less for 95 % of {patients}"
    return f" on average over {patients}" if threshold.quantifier else f" of {patients}"


def _reason(verdict: Verdict, one: SettingVerdict, target: TargetRecord) -> str:
    """Why nothing can be said; empty where a figure decided."""
    if one.check is not None:
        return ""
    if one.rule is Rule.REQUIRED_MISSING or (one.missing and one.rule is Rule.NOTHING_MEASURED):
        return f"No figure from {listed(one.missing)}."
    if one.rule is Rule.NOT_TRAINED:
        return f"The training ended {target.state.value}: {target.reason or 'no reason recorded'}."
    if one.rule is Rule.OPEN_CAUTION:
        return " ".join(f"{each.kind}: {each.words}" for each in verdict.cautions)
    return f"{RULES[one.rule][:1].upper()}{RULES[one.rule][1:]}."
