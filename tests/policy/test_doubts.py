"""Doubted figures and open cautions: what they keep from passing, and what they do not change."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from leakaudit.config.policy import PolicyConfig, resolved_policy
from leakaudit.policy import judge
from leakaudit.records import (
    AcceptedCaution,
    Caution,
    Doubt,
    Outcome,
    RequiredAttack,
    Rule,
    Verdict,
)
from leakaudit.records.cautions import CautionKind
from leakaudit.report.text.verdicts import verdict_view
from tests.policy.test_judging import CELL, PLAIN, RECORD, TARGET, cell, ended, policy, threshold

DOUBT = Doubt(kind="evidence", words="The attack took noise for signal.")
GRAVE = Caution(kind="intensities", grave=True, words="Half of the brain was negative.")
MILD = Caution(kind="labels", grave=False, words="Two of three classes never occur.")


def test_a_doubted_figure_never_helps_to_pass_and_still_fails() -> None:
    doubted = cell(0.2, doubts=(DOUBT,))
    found = judge(policy(threshold()), (PLAIN, TARGET), (doubted,), {TARGET.target})
    assert (found.outcome, found.rule) == (Outcome.INCONCLUSIVE, Rule.DOUBTED)
    decided = found.checks[found.settings[0].check or 0]
    assert (decided.outcome, decided.reason) == ("open", DOUBT.words)
    assert decided.observed is not None
    assert ended(policy(threshold()), cell(0.9, doubts=(DOUBT,))) == (Outcome.FAIL, Rule.VIOLATED)


def test_a_doubted_attack_is_set_aside_only_where_it_is_not_required_and_another_one_shows() -> (
    None
):
    doubted = cell(0.2, cell="doubted", attack_name="other", doubts=(DOUBT,))
    sure = cell(0.4)
    assert ended(policy(threshold()), sure, doubted) == (Outcome.INCONCLUSIVE, Rule.DOUBTED)
    ours = policy(threshold(), required=(RequiredAttack(attack=CELL.attack_name),))
    assert ended(ours, sure, doubted) == (Outcome.PASS, Rule.ALL_HOLD)
    theirs = policy(threshold(), required=(RequiredAttack(attack="other"),))
    assert ended(theirs, sure, doubted) == (Outcome.INCONCLUSIVE, Rule.DOUBTED)
    assert ended(theirs, doubted) == (Outcome.INCONCLUSIVE, Rule.DOUBTED)
    unsure = cell(0.4, doubts=(DOUBT,))
    assert ended(ours, unsure, doubted) == (Outcome.INCONCLUSIVE, Rule.DOUBTED)


def judged(*cautions: Caution, accepts: tuple[CautionKind, ...] = (), ssim: float = 0.4) -> Verdict:
    accepted = tuple(AcceptedCaution(caution=kind, reason="checked by hand") for kind in accepts)
    ours = policy(threshold(), accepts=accepted)
    return judge(ours, (PLAIN, TARGET), (cell(ssim),), {TARGET.target}, cautions)


@pytest.mark.parametrize(
    ("accepts", "outcome", "rule"),
    [
        ((), Outcome.INCONCLUSIVE, Rule.OPEN_CAUTION),
        (("labels",), Outcome.INCONCLUSIVE, Rule.OPEN_CAUTION),
        (("intensities",), Outcome.PASS, Rule.ALL_HOLD),
    ],
)
def test_an_open_grave_caution_keeps_a_setting_from_passing(
    accepts: tuple[CautionKind, ...], outcome: Outcome, rule: Rule
) -> None:
    found = judged(GRAVE, MILD, accepts=accepts)
    assert (found.outcome, found.rule) == (outcome, rule)
    assert found.cautions == (() if outcome is Outcome.PASS else (GRAVE,))


def test_a_caution_excuses_no_leak_and_a_mild_one_stops_nothing() -> None:
    assert judged(GRAVE, ssim=0.9).outcome is Outcome.FAIL
    assert judged(MILD).outcome is Outcome.PASS


def test_the_report_says_what_is_doubted_and_which_caution_is_open() -> None:
    for found, words in (
        (judged(GRAVE), GRAVE.words),
        (
            judge(
                policy(threshold()), (PLAIN, TARGET), (cell(0.2, doubts=(DOUBT,)),), {TARGET.target}
            ),
            DOUBT.words.rstrip("."),
        ),
    ):
        view = verdict_view(RECORD.model_copy(update={"verdict": found}))
        assert view is not None
        assert words in view.sentence


def test_a_caution_that_no_run_raises_cannot_be_accepted() -> None:
    written = {
        "owner": "officer",
        "date": "2026-01-31",
        "thresholds": [{"ssim": 0.5, "rationale": "a reason"}],
        "accepts": [{"caution": "zscored", "reason": "checked by hand"}],
    }
    with pytest.raises(ValidationError, match="'wrapped' or 'z-scored'"):
        PolicyConfig.model_validate(written)


def test_a_policy_file_accepts_a_caution_with_its_reason() -> None:
    written = {
        "owner": "officer",
        "date": "2026-01-31",
        "thresholds": [{"ssim": 0.5, "rationale": "a reason"}],
        "accepts": [{"caution": "intensities", "reason": "checked by hand"}],
    }
    resolved = resolved_policy(PolicyConfig.model_validate(written))
    assert resolved.accepts == (AcceptedCaution(caution="intensities", reason="checked by hand"),)
