"""The verdict: FAIL, INCONCLUSIVE or PASS, and what decided.

Per setting the first rule that applies decides: an ``ok`` cell whose figure exceeds a limit fails
it; without the training, without any figure, without a required attack, without a figure that a
limit asks for, with a required figure that is doubted, with too few patients, with an interval that
reaches beyond a limit, or with an open grave caution about the data it is inconclusive; else it
passes. A crashed attack never helps anybody to pass, and neither does a doubted figure.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from leakaudit.policy.figures import Figure, applies, of_cell, of_dice_loss, of_epsilon
from leakaudit.records import Caution, CellRecord, State, TargetRecord
from leakaudit.records.verdict import (
    GRAVITY,
    OPEN_RULES,
    Check,
    Outcome,
    Policy,
    RequiredAttack,
    Rule,
    SettingVerdict,
    Threshold,
    Verdict,
)

_OF_SETTINGS = ("epsilon", "dice_loss")


def judge(
    policy: Policy,
    targets: Sequence[TargetRecord],
    cells: Sequence[CellRecord],
    judged: Collection[str],
    cautions: Sequence[Caution] = (),
) -> Verdict:
    """Hold a policy against the settings that it is about.

    Args:
        policy: what is allowed.
        targets: every training of the audit.
        cells: every cell.
        judged: keys of the settings that are up for use.
        cautions: what is uncertain about the data.
    """
    accepted = {one.caution for one in policy.accepts}
    uncertain = tuple(one for one in cautions if one.grave and one.kind not in accepted)
    checks: list[Check] = []
    settings: list[SettingVerdict] = []
    for target in targets:
        if target.target in judged and not target.control_only:
            mine = [c for c in cells if c.target == target.target and not c.control_only]
            first = len(checks)
            checks += _checks(policy, target, targets, mine)
            found = _setting(policy, target, mine, checks, first)
            if uncertain and found.outcome is Outcome.PASS:
                open_caution = {"outcome": Outcome.INCONCLUSIVE, "rule": Rule.OPEN_CAUTION}
                found = found.model_copy(update={**open_caution, "check": None})
            settings.append(found)
    rule, number = Rule.NOTHING_JUDGED, None
    outcome = Outcome.INCONCLUSIVE
    if settings:
        outcome = min((one.outcome for one in settings), key=GRAVITY.index)
        number = next(n for n, one in enumerate(settings) if one.outcome is outcome)
        rule = settings[number].rule
    return Verdict(
        outcome=outcome,
        rule=rule,
        setting=number,
        exit_code=outcome.exit_code,
        counts={one: sum(each.outcome is one for each in settings) for one in Outcome},
        policy=policy,
        settings=tuple(settings),
        checks=tuple(checks),
        cautions=uncertain,
    )


def _checks(
    policy: Policy,
    target: TargetRecord,
    targets: Sequence[TargetRecord],
    cells: Sequence[CellRecord],
) -> list[Check]:
    """Every threshold on every cell that has figures; what has none anywhere is open once.

    A figure of one tensor alone can exceed a limit, but not stand for one of all tensors.
    """
    made: list[Check] = []
    for number, threshold in enumerate(policy.thresholds):
        if threshold.measure in _OF_SETTINGS:
            whole = _of_setting(threshold, target, targets)
            trained = target.state is State.OK
            made.append(_check(number, threshold, target.target, None, whole, trained))
            continue
        found = [
            _doubted(cell, _check(number, threshold, target.target, cell.cell, figure))
            for cell in cells
            if cell.state is State.OK and (figure := of_cell(cell, threshold)) is not None
        ]
        made += found
        reads_all = {cell.cell for cell in cells if cell.reads_all}
        if not any(check.cell in reads_all for check in found):
            made.append(_unmeasured(number, threshold, target.target, cells))
    return made


def _of_setting(
    threshold: Threshold, target: TargetRecord, targets: Sequence[TargetRecord]
) -> Figure:
    if threshold.measure == "epsilon":
        return of_epsilon(target, threshold.delta or 0.0)
    return of_dice_loss(target, targets, threshold.quantifier or "mean")


def _unmeasured(
    number: int, threshold: Threshold, target: str, cells: Sequence[CellRecord]
) -> Check:
    tried = any(applies(cell, threshold.measure) for cell in cells if cell.reads_all)
    why = "no attack that it applies to gave a figure" if tried else "no attack was made on it"
    missing = Figure(observed=None, upper=None, n=0, why_not=why)
    return _check(number, threshold, target, None, missing)


def _check(
    number: int,
    threshold: Threshold,
    target: str,
    cell: str | None,
    figure: Figure,
    trained: bool = True,
) -> Check:
    held = figure.upper if threshold.bound == "upper" else figure.observed
    bare = Check(
        threshold=number,
        target=target,
        cell=cell,
        observed=figure.observed,
        held=held,
        n=figure.n,
        patient=figure.patient,
        outcome="open",
    )
    if figure.observed is None:
        if threshold.measure == "epsilon" and trained:
            # Nothing bounds what is learned: that is an answer, not a missing measurement.
            not_claimed = {"rule": Rule.NOT_CLAIMED, "reason": figure.why_not}
            return bare.model_copy(update={"outcome": "violates", **not_claimed})
        return _open(bare, Rule.UNMEASURED, figure.why_not)
    if figure.observed > threshold.limit and figure.may_be_luck:
        return _open(bare, Rule.NOT_SHOWN, "so many may be picked out by chance")
    if figure.observed > threshold.limit:
        return bare.model_copy(update={"outcome": "violates"})
    if figure.shows_nothing:
        return _open(bare, Rule.UNMEASURED, figure.shows_nothing)
    if threshold.measure != "epsilon" and figure.n < threshold.n_min:
        return _open(bare, Rule.TOO_FEW_PATIENTS, "fewer patients than the policy asks for")
    if held is None:
        return _open(bare, Rule.NOT_SHOWN, figure.why_not)
    if held > threshold.limit:
        return _open(bare, Rule.NOT_SHOWN, "the interval reaches beyond the limit")
    return bare.model_copy(update={"outcome": "holds"})


def _doubted(cell: CellRecord, check: Check) -> Check:
    """The check of a figure that counts, or an open one: a doubted figure can only violate."""
    if not cell.doubts or check.outcome == "violates":
        return check
    return _open(check.model_copy(update={"outcome": "open"}), Rule.DOUBTED, cell.doubts[0].words)


def _open(check: Check, rule: Rule, reason: str) -> Check:
    return check.model_copy(update={"rule": rule, "reason": reason})


def _setting(
    policy: Policy,
    target: TargetRecord,
    cells: Sequence[CellRecord],
    checks: Sequence[Check],
    first: int,
) -> SettingVerdict:
    """The verdict on one setting, whose checks are the last from ``first`` on."""
    mine = list(enumerate(checks))[first:]
    missing = tuple(_missing(policy.required, cells))

    def decided(outcome: Outcome, rule: Rule, check: int | None = None) -> SettingVerdict:
        return SettingVerdict(
            target=target.target, outcome=outcome, rule=rule, check=check, missing=missing
        )

    violated = [(number, check) for number, check in mine if check.outcome == "violates"]
    if violated:
        number = _gravest(violated)
        return decided(Outcome.FAIL, checks[number].rule or Rule.VIOLATED, number)
    if target.state is not State.OK:
        return decided(Outcome.INCONCLUSIVE, Rule.NOT_TRAINED)
    if not any(_has_figures(cell) for cell in cells if cell.reads_all):
        return decided(Outcome.INCONCLUSIVE, Rule.NOTHING_MEASURED)
    if missing:
        return decided(Outcome.INCONCLUSIVE, Rule.REQUIRED_MISSING)
    set_aside = _set_aside(policy.required, cells, [check for _, check in mine])
    counted = [(number, check) for number, check in mine if number - first not in set_aside]
    for rule in OPEN_RULES:
        open_check = next((n for n, check in counted if check.rule is rule), None)
        if open_check is not None:
            return decided(Outcome.INCONCLUSIVE, rule, open_check)
    return decided(Outcome.PASS, Rule.ALL_HOLD, _gravest(counted))


def _set_aside(
    required: tuple[RequiredAttack, ...] | None,
    cells: Sequence[CellRecord],
    checks: Sequence[Check],
) -> set[int]:
    """Numbers of the doubted checks that decide nothing.

    The attack is not required, and a figure that is not doubted shows that the limit holds.
    """
    needed = {
        cell.cell
        for cell in cells
        if required is None or any(_asks_for(one, cell) for one in required)
    }
    reads_all = {cell.cell for cell in cells if cell.reads_all}
    shown = {one.threshold for one in checks if one.outcome == "holds" and one.cell in reads_all}
    return {
        number
        for number, one in enumerate(checks)
        if one.rule is Rule.DOUBTED and one.cell not in needed and one.threshold in shown
    }


def _asks_for(required: RequiredAttack, cell: CellRecord) -> bool:
    return cell.attack_name == required.attack and required.threat in ("", cell.threat)


def _gravest(checks: Sequence[tuple[int, Check]]) -> int:
    """The check that lies furthest beyond its limit, or nearest to it, of the first threshold."""
    first = min(check.threshold for _, check in checks)
    of_first = [(number, check) for number, check in checks if check.threshold == first]
    return max(of_first, key=lambda one: one[1].observed or 0.0)[0]


def _missing(required: tuple[RequiredAttack, ...] | None, cells: Sequence[CellRecord]) -> list[str]:
    """Required attacks without a figure; each that is ``unsupported`` everywhere is one."""
    if required is None:
        asked = [cell for cell in cells if cell.state is not State.UNSUPPORTED]
        return [_how(cell) for cell in asked if not _has_figures(cell)]
    gaps = []
    for one in required:
        planned = [
            cell for cell in cells if _asks_for(one, cell) and cell.state is not State.UNSUPPORTED
        ]
        gaps += [_how(cell) for cell in planned if not _has_figures(cell)]
        if not planned:
            under = f" under {one.threat}" if one.threat else ""
            gaps.append(f"{one.attack}{under}: not made on this setting")
    return gaps


def _has_figures(cell: CellRecord) -> bool:
    """Whether the attack has figures that its controls, both made, allow to count."""
    return cell.state is State.OK and cell.figures is not None and not _uncontrolled(cell)


def _uncontrolled(cell: CellRecord) -> bool:
    made = [cell.negative_control, cell.positive_control]
    if cell.disguise_control is not None:  # asked of attacks that read releases alone
        made.append(cell.disguise_control)
    return not all(one is not None and one.passed for one in made)


def _how(cell: CellRecord) -> str:
    what = cell.state.value
    if cell.state is State.OK and _uncontrolled(cell):
        what = "a control was not made"
    return f"{cell.attack_name} under {cell.seen_by}: {what}"
