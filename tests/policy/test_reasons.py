"""Every check says why it is open, and every verdict names the check and the attacks behind it."""

from __future__ import annotations

from typing import Any

import pytest

from leakaudit.policy import judge
from leakaudit.records import (
    Check,
    Doubt,
    Outcome,
    ReleasedTensor,
    RequiredAttack,
    Rule,
    State,
    Threshold,
    Verdict,
)
from tests.policy.test_judging import (
    CELL,
    MASKS,
    PLAIN,
    TARGET,
    cell,
    claim,
    dice,
    policy,
    threshold,
    verdict,
)
from tests.report.sample import interval, leakage

DOUBT = Doubt(kind="evidence", words="The attack took noise for signal.")
OTHER_SETTING = TARGET.model_copy(update={"target": "another"})


def only(found: Verdict) -> Check:
    (check,) = found.checks
    return check


def deciding(found: Verdict, setting: int = 0) -> Check:
    number = found.settings[setting].check
    assert number is not None
    return found.checks[number]


def reason(limit: Threshold, *cells: Any, **more: Any) -> str:
    return deciding(verdict(policy(limit), *cells, **more)).reason


def test_a_limit_that_nothing_measures_says_whether_it_was_tried() -> None:
    masks = cell(leakage=None, mask_leakage=MASKS, recovers="masks")
    other = threshold("clinical_harm", 0.5)
    assert reason(other, masks) == "no attack was made on it"
    crashed = cell(state=State.FAILED, leakage=None, cell="crashed", attack_name="other")
    theirs = policy(other, required=(RequiredAttack(attack=CELL.attack_name),))
    found = verdict(theirs, masks, crashed)
    assert deciding(found).reason == "no attack that it applies to gave a figure"
    assert (deciding(found).n, deciding(found).cell) == (0, None)
    tensor = ReleasedTensor(site=1, level=0)
    alone = crashed.model_copy(update={"tensor": tensor})
    assert deciding(verdict(theirs, masks, alone)).reason == "no attack was made on it"


def test_an_open_check_says_why() -> None:
    assert reason(threshold(n_min=6), cell(0.2)) == "fewer patients than the policy asks for"
    wide = leakage(0.5).model_copy(update={"ssim_brain": interval(0.5, 0.3)})
    mean = threshold(quantifier="mean")
    assert reason(mean, cell(leakage=wide)) == "the interval reaches beyond the limit"
    single = leakage(0.2).model_copy(update={"ssim_brain": interval(0.2, n=1)})
    one = threshold(quantifier="mean", n_min=1)
    assert reason(one, cell(leakage=single)) == "one patient has no interval"
    few = threshold(limit=0.999, quantifier="p95")
    assert "needs 59 patients, got 5" in reason(few, cell(0.2))


def test_a_missing_epsilon_says_why_and_only_of_what_was_trained() -> None:
    both = policy(threshold("epsilon", 1.0), threshold())
    found = verdict(both, cell(0.4), targets=(PLAIN, claim(claimed=False, reason="no noise")))
    assert deciding(found).reason == "nothing is claimed: no noise"
    assert verdict(both, cell(0.4), targets=(PLAIN, TARGET)).checks[0].rule is Rule.NOT_CLAIMED
    broken = TARGET.model_copy(update={"state": State.FAILED, "guarantee": None})
    found = verdict(both, cell(0.4), targets=(PLAIN, broken))
    assert found.checks[0].rule is Rule.UNMEASURED


def test_a_claim_at_any_delta_is_none_where_the_policy_names_no_delta() -> None:
    limit = threshold("epsilon", 5.0, delta=None)
    found = verdict(policy(limit, threshold()), cell(0.4), targets=(PLAIN, claim(delta=0.1)))
    assert found.checks[0].rule is Rule.NOT_CLAIMED
    assert "delta" in found.checks[0].reason


def test_a_loss_without_a_quantifier_is_that_of_the_mean() -> None:
    plain, ours = dice(PLAIN, (0.7,) * 5), dice(TARGET, (0.7, 0.7, 0.7, 0.7, 0.6))
    limit = threshold("dice_loss", 0.05, quantifier=None, bound="estimate")
    found = verdict(policy(limit, threshold()), cell(0.4), targets=(plain, ours))
    assert found.checks[0].observed == pytest.approx(0.02)
    assert found.outcome is Outcome.PASS


def test_every_threshold_is_held_against_every_cell() -> None:
    limits = policy(threshold("epsilon", 8.0), threshold(), threshold("advantage", 0.9))
    cells = (cell(0.2, cell="a"), cell(0.3, cell="b"))
    found = verdict(limits, *cells, targets=(PLAIN, claim()))
    made = [(one.threshold, one.cell) for one in found.checks]
    assert made == [(0, None), (1, "a"), (1, "b"), (2, "a"), (2, "b")]


def test_a_check_keeps_what_was_observed_and_what_was_held() -> None:
    reached = leakage(0.4).ssim_brain
    for bound, held in (("upper", reached.high), ("estimate", reached.mean)):
        check = only(verdict(policy(threshold(quantifier="mean", bound=bound)), cell(0.4)))
        assert (check.observed, check.held, check.n) == (reached.mean, held, reached.n)


def test_a_pass_names_the_check_that_came_nearest_to_its_limit() -> None:
    cells = (cell(0.1, cell="a"), cell(0.4, cell="b"), cell(0.2, cell="c"))
    for limit in (0.55, 0.95):
        assert deciding(verdict(policy(threshold(limit=limit)), *cells)).cell == "b"
    two = policy(threshold("advantage", 0.9), threshold(limit=0.55))
    assert deciding(verdict(two, *cells)).threshold == 0


def test_a_figure_of_zero_is_not_taken_for_a_missing_one() -> None:
    negative = cell(-0.3, cell="below")
    zero = leakage(0.0)
    patients = tuple(one.model_copy(update={"ssim_brain": 0.0}) for one in zero.patients)
    none = cell(leakage=zero.model_copy(update={"patients": patients}), cell="zero")
    assert deciding(verdict(policy(threshold()), negative, none)).cell == "zero"
    small = cell(0.05, cell="small")
    assert deciding(verdict(policy(threshold()), none, small)).cell == "small"


def test_an_inconclusive_setting_names_its_open_check() -> None:
    wide = leakage(0.5).model_copy(update={"ssim_brain": interval(0.5, 0.3)})
    cells = (cell(0.2, cell="a"), cell(leakage=wide, cell="b"))
    found = verdict(policy(threshold(quantifier="mean")), *cells)
    assert (found.rule, deciding(found).cell) == (Rule.NOT_SHOWN, "b")


def test_doubts_are_set_aside_setting_by_setting() -> None:
    """The checks of a second setting are numbered on, and its own doubts are its own."""
    ours = policy(threshold(), required=(RequiredAttack(attack=CELL.attack_name),))
    doubted = {"attack_name": "other", "doubts": (DOUBT,)}
    cells = (
        cell(0.2, cell="a1"),
        cell(0.1, cell="a2", **doubted),
        cell(0.2, cell="b1", target="another"),
        cell(0.1, cell="b2", target="another", **doubted),
    )
    found = judge(ours, (TARGET, OTHER_SETTING), cells, {TARGET.target, "another"})
    assert [one.outcome for one in found.settings] == [Outcome.PASS, Outcome.PASS]
    assert deciding(found, 1).cell == "b1"


def test_a_doubt_is_set_aside_only_where_a_whole_attack_shows_that_the_limit_holds() -> None:
    ours = policy(threshold(quantifier="mean"), required=(RequiredAttack(attack=CELL.attack_name),))
    wide = leakage(0.5).model_copy(update={"ssim_brain": interval(0.5, 0.3)})
    open_cell = cell(leakage=wide, cell="open")
    doubted = cell(0.1, cell="doubted", attack_name="other", doubts=(DOUBT,))
    assert verdict(ours, open_cell, doubted).rule is Rule.DOUBTED
    tensor = cell(0.1, cell="tensor", tensor=ReleasedTensor(site=1, level=0))
    assert verdict(ours, open_cell, tensor, doubted).rule is Rule.DOUBTED


def test_missing_attacks_are_all_named_with_their_threat_and_state() -> None:
    asked = (
        RequiredAttack(attack="never"),
        RequiredAttack(attack="gone", threat="aggregator"),
        RequiredAttack(attack="crashed"),
        RequiredAttack(attack="slow"),
    )
    cells = (
        cell(0.4),
        cell(cell="c", attack_name="crashed", state=State.FAILED, leakage=None),
        cell(cell="d", attack_name="slow", state=State.TIMED_OUT, leakage=None),
        cell(0.3, cell="e", attack_name="slow"),
    )
    found = verdict(policy(threshold(), required=asked), *cells)
    assert found.settings[0].missing == (
        "never: not made on this setting",
        "gone under aggregator: not made on this setting",
        f"crashed under {CELL.seen_by}: failed",
        f"slow under {CELL.seen_by}: timed-out",
    )


def test_an_attack_whose_state_says_why_is_not_called_uncontrolled() -> None:
    failed = cell(
        cell="c",
        attack_name="crashed",
        state=State.FAILED,
        leakage=None,
        negative_control=None,
        positive_control=None,
    )
    found = verdict(policy(threshold()), cell(0.4), failed)
    assert found.settings[0].missing == (f"crashed under {CELL.seen_by}: failed",)


def test_the_whole_has_the_gravest_outcome_of_its_settings() -> None:
    crashed = cell(cell="b", target="another", state=State.FAILED, leakage=None)
    both = {TARGET.target, "another"}
    found = judge(policy(threshold()), (TARGET, OTHER_SETTING), (cell(0.2), crashed), both)
    assert (found.outcome, found.setting) == (Outcome.INCONCLUSIVE, 1)
    assert found.counts == {Outcome.PASS: 1, Outcome.FAIL: 0, Outcome.INCONCLUSIVE: 1}
    found = judge(policy(threshold()), (OTHER_SETTING, TARGET), (cell(0.9), crashed), both)
    assert (found.outcome, found.setting) == (Outcome.FAIL, 1)
