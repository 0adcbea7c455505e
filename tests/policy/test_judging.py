"""The verdict on records: what fails, what passes, and what never passes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from leakaudit.policy import judge
from leakaudit.policy.figures import LEAST_FOR_P95, of_cell
from leakaudit.records import (
    CellRecord,
    Control,
    FoldRecord,
    Guarantee,
    Interval,
    MaskLeakage,
    MaskScore,
    Matching,
    MatchScore,
    Outcome,
    Policy,
    ReleasedTensor,
    RequiredAttack,
    Rule,
    State,
    TargetRecord,
    Threshold,
    Utility,
    Verdict,
)
from tests.report.sample import interval, leakage, sample_report

RECORD = sample_report()
TARGET = next(one for one in RECORD.targets if one.target == "target-2-1")
PLAIN = next(one for one in RECORD.targets if one.target == "target-2-0")
CELL = next(one for one in RECORD.cells if one.target == TARGET.target and one.state is State.OK)

_SCORES = tuple(
    MaskScore(patient=f"m{number}", dice=dice, blind_floor=0.2)
    for number, dice in enumerate((0.3, 0.9, 0.4, 0.5, 0.6))
)
MASKS = MaskLeakage(
    dice=interval(0.54, 0.1),
    blind_floor=0.2,
    blind_floor_name="average mask",
    advantage=interval(0.42, 0.1),
    patients=_SCORES,
    without_tumour=0,
    objective_first=1.0,
    objective_last=0.5,
)


def threshold(measure: Any = "ssim", limit: float = 0.6, **changes: Any) -> Threshold:
    shares = ("reidentification", "matched", "epsilon")
    quantifier = None if measure in shares else "worst_patient"
    given = {
        "measure": measure,
        "limit": limit,
        "quantifier": quantifier,
        "bound": "upper",
        "n_min": 5,
        "delta": 1e-5 if measure == "epsilon" else None,
        "rationale": "a reason",
        "owner": "officer",
        "date": "2026-01-31",
    }
    return Threshold(**{**given, **changes})


def policy(*thresholds: Threshold, **changes: Any) -> Policy:
    given: dict[str, Any] = {"required": None, "proposed": ()}
    return Policy(owner="officer", date="2026-01-31", thresholds=thresholds, **(given | changes))


def cell(ssim: float = 0.5, **changes: Any) -> CellRecord:
    return CELL.model_copy(update={"leakage": leakage(ssim), **changes})


def verdict(policy: Policy, *cells: CellRecord, targets: tuple[TargetRecord, ...] = ()) -> Verdict:
    return judge(policy, targets or (PLAIN, TARGET), cells, {TARGET.target})


def ended(policy: Policy, *cells: CellRecord, **more: Any) -> tuple[Outcome, Rule]:
    found = verdict(policy, *cells, **more)
    assert found.exit_code == {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 3}[found.outcome]
    return found.outcome, found.rule


def test_a_worst_patient_fails_where_the_mean_passes() -> None:
    worst = max(one.ssim_brain for one in leakage(0.5).patients)
    limit = (worst + 0.5) / 2
    mean = threshold(limit=limit, quantifier="mean", bound="estimate")
    assert ended(policy(mean), cell(0.5)) == (Outcome.PASS, Rule.ALL_HOLD)
    found = verdict(policy(threshold(limit=limit)), cell(0.5))
    assert (found.outcome, found.rule) == (Outcome.FAIL, Rule.VIOLATED)
    decided = found.checks[found.settings[0].check or 0]
    assert decided.observed == worst
    assert decided.cell == CELL.cell
    assert decided.patient == max(leakage(0.5).patients, key=lambda one: one.ssim_brain).patient


def test_the_upper_end_of_an_interval_must_hold_not_the_mean_alone() -> None:
    reached = leakage(0.5).ssim_brain
    assert reached.high is not None
    between = (reached.mean + reached.high) / 2
    upper = threshold(limit=between, quantifier="mean")
    assert ended(policy(upper), cell(0.5)) == (Outcome.INCONCLUSIVE, Rule.NOT_SHOWN)
    assert ended(policy(threshold(limit=reached.high, quantifier="mean")), cell(0.5)) == (
        Outcome.PASS,
        Rule.ALL_HOLD,
    )
    below = threshold(limit=reached.mean - 0.01, quantifier="mean")
    assert ended(policy(below), cell(0.5)) == (Outcome.FAIL, Rule.VIOLATED)


def test_a_figure_at_its_limit_holds_and_the_least_above_it_does_not() -> None:
    worst = max(one.ssim_brain for one in leakage(0.5).patients)
    assert ended(policy(threshold(limit=worst)), cell(0.5)) == (Outcome.PASS, Rule.ALL_HOLD)
    below = float(np.nextafter(worst, 0))
    assert ended(policy(threshold(limit=below)), cell(0.5)) == (Outcome.FAIL, Rule.VIOLATED)


@pytest.mark.parametrize("end", ["mean", "high"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_refused_and_never_passes(end: str, value: float) -> None:
    # A copy of a record is not validated, so such a value may come this far.
    reached = leakage(0.5)
    broken = reached.ssim_brain.model_copy(update={end: value})
    figures = reached.model_copy(update={"ssim_brain": broken})
    mean = policy(threshold(limit=0.9, quantifier="mean"))
    assert ended(mean, cell(leakage=reached))[0] is Outcome.PASS
    with pytest.raises(ValidationError, match="finite number"):
        verdict(mean, cell(leakage=figures))


def test_one_patient_has_no_interval_and_so_never_passes_on_one() -> None:
    alone = leakage(0.2).model_copy(update={"ssim_brain": interval(0.2, n=1)})
    one = threshold(quantifier="mean", n_min=1)
    assert ended(policy(one), cell(leakage=alone)) == (Outcome.INCONCLUSIVE, Rule.NOT_SHOWN)


@pytest.mark.parametrize(
    "state", [State.FAILED, State.TIMED_OUT, State.NOT_RUN, State.CONTROL_FAILED]
)
def test_an_attack_without_a_figure_never_helps_to_pass(state: State) -> None:
    crashed = cell(state=state, leakage=None, withheld=leakage(0.1), attack_name="other")
    assert ended(policy(threshold()), cell(0.4)) == (Outcome.PASS, Rule.ALL_HOLD)
    found = verdict(policy(threshold()), cell(0.4), crashed)
    assert (found.outcome, found.rule) == (Outcome.INCONCLUSIVE, Rule.REQUIRED_MISSING)
    assert found.settings[0].missing == (f"other under {CELL.seen_by}: {state.value}",)
    assert ended(policy(threshold()), cell(0.9), crashed)[0] is Outcome.FAIL
    assert ended(policy(threshold()), crashed) == (Outcome.INCONCLUSIVE, Rule.NOTHING_MEASURED)


@pytest.mark.parametrize("control", ["negative_control", "positive_control"])
@pytest.mark.parametrize("outcome", [None, Control(passed=None, detail="not made")])
def test_a_figure_without_its_controls_is_none(control: str, outcome: Control | None) -> None:
    bare = cell(0.2, cell="bare", attack_name="other", **{control: outcome})
    found = verdict(policy(threshold()), cell(0.4), bare)
    assert (found.outcome, found.rule) == (Outcome.INCONCLUSIVE, Rule.REQUIRED_MISSING)
    assert found.settings[0].missing == (f"other under {CELL.seen_by}: a control was not made",)
    assert ended(policy(threshold()), bare) == (Outcome.INCONCLUSIVE, Rule.NOTHING_MEASURED)
    high = bare.model_copy(update={"leakage": leakage(0.9)})
    ours = policy(threshold(), required=(RequiredAttack(attack=CELL.attack_name),))
    assert ended(ours, cell(0.4), high) == (Outcome.FAIL, Rule.VIOLATED)


def test_an_attack_that_reads_no_disguise_never_helps_to_pass() -> None:
    made = {passed: Control(passed=passed, detail="made") for passed in (True, False, None)}
    for passed, control in made.items():
        found = ended(policy(threshold()), cell(0.2, disguise_control=control))
        assert found[0] is (Outcome.PASS if passed else Outcome.INCONCLUSIVE)
        high = cell(0.9, disguise_control=control)
        assert ended(policy(threshold()), high) == (Outcome.FAIL, Rule.VIOLATED)
    assert ended(policy(threshold()), cell(0.2, disguise_control=None))[0] is Outcome.PASS


def test_a_verdict_that_does_not_agree_with_itself_is_none() -> None:
    good = verdict(policy(threshold()), cell(0.9)).model_dump()
    for change in (
        {"exit_code": 0},
        {"outcome": Outcome.PASS, "exit_code": 0},
        {"counts": dict.fromkeys(Outcome, 0)},
        {"setting": None},
    ):
        with pytest.raises(ValidationError):
            Verdict.model_validate({**good, **change})


def test_an_unsupported_attack_is_asked_of_nobody_unless_the_policy_names_it() -> None:
    other = cell(state=State.UNSUPPORTED, leakage=None, attack_name="other")
    assert ended(policy(threshold()), cell(0.4), other)[0] is Outcome.PASS
    asked = policy(threshold(), required=(RequiredAttack(attack="other"),))
    assert ended(asked, cell(0.4), other) == (Outcome.INCONCLUSIVE, Rule.REQUIRED_MISSING)
    absent = policy(threshold(), required=(RequiredAttack(attack="never-planned"),))
    assert ended(absent, cell(0.4)) == (Outcome.INCONCLUSIVE, Rule.REQUIRED_MISSING)
    threat = RequiredAttack(attack=CELL.attack_name, threat="another-threat")
    assert ended(policy(threshold(), required=(threat,)), cell(0.4))[0] is Outcome.INCONCLUSIVE
    ours = RequiredAttack(attack=CELL.attack_name, threat=CELL.threat)
    broken = cell(state=State.FAILED, leakage=None, attack_name="other")
    assert ended(policy(threshold(), required=(ours,)), cell(0.4), broken)[0] is Outcome.PASS


def test_what_is_not_required_fails_all_the_same() -> None:
    ours = RequiredAttack(attack=CELL.attack_name)
    stronger = cell(0.9, attack_name="other")
    asked = policy(threshold(), required=(ours,))
    assert ended(asked, cell(0.4), stronger) == (Outcome.FAIL, Rule.VIOLATED)


def test_a_cell_that_is_a_control_alone_decides_nothing() -> None:
    control = cell(0.99, control_only=True)
    assert ended(policy(threshold()), cell(0.4), control)[0] is Outcome.PASS
    assert ended(policy(threshold()), control)[1] is Rule.NOTHING_MEASURED


def test_an_attack_on_one_tensor_can_fail_a_setting_and_never_pass_it() -> None:
    tensor = ReleasedTensor(site=1, level=0)
    low, high = (
        cell(ssim, cell=f"tensor {ssim}", attack_name="tensor-inversion", tensor=tensor)
        for ssim in (0.2, 0.9)
    )
    whole = cell(0.4)
    assert ended(policy(threshold()), whole, low) == (Outcome.PASS, Rule.ALL_HOLD)
    assert ended(policy(threshold()), whole, high) == (Outcome.FAIL, Rule.VIOLATED)
    crashed = whole.model_copy(update={"state": State.FAILED, "leakage": None})
    required = policy(threshold(), required=(RequiredAttack(attack="tensor-inversion"),))
    for one in (policy(threshold()), required):
        assert ended(one, low) == (Outcome.INCONCLUSIVE, Rule.NOTHING_MEASURED)
        assert ended(one, low, crashed) == (Outcome.INCONCLUSIVE, Rule.NOTHING_MEASURED)
    masks = whole.model_copy(update={"leakage": None, "mask_leakage": MASKS, "recovers": "masks"})
    assert ended(required, low, masks) == (Outcome.INCONCLUSIVE, Rule.UNMEASURED)


def test_too_few_patients_never_pass_and_still_fail() -> None:
    few = threshold(n_min=6)
    assert ended(policy(few), cell(0.4)) == (Outcome.INCONCLUSIVE, Rule.TOO_FEW_PATIENTS)
    assert ended(policy(few), cell(0.9)) == (Outcome.FAIL, Rule.VIOLATED)


def test_a_network_that_was_not_trained_passes_nothing() -> None:
    failed = TARGET.model_copy(update={"state": State.FAILED, "reason": "loss is NaN"})
    found = ended(policy(threshold()), cell(0.4), targets=(PLAIN, failed))
    assert found == (Outcome.INCONCLUSIVE, Rule.NOT_TRAINED)


def test_without_a_setting_to_judge_nothing_passes() -> None:
    found = judge(policy(threshold()), (PLAIN, TARGET), (cell(0.1),), set())
    assert (found.outcome, found.rule, found.setting) == (
        Outcome.INCONCLUSIVE,
        Rule.NOTHING_JUDGED,
        None,
    )


def test_the_worst_setting_decides_the_whole() -> None:
    other = TARGET.model_copy(update={"target": "another"})
    both = (cell(0.2), cell(0.9, target="another", cell="c2"))
    found = judge(policy(threshold()), (TARGET, other), both, {TARGET.target, "another"})
    assert [one.outcome for one in found.settings] == [Outcome.PASS, Outcome.FAIL]
    assert (found.outcome, found.setting) == (Outcome.FAIL, 1)


MATCHING = Matching(
    top1=1.0,
    low=0.48,
    high=1.0,
    chance=0.1,
    gallery=10,
    n=5,
    patients=tuple(
        MatchScore(patient=f"m{number}", hit=1.0, rank=1.0, margin=2.0) for number in range(5)
    ),
)


@pytest.mark.parametrize(
    ("hits", "low", "ends"),
    [
        (1, 0.005, (Outcome.INCONCLUSIVE, Rule.NOT_SHOWN)),
        (2, 0.053, (Outcome.INCONCLUSIVE, Rule.NOT_SHOWN)),
        (3, 0.147, (Outcome.FAIL, Rule.VIOLATED)),
    ],
)
def test_of_five_patients_one_or_two_are_picked_out_by_luck(
    hits: int, low: float, ends: tuple[Outcome, Rule]
) -> None:
    who: dict[str, Any] = {"cell": "who", "attack_name": "matching", "recovers": "identities"}
    share = {"top1": hits / 5, "low": low, "high": 0.9, "chance": 1 / 15, "gallery": 15}
    matched = cell(leakage=None, matching=MATCHING.model_copy(update=share), **who)
    assert ended(policy(threshold("matched", 0.1)), matched) == ends
    (check,) = verdict(policy(threshold("matched", 0.1)), matched).checks
    assert (check.reason == "so many may be picked out by chance") == (hits < 3)
    figures = leakage(0.2)
    picked = figures.reidentification.model_copy(update={**share, "n": 5})
    seen = cell(leakage=figures.model_copy(update={"reidentification": picked}))
    assert ended(policy(threshold("reidentification", 0.1)), seen) == ends


def test_who_is_matched_counts_for_its_own_measure_alone() -> None:
    other: dict[str, Any] = {"cell": "who", "attack_name": "matching", "recovers": "identities"}
    low = MATCHING.model_copy(update={"top1": 0.2, "low": 0.0, "high": 0.7})
    found, hidden = (cell(leakage=None, matching=one, **other) for one in (MATCHING, low))
    limit = policy(threshold("matched", 0.6))
    assert ended(limit, found) == (Outcome.FAIL, Rule.VIOLATED)
    assert ended(limit, cell(0.1)) == (Outcome.INCONCLUSIVE, Rule.UNMEASURED)
    assert ended(limit, hidden) == (Outcome.INCONCLUSIVE, Rule.NOT_SHOWN)
    assert ended(policy(threshold("matched", 0.7)), hidden) == (Outcome.PASS, Rule.ALL_HOLD)
    estimate = policy(threshold("matched", 0.6, bound="estimate"))
    assert ended(estimate, hidden) == (Outcome.PASS, Rule.ALL_HOLD)
    few = policy(threshold("matched", 0.9, n_min=6))
    assert ended(few, hidden) == (Outcome.INCONCLUSIVE, Rule.TOO_FEW_PATIENTS)
    for measure in ("ssim", "advantage", "mask_dice", "reidentification", "clinical_harm"):
        limit = policy(threshold(measure, 0.0))
        assert ended(limit, hidden) == (Outcome.INCONCLUSIVE, Rule.UNMEASURED), measure
    failed = found.model_copy(update={"state": State.CONTROL_FAILED, "matching": None})
    assert ended(policy(threshold()), cell(0.4), failed)[1] is Rule.REQUIRED_MISSING


def test_masks_are_limited_as_masks_and_advantage_counts_both() -> None:
    only = cell(leakage=None, mask_leakage=MASKS, recovers="masks", victims="training")
    assert ended(policy(threshold("ssim")), only) == (Outcome.INCONCLUSIVE, Rule.UNMEASURED)
    assert ended(policy(threshold("mask_dice", 0.8)), only)[0] is Outcome.FAIL
    assert ended(policy(threshold("mask_dice", 0.95)), only)[0] is Outcome.PASS
    reached = of_cell(only, threshold("advantage"))
    assert reached is not None
    assert reached.observed == pytest.approx((0.9 - 0.2) / 0.8)
    assert reached.patient == "m1"


def test_a_guess_that_gets_all_right_leaves_no_advantage_to_measure() -> None:
    def with_floor(value: float, count: int) -> CellRecord:
        base = leakage(0.4)
        patients = tuple(
            one.model_copy(update={"blind_floor": value}) if n < count else one
            for n, one in enumerate(base.patients)
        )
        return cell(leakage=base.model_copy(update={"patients": patients}))

    limit = policy(threshold("advantage", 0.9))
    assert ended(limit, with_floor(1.0, 5)) == (Outcome.INCONCLUSIVE, Rule.UNMEASURED)
    assert ended(limit, with_floor(1.0, 1)) == (Outcome.INCONCLUSIVE, Rule.TOO_FEW_PATIENTS)
    assert ended(limit, with_floor(0.3, 5))[0] is Outcome.PASS


def test_singling_out_is_a_share_with_an_exact_interval() -> None:
    share = leakage(0.2).reidentification
    assert (share.top1, share.high) == (0.0, 0.522)
    found = ended(policy(threshold("reidentification", 0.3)), cell(0.2))
    assert found == (Outcome.INCONCLUSIVE, Rule.NOT_SHOWN)
    estimate = threshold("reidentification", 0.3, bound="estimate")
    assert ended(policy(estimate), cell(0.2))[0] is Outcome.PASS
    assert ended(policy(estimate), cell(0.8))[0] is Outcome.FAIL
    other = cell(0.8, recovers="other-site images")
    assert ended(policy(estimate), other) == (Outcome.INCONCLUSIVE, Rule.UNMEASURED)


def test_clinical_harm_is_not_asked_where_it_can_not_be_measured() -> None:
    limit = threshold("clinical_harm", 0.5)
    assert ended(policy(limit), cell(0.4))[0] is Outcome.PASS
    assert ended(policy(limit), cell(0.9))[0] is Outcome.FAIL
    bare = leakage(0.2).model_copy(update={"harm": None})
    assert ended(policy(limit), cell(leakage=bare)) == (Outcome.INCONCLUSIVE, Rule.UNMEASURED)
    member = cell(0.9, victims="training", cell="c2")
    assert ended(policy(limit), cell(0.4), member)[0] is Outcome.PASS


def claim(**changes: Any) -> TargetRecord:
    given: dict[str, Any] = {
        "claimed": True,
        "epsilon": 4.0,
        "delta": 1e-5,
        "releases": 8,
        "mechanism": "m",
        "assumptions": (),
        "reason": "",
    }
    return TARGET.model_copy(update={"guarantee": Guarantee(**(given | changes))})


def test_epsilon_counts_only_as_a_claim_on_what_is_released() -> None:
    both = policy(threshold("epsilon", 4.1), threshold())
    assert ended(both, cell(0.4), targets=(PLAIN, claim()))[0] is Outcome.PASS
    for target in (
        claim(epsilon=4.4),
        claim(claimed=False, reason="one party does not clip"),
        claim(covers="weights"),
        claim(delta=1e-3),
        claim(delta=None),
        claim(epsilon=0.5, delta=0.5),
        TARGET.model_copy(update={"guarantee": None}),
    ):
        found = verdict(both, cell(0.4), targets=(PLAIN, target))
        epsilon = target.guarantee.epsilon if target.guarantee else None
        rule = Rule.VIOLATED if epsilon == 4.4 else Rule.NOT_CLAIMED
        assert (found.outcome, found.rule) == (Outcome.FAIL, rule)
        assert found.checks[found.settings[0].check or 0].cell is None


def test_a_claim_that_hides_nothing_is_none() -> None:
    weak = policy(threshold("epsilon", 1000.0), threshold())
    assert ended(weak, cell(0.4), targets=(PLAIN, claim(epsilon=302.7)))[1] is Rule.NOT_CLAIMED
    assert ended(weak, cell(0.4), targets=(PLAIN, claim()))[0] is Outcome.PASS


def test_a_training_that_broke_off_claims_nothing_and_fails_nothing() -> None:
    failed = claim().model_copy(update={"state": State.TIMED_OUT, "guarantee": None})
    found = ended(policy(threshold("epsilon", 8.0), threshold()), targets=(PLAIN, failed))
    assert found == (Outcome.INCONCLUSIVE, Rule.NOT_TRAINED)


def dice(target: TargetRecord, values: tuple[float, ...]) -> TargetRecord:
    assert target.utility is not None
    named = zip(target.utility.patients, values, strict=True)
    patients = tuple(one.model_copy(update={"mean": value}) for one, value in named)
    gained = Interval(mean=0.4, low=0.3, high=0.5, n=5, method="t")
    return target.model_copy(
        update={
            "above_untrained": gained,
            "utility": Utility(
                mean=Interval(mean=0.5, low=None, high=None, n=5, method="t"),
                by_class={},
                absent={},
                patients=patients,
            ),
        }
    )


def test_dice_is_lost_to_the_undefended_network_of_the_same_cut_and_seed() -> None:
    plain = dice(PLAIN, (0.7, 0.7, 0.7, 0.7, 0.7))
    limits = policy(threshold("dice_loss", 0.05, quantifier="mean"), threshold(limit=0.9))
    for lost, outcome in ((0.02, Outcome.PASS), (0.06, Outcome.FAIL)):
        ours = dice(TARGET, (0.7 - lost,) * 5)
        assert ended(limits, cell(0.4), targets=(plain, ours))[0] is outcome
    uneven = dice(TARGET, (0.7, 0.7, 0.7, 0.7, 0.5))
    found = ended(limits, cell(0.4), targets=(plain, uneven))
    assert found == (Outcome.INCONCLUSIVE, Rule.NOT_SHOWN)
    worst = policy(threshold("dice_loss", 0.05), threshold(limit=0.9))
    assert ended(worst, cell(0.4), targets=(plain, uneven))[0] is Outcome.FAIL
    other_seed = plain.model_copy(update={"seed": plain.seed + 1})
    found = ended(limits, cell(0.4), targets=(other_seed, uneven))
    assert found == (Outcome.INCONCLUSIVE, Rule.UNMEASURED)


def test_a_loss_that_differs_from_fold_to_fold_is_not_shown_to_be_small() -> None:
    limits = policy(threshold("dice_loss", 0.05, quantifier="mean"), threshold(limit=0.9))
    plain = dice(PLAIN, (0.7,) * 5)
    ours = dice(TARGET, (0.68, 0.68, 0.68, 0.66, 0.66))
    assert ended(limits, cell(0.4), targets=(plain, ours))[0] is Outcome.PASS
    assert ours.utility is not None
    names = tuple(one.patient for one in ours.utility.patients)
    folds = tuple(
        FoldRecord(fold=number, key=str(number), state=State.OK, patients=patients)
        for number, patients in enumerate((names[:3], names[3:]), 1)
    )
    in_folds = ours.model_copy(update={"folds": folds})
    found = ended(limits, cell(0.4), targets=(plain, in_folds))
    assert found == (Outcome.INCONCLUSIVE, Rule.NOT_SHOWN)


@pytest.mark.parametrize("whose", ["plain", "ours"])
@pytest.mark.parametrize("gained", [(-0.01, 0.03), None], ids=["nothing", "unknown"])
def test_a_small_loss_between_networks_that_segment_nothing_shows_nothing(
    whose: str, gained: tuple[float, float] | None
) -> None:
    nothing = gained and Interval(mean=0.01, low=gained[0], high=gained[1], n=5, method="t")
    useless = {"above_untrained": nothing}
    plain, ours = dice(PLAIN, (0.05,) * 5), dice(TARGET, (0.04,) * 5)
    if whose == "plain":
        plain = plain.model_copy(update=useless)
    else:
        ours = ours.model_copy(update=useless)
    for bound in ("upper", "estimate"):
        limit = policy(
            threshold("dice_loss", 0.05, quantifier="mean", bound=bound), threshold(limit=0.9)
        )
        found = verdict(limit, cell(0.4), targets=(plain, ours))
        assert (found.outcome, found.rule) == (Outcome.INCONCLUSIVE, Rule.UNMEASURED)
        assert "worth no more than an untrained one" in found.checks[0].reason
        lost = dice(ours, (0.04,) * 5).model_copy(update={"above_untrained": ours.above_untrained})
        before = dice(plain, (0.4,) * 5).model_copy(
            update={"above_untrained": plain.above_untrained}
        )
        assert ended(limit, cell(0.4), targets=(before, lost)) == (Outcome.FAIL, Rule.VIOLATED)


def test_a_percentile_needs_59_patients_for_its_bound() -> None:
    base = leakage(0.5)

    def of(count: int) -> CellRecord:
        patients = tuple(
            base.patients[0].model_copy(update={"patient": f"p{k}", "ssim_brain": k / count})
            for k in range(count)
        )
        return cell(leakage=base.model_copy(update={"patients": patients}))

    limit = threshold(limit=0.999, quantifier="p95")
    assert LEAST_FOR_P95 == 59
    assert ended(policy(limit), of(58)) == (Outcome.INCONCLUSIVE, Rule.NOT_SHOWN)
    assert ended(policy(limit), of(59))[0] is Outcome.PASS
    figure = of_cell(of(100), limit)
    assert figure is not None
    assert figure.observed == 0.94  # 95 of 100 do not exceed it
    assert figure.upper == 0.98
    estimate = threshold(limit=0.95, quantifier="p95", bound="estimate")
    assert ended(policy(estimate), of(100))[0] is Outcome.PASS


def test_the_first_threshold_that_is_violated_decides() -> None:
    found = verdict(policy(threshold("advantage", 0.9), threshold("ssim", 0.1)), cell(0.5))
    deciding = found.checks[found.settings[0].check or 0]
    assert deciding.threshold == 1
    two = verdict(policy(threshold()), cell(0.7, cell="a"), cell(0.8, cell="b"))
    assert two.checks[two.settings[0].check or 0].cell == "b"
