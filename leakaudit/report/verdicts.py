"""The verdict in words: which rule decided, on which setting, by which attack on whom."""

from __future__ import annotations

from dataclasses import dataclass

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
from leakaudit.report.formatting import (
    estimate,
    figure,
    levels,
    listed,
    patients_words,
    scientific,
    spoken,
)
from leakaudit.report.protections import in_words, protections

MEASURES = {
    "ssim": "SSIM inside the brain",
    "mask_dice": "Dice of recovered masks",
    "advantage": "advantage over a blind guess",
    "reidentification": "share of patients picked out",
    "clinical_harm": "tumour Dice on reconstructions",
    "epsilon": "epsilon of a claim on what is released",
    "dice_loss": "loss of mean Dice to the undefended network of the same cut",
}
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
    Outcome.PASS: "For the settings up for use, the patients and the attacks that were tried, "
    "every limit of the policy holds.",
    Outcome.FAIL: "A limit of the policy is exceeded.",
    Outcome.INCONCLUSIVE: "It is not shown that the policy's limits hold, nor that they do not.",
}
# The classes whose Dice are averaged.
_CLASSES = {
    "edema": "edema",
    "non_enhancing": "non-enhancing tumour",
    "enhancing": "enhancing tumour",
}
_NOT_CLAIMED = "The policy asks for a guarantee that is not claimed."
RULES = {
    Rule.VIOLATED: "a measured figure exceeds a limit",
    Rule.NOT_CLAIMED: "the policy asks for a guarantee, and none that it accepts is claimed",
    Rule.NOT_TRAINED: "the network was not trained to its end",
    Rule.NOTHING_MEASURED: "no attack gave a valid figure",
    Rule.REQUIRED_MISSING: "a required attack has no valid figure",
    Rule.UNMEASURED: "there is no figure that could show that a limit holds",
    Rule.TOO_FEW_PATIENTS: "a figure rests on fewer patients than the policy asks for",
    Rule.NOT_SHOWN: "the interval of a figure reaches beyond a limit",
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
    """The verdict on one setting; ``deciding`` is None if no figure decided."""

    verdict: SettingVerdict
    target: TargetRecord
    name: str
    where: str
    rule: str
    sentence: str
    deciding: CheckView | None
    checks: tuple[CheckView, ...]


@dataclass(frozen=True)
class VerdictView:
    """The verdict as the page and the terminal show it."""

    verdict: Verdict
    meaning: str
    rule: str
    sentence: str
    settings: tuple[SettingOutcome, ...]
    unlimited: tuple[str, ...]

    @property
    def outcomes(self) -> dict[str, str]:
        """The verdict on each setting, by its key."""
        return {one.verdict.target: one.verdict.outcome.value for one in self.settings}


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
        meaning=_NOT_CLAIMED if verdict.rule is Rule.NOT_CLAIMED else OUTCOMES[verdict.outcome],
        rule=RULES[verdict.rule],
        sentence=sentence,
        settings=settings,
        unlimited=unlimited(verdict),
    )


def setting_name(target: TargetRecord) -> tuple[str, str]:
    """A setting in words, ``Gaussian noise, std 1.0``, and where it is cut."""
    parts = protections(target.defense, target.cut_level, target.shared_skips, target.bottleneck)
    name = ", ".join(part for part in in_words(parts) if part)
    where = levels(target.cut_level, target.shared_skips, target.bottleneck)
    return name, f"{where[:1].lower()}{where[1:]}, seed {figure(target.seed)}"


def threshold_words(threshold: Threshold) -> str:
    """What is limited: ``SSIM inside the brain of the worst patient``."""
    measure, over = MEASURES[threshold.measure], QUANTIFIERS[threshold.quantifier]
    return f"{measure} {over}".strip()


def unlimited(verdict: Verdict) -> tuple[str, ...]:
    """What a policy sets no limit on."""
    limited = {one.measure for one in verdict.policy.thresholds}
    return tuple(words for name, words in MEASURES.items() if name not in limited)


def bound_words(threshold: Threshold) -> str:
    """What of a figure is held against the limit."""
    if threshold.measure == "epsilon":
        return "the claim; without one nothing is bounded, which fails"
    if threshold.quantifier == "worst_patient":
        return "the highest figure of any patient"
    return BOUNDS[threshold.bound]


def counts_words(verdict: Verdict) -> str:
    """How many settings got which outcome: ``2 PASS, 1 INCONCLUSIVE``."""
    there = [one for one in Outcome if verdict.counts[one]]
    return listed(tuple(f"{figure(verdict.counts[one])} {one.value}" for one in there))


def _setting(record: ReportRecord, verdict: Verdict, one: SettingVerdict) -> SettingOutcome:
    target = next(each for each in record.targets if each.target == one.target)
    name, where = setting_name(target)
    deciding = None
    if one.check is not None:
        deciding = _check(record, verdict, verdict.checks[one.check])
    return SettingOutcome(
        verdict=one,
        target=target,
        name=name,
        where=where,
        rule=RULES[one.rule],
        sentence=_sentence(one, target, deciding),
        deciding=deciding,
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
    """What the undefended network is worth that a loss is measured from; empty without a Dice."""
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
    what, over = MEASURES[threshold.measure], _over(check, threshold)
    allowed = f"the policy allows {scientific(threshold.limit)}"
    digits = _digits(check, threshold)
    by = f"{spoken(cell.attack_name)} ({cell.seen_by}): " if cell is not None else ""
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


def _digits(check: Check, threshold: Threshold) -> int:
    """As many decimals as tell the figures from the limit, two at least."""
    values = [value for value in (check.observed, check.held) if value is not None]
    for digits in range(2, 6):
        limit = f"{threshold.limit:.{digits}f}"
        if all(value == threshold.limit or f"{value:.{digits}f}" != limit for value in values):
            return digits
    return 6


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


def _sentence(one: SettingVerdict, target: TargetRecord, deciding: CheckView | None) -> str:
    if deciding is not None:
        return deciding.words
    if one.rule is Rule.REQUIRED_MISSING or (one.missing and one.rule is Rule.NOTHING_MEASURED):
        return f"No figure from {listed(one.missing)}."
    if one.rule is Rule.NOT_TRAINED:
        return f"The training ended {target.state.value}: {target.reason or 'no reason recorded'}."
    return f"{RULES[one.rule][:1].upper()}{RULES[one.rule][1:]}."
