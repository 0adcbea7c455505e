"""What a difference says: pairing, intervals, floors, shares, and figures that are missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from leakaudit.comparison import CellRow, Comparison, Outcome, Reading, compare_reports
from leakaudit.comparison.figures import BELOW_GUESS, LEAST, OTHER_ATTACK, cell_deltas
from leakaudit.comparison.text import comparison_text
from leakaudit.records import CellRecord, FoldRecord, Reidentification, State
from tests.comparison.changed import (
    IDENTITY,
    NOISE,
    NOISY,
    RISE,
    dice_moved,
    failed,
    masks,
    moved,
    moved_cell,
    moved_leakage,
    one_cell,
    with_cells,
    with_targets,
)
from tests.configured import a_plugin
from tests.report.sample import leakage, sample_report
from tests.report.test_told_apart import matching

SAMPLE = sample_report()
BEFORE = next(one for one in SAMPLE.cells if one.cell == IDENTITY)
FEW = st.lists(st.floats(-0.2, 0.2), min_size=5, max_size=5)


def row(found: Comparison, key: str = IDENTITY) -> CellRow:
    (one,) = [one for one in found.cells if one.cell_a == key]
    return one


def test_two_equal_reports_do_not_differ() -> None:
    found = compare_reports(SAMPLE, sample_report(volatile={"seconds": 1.0}))
    assert found.equal
    assert not found.is_worse
    assert not found.is_incomplete
    assert found.caveats == ()
    assert len(found.cells) == 24
    assert len(found.settings) == 14
    assert found.counts[Outcome.EQUAL].settings == 14


@settings(deadline=None)
@given(FEW)
def test_a_difference_is_that_of_a_paired_t_test(by: list[float]) -> None:
    if np.ptp(by) < 1e-6:
        by = [*by[:-1], by[-1] + 0.01]
    score, advantage = cell_deltas(BEFORE, moved_cell(BEFORE, by))
    assert BEFORE.leakage is not None
    old = np.array([one.ssim_brain for one in BEFORE.leakage.patients])
    wanted = ttest_rel(old + by, old).confidence_interval(0.95)
    assert score.difference is not None
    assert score.difference.mean == pytest.approx(np.mean(by), abs=1e-9)
    assert score.difference.low == pytest.approx(wanted.low, abs=1e-6)
    assert score.difference.high == pytest.approx(wanted.high, abs=1e-6)
    assert advantage.difference is not None
    assert advantage.difference.mean == pytest.approx(advantage.b.mean - advantage.a.mean, abs=1e-9)


def test_a_difference_that_differs_from_fold_to_fold_is_not_shown() -> None:
    assert BEFORE.leakage is not None
    names = tuple(one.patient for one in BEFORE.leakage.patients)
    folds = tuple(
        FoldRecord(fold=number, key=str(number), state=State.OK, patients=patients)
        for number, patients in enumerate((names[:3], names[3:]), 1)
    )
    by = [0.05, 0.05, 0.05, 0.1, 0.1]
    alone, _ = cell_deltas(BEFORE, moved_cell(BEFORE, by))
    before = BEFORE.model_copy(update={"folds": folds})
    spread, _ = cell_deltas(before, moved_cell(before, by))
    assert (alone.reading, spread.reading) == (Reading.HIGHER, Reading.NOT_SHOWN)
    assert spread.difference is not None
    assert spread.difference.method == "wider of t over patients and t over folds"


@settings(deadline=None)
@given(FEW)
def test_the_other_way_round_every_difference_turns(by: list[float]) -> None:
    after = moved_cell(BEFORE, by)
    turned = {Reading.HIGHER: Reading.LOWER, Reading.LOWER: Reading.HIGHER}
    for one, two in zip(cell_deltas(BEFORE, after), cell_deltas(after, BEFORE), strict=True):
        assert one.difference is not None
        assert two.difference is not None
        assert one.difference.mean == pytest.approx(-two.difference.mean, abs=1e-12)
        assert turned.get(one.reading, one.reading) is two.reading


def test_more_recovered_of_every_patient_is_worse_and_less_is_better() -> None:
    there, back = (
        compare_reports(one, other)
        for one, other in (
            (SAMPLE, moved(NOISE, RISE)),
            (moved(NOISE, RISE), SAMPLE),
        )
    )
    assert row(there, NOISE).outcome is Outcome.WORSE
    assert there.is_worse
    assert row(back, NOISE).outcome is Outcome.BETTER
    assert not back.is_worse
    assert not back.equal


def test_an_interval_that_contains_0_shows_no_difference() -> None:
    found = compare_reports(SAMPLE, moved(IDENTITY, NOISY))
    assert row(found).outcome is Outcome.NOT_SHOWN
    assert [one.reading for one in row(found).figures] == [Reading.NOT_SHOWN] * 2
    assert not found.is_worse
    assert not found.equal


def test_a_difference_that_rounds_to_0_is_not_called_one() -> None:
    found = compare_reports(SAMPLE, moved(IDENTITY, (LEAST / 3,) * 5))
    assert row(found).outcome is Outcome.NOT_SHOWN
    score = row(found).figures[0]
    assert score.difference is not None
    assert score.difference.low is not None
    assert score.difference.low > 0


def test_a_higher_floor_lowers_the_advantage_and_not_the_score() -> None:
    before = moved_cell(BEFORE, (0.0,) * 5)
    score, advantage = cell_deltas(before, moved_cell(before, (0.0,) * 5, floor=0.1))
    assert score.reading is Reading.EQUAL
    assert advantage.reading is Reading.LOWER
    assert advantage.difference is not None
    assert advantage.difference.mean == pytest.approx(advantage.b.mean - advantage.a.mean)


@pytest.mark.parametrize("by", [RISE, tuple(-one for one in RISE)])
def test_below_a_blind_guess_more_or_less_says_nothing(by: tuple[float, ...]) -> None:
    low = {"leakage": leakage(0.1)}
    before = one_cell(NOISE, **low)
    after = one_cell(NOISE, leakage=moved_leakage(leakage(0.1), by))
    found = compare_reports(before, after)
    assert row(found, NOISE).outcome is Outcome.NOT_SHOWN
    assert row(found, NOISE).note == BELOW_GUESS
    assert not found.is_worse


def test_an_attack_that_tried_less_makes_nothing_better_and_one_that_tried_more_is_worse() -> None:
    weaker = {"attack": a_plugin("DecoderInversion(epochs=20)")}
    less = one_cell(NOISE, **weaker, leakage=moved_leakage(leakage(0.781), [-one for one in RISE]))
    found = row(compare_reports(SAMPLE, less), NOISE)
    assert found.outcome is Outcome.NOT_SHOWN
    assert found.note == OTHER_ATTACK
    back = compare_reports(less, SAMPLE)
    assert row(back, NOISE).outcome is Outcome.WORSE
    assert back.is_worse


def test_masks_are_compared_by_their_dice() -> None:
    def with_masks(scores: tuple[float, ...]) -> Any:
        return one_cell(IDENTITY, recovers="masks", leakage=None, mask_leakage=masks(scores))

    before = (0.41, 0.52, 0.47, 0.60, 0.44)
    after = tuple(one + more for one, more in zip(before, RISE, strict=True))
    found = compare_reports(with_masks(before), with_masks(after))
    score, advantage = row(found).figures
    assert (score.measure, score.reading) == ("mask_dice", Reading.HIGHER)
    assert advantage.reading is Reading.HIGHER
    assert row(found).reidentification is None


def test_who_is_matched_is_compared_by_the_share_alone() -> None:
    def with_share(hits: int) -> Any:
        found = matching(hits)
        return one_cell(IDENTITY, recovers="identities", leakage=None, matching=found)

    fewer, more = with_share(1), with_share(5)
    found = row(compare_reports(fewer, more))
    (score,) = found.figures
    assert (score.measure, score.reading) == ("matched", Reading.HIGHER)
    assert found.outcome is Outcome.WORSE
    assert found.reidentification is None
    assert row(compare_reports(more, fewer)).outcome is Outcome.BETTER
    assert row(compare_reports(more, more)).outcome is Outcome.EQUAL
    assert "share matched" in comparison_text(compare_reports(fewer, more), ("a", "b"))


def singled(low: float, high: float) -> dict[str, Any]:
    found = Reidentification(
        top1=(low + high) / 2, low=low, high=high, chance=0.07, gallery=15, n=40, blind_top1=0.07
    )
    return {"leakage": leakage(0.874).model_copy(update={"reidentification": found})}


@pytest.mark.parametrize(
    ("low", "high", "reading", "outcome"),
    [
        (0.61, 0.9, Reading.HIGHER, Outcome.WORSE),
        (0.59, 0.9, Reading.NOT_SHOWN, Outcome.NOT_SHOWN),
        (0.1, 0.29, Reading.LOWER, Outcome.BETTER),
        (0.3, 0.6, Reading.EQUAL, Outcome.EQUAL),
    ],
)
def test_two_shares_differ_if_their_intervals_do_not_overlap(
    low: float, high: float, reading: Reading, outcome: Outcome
) -> None:
    found = row(
        compare_reports(
            one_cell(IDENTITY, **singled(0.3, 0.6)), one_cell(IDENTITY, **singled(low, high))
        )
    )
    assert found.reidentification is not None
    assert found.reidentification.reading is reading
    assert "no paired interval" in found.reidentification.reason
    assert found.outcome is outcome


def test_nobody_is_singled_out_by_a_site_that_knows_the_patients() -> None:
    other = one_cell(IDENTITY, recovers="other-site images")
    assert row(compare_reports(other, other)).reidentification is None


def test_a_lower_dice_is_worse_and_a_higher_one_better() -> None:
    lower = with_targets(
        lambda one: dice_moved(one, [-x for x in RISE]) if one.target == "target-1-1" else one
    )
    found = compare_reports(SAMPLE, lower)
    (changed,) = [one for one in found.settings if one.target_a == "target-1-1"]
    assert changed.outcome is Outcome.WORSE
    assert found.is_worse
    back = compare_reports(lower, SAMPLE)
    assert back.counts[Outcome.BETTER].settings == 1
    assert not back.is_worse


def test_a_patient_without_any_class_is_in_neither_dice() -> None:
    def without_first(by: tuple[float, ...]) -> Any:
        def change(one: Any) -> Any:
            patients = list(one.utility.patients)
            patients[0] = patients[0].model_copy(update={"mean": None})
            utility = one.utility.model_copy(update={"patients": tuple(patients)})
            return dice_moved(one.model_copy(update={"utility": utility}), by)

        return with_targets(change)

    found = compare_reports(without_first((0.0,) * 5), without_first(RISE))
    delta = found.settings[0].dice
    assert delta is not None
    assert delta.difference is not None
    assert delta.difference.n == 4


@pytest.mark.parametrize("what", ["other", "fewer", "twice", "nonsense"])
def test_figures_of_other_patients_are_never_paired(what: str) -> None:
    found = leakage(0.874)
    first, *others = found.patients
    given = {
        "other": (first.model_copy(update={"patient": "sample-99"}), *others),
        "fewer": tuple(others),
        "twice": (others[0], *others),
        "nonsense": (first.model_copy(update={"ssim_brain": 1e300}), *others),
    }[what]
    other = one_cell(IDENTITY, leakage=found.model_copy(update={"patients": given}))
    changed = row(compare_reports(SAMPLE, other))
    for delta in changed.figures:
        assert delta.difference is None
        assert delta.reading is Reading.NO_INTERVAL
        assert "not paired" in delta.reason or "not over the same patients" in delta.reason
    assert changed.outcome is Outcome.NO_INTERVAL


def test_a_floor_that_is_the_original_leaves_no_advantage_to_compare() -> None:
    found = leakage(0.874)
    patients = tuple(one.model_copy(update={"blind_floor": 1.0}) for one in found.patients)
    other = one_cell(IDENTITY, leakage=found.model_copy(update={"patients": patients}))
    _, advantage = row(compare_reports(SAMPLE, other)).figures
    assert advantage.difference is None


def test_one_patient_shows_nothing() -> None:
    def alone(ssim: float) -> Any:
        found = leakage(ssim)
        return one_cell(IDENTITY, leakage=found.model_copy(update={"patients": found.patients[:1]}))

    delta = row(compare_reports(alone(0.6), alone(0.9))).figures[0]
    assert delta.difference is not None
    assert delta.difference.mean == pytest.approx(0.3)
    assert delta.difference.low is None
    assert delta.reading is Reading.NO_INTERVAL


ENDED: list[tuple[dict[str, Any], dict[str, Any], Outcome]] = [
    ({}, failed(), Outcome.LOST),
    (failed(), {}, Outcome.GAINED),
    (failed(), {**failed(), "state": State.TIMED_OUT}, Outcome.STATE_CHANGED),
    (failed(), failed("another reason"), Outcome.NO_FIGURE),
    (
        {},
        {"state": State.CONTROL_FAILED, "leakage": None, "withheld": leakage(0.99)},
        Outcome.LOST,
    ),
    # A figure beside a state that is not ok is not read, whoever wrote it there.
    ({}, {"state": State.FAILED}, Outcome.LOST),
]


@pytest.mark.parametrize(("before", "after", "outcome"), ENDED)
def test_a_state_is_never_shown_as_a_figure(
    before: dict[str, Any], after: dict[str, Any], outcome: Outcome
) -> None:
    found = compare_reports(one_cell(IDENTITY, **before), one_cell(IDENTITY, **after))
    assert row(found).outcome is outcome
    assert row(found).figures == ()
    assert row(found).reidentification is None
    assert found.is_incomplete == (outcome is Outcome.LOST)
    assert found.equal == (outcome is Outcome.NO_FIGURE)


def test_a_training_that_failed_has_no_dice() -> None:
    broken = {"state": State.FAILED, "reason": "NaN", "utility": None, "guarantee": None}
    other = with_targets(
        lambda one: one.model_copy(update=broken) if one.target == "target-2-3" else one
    )
    found = compare_reports(SAMPLE, other)
    (changed,) = [one for one in found.settings if one.target_a == "target-2-3"]
    assert changed.outcome is Outcome.LOST
    assert changed.dice is None
    assert changed.claim is None
    assert found.is_incomplete
    assert compare_reports(other, other).equal


def test_a_claim_that_is_no_longer_made_is_a_change() -> None:
    def unclaimed(one: Any) -> Any:
        if one.target != "target-2-3":
            return one
        claim = one.guarantee.model_copy(update={"claimed": False, "epsilon": None})
        return one.model_copy(update={"guarantee": claim})

    found = compare_reports(SAMPLE, with_targets(unclaimed))
    (claim,) = [one.claim for one in found.settings if one.claim]
    assert claim is not None
    assert (claim.a, claim.b) == ("epsilon 8, delta 1e-05 of releases", "none")
    assert not found.equal


def test_controls_are_not_compared() -> None:
    def broken(one: CellRecord) -> CellRecord:
        return one.model_copy(update=failed()) if one.control_only else one

    other = sample_report(cells=tuple(map(broken, SAMPLE.cells)))
    assert compare_reports(SAMPLE, other).equal


def test_nothing_measured_in_a_is_no_pass() -> None:
    silent = with_cells(lambda one: one.model_copy(update=failed()))
    no_dice = {"state": State.FAILED, "utility": None}
    nothing = silent.model_copy(
        update={"targets": tuple(one.model_copy(update=no_dice) for one in silent.targets)}
    )
    found = compare_reports(nothing, SAMPLE)
    assert found.intervals == 0
    assert found.is_incomplete
    assert not compare_reports(nothing, nothing).is_incomplete
