"""Figures of several folds are those of all their patients, and no fold is left out."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from leakaudit.audit.results.pooled_targets import pooled_target, weakest
from leakaudit.audit.results.pooling import pooled_cell, pooled_key
from leakaudit.measure.identity import share_picked_out
from leakaudit.records import (
    CellRecord,
    Control,
    Cost,
    Doubt,
    Guarantee,
    Harm,
    Interval,
    Leakage,
    MaskLeakage,
    MaskScore,
    Matched,
    Matching,
    MatchScore,
    PatientDice,
    PatientScore,
    Reidentification,
    State,
    Success,
    TargetRecord,
    Utility,
)
from tests.configured import a_defense, a_plugin

FOLDS = 4
VICTIMS = [[f"P{5 * fold + number:02d}" for number in range(5)] for fold in range(FOLDS)]
AUXILIARY = [*VICTIMS[1:], VICTIMS[0]]
EVERYBODY = [name for victims in VICTIMS for name in victims]
_ANY = Interval(mean=0.5, low=0.4, high=0.6, n=5, method="t")


def score(patient: str) -> PatientScore:
    number = int(patient[1:])
    return PatientScore(
        patient=patient,
        ssim_brain=0.4 + 0.01 * number,
        ssim_image=0.7,
        psnr=20.0,
        mae=0.1,
        ncc=0.6,
        ssim_tumour=None if number == 3 else 0.5,
        blind_floor=0.2 + 0.1 * (number // 5),
        outline_floor=0.3,
        tumour_dice=None if number < 5 else 0.02 * number,
        picked_out=1 / 3 if number == 0 else float(number % 2),
        blind_picked_out=0.0,
        by_modality={"T1w": 0.4 + 0.02 * number},
    )


def leakage(fold: int) -> Leakage:
    patients = tuple(score(name) for name in VICTIMS[fold])
    seen = Interval(mean=0.1 * fold, low=0.0, high=1.0, n=5, method="t")
    return Leakage(
        ssim_brain=Interval(
            mean=float(np.mean([one.ssim_brain for one in patients])),
            low=0,
            high=1,
            n=5,
            method="t",
        ),
        ssim_image=_ANY,
        psnr=_ANY,
        ncc=_ANY,
        ssim_tumour=_ANY,
        blind_floor=patients[0].blind_floor,
        blind_floor_name="median" if fold == 2 else "mean",
        outline_floor=0.3,
        advantage=_ANY,
        reidentification=Reidentification(
            top1=0.5, low=0, high=1, chance=1 / 15, gallery=15, n=5, blind_top1=0.0
        ),
        patients=patients,
        harm=Harm(reconstruction=seen, original=0.5 + 0.1 * fold, blind=0.1) if fold else None,
        success=Success(
            threshold=0.5,
            reached=fold,
            n=5,
            blind_name="mean",
            blind_reached=fold,
            blind_limit=0.1 * (fold + 1),
            others=15 + fold,
            bound=0.9,
        ),
        by_modality={"T1w": _ANY},
        blind_by_modality={"T1w": 0.1 * fold},
        objective_first=1.0 + fold,
        objective_last=0.1,
    )


def cell(fold: int, state: State = State.OK, reason: str = "") -> CellRecord:
    ran = state in (State.OK, State.CONTROL_FAILED)
    figures = leakage(fold) if ran else None
    passed = Control(passed=state is State.OK, detail=f"detail {fold}")
    return CellRecord(
        cell=f"cell{fold}",
        target=f"target{fold}",
        cut_level=0,
        shared_skips=(),
        defense=a_defense("Identity()"),
        attack=a_plugin("Attack()"),
        attack_name="attack",
        threat="curious-server",
        victims="inference",
        releases=1,
        seed=0,
        state=state,
        reason=reason,
        leakage=figures if state is State.OK else None,
        withheld=None if state is State.OK else figures,
        negative_control=Control(passed=True, detail="fine") if ran else None,
        positive_control=passed if ran else None,
        cost=Cost(iterations=10, queries=fold, auxiliary_patients=5) if ran else None,
        isolation="process" if fold == 1 else "namespaces",
        notes=("the same", *([f"note {fold}"] if fold in (1, 3) else [])),
        doubts=(Doubt(kind="shaky", words="shaky"),) if fold == 2 else (),
        volatile={"seconds": 2.0, "pid": fold},
    )


def pooled(*changed: CellRecord) -> CellRecord:
    cells = [cell(fold) for fold in range(FOLDS)]
    for one in changed:
        cells[int(one.cell[-1])] = one
    return pooled_cell(cells, "setting", VICTIMS, AUXILIARY)


def test_the_figures_are_those_of_all_patients_each_against_its_own_floor() -> None:
    found = pooled()
    assert (found.state, found.target, found.reason) == (State.OK, "setting", "")
    figures = found.leakage
    assert figures is not None
    scores = np.array([0.4 + 0.01 * number for number in range(20)])
    floors = np.repeat([0.2, 0.3, 0.4, 0.5], 5)
    assert figures.ssim_brain.mean == pytest.approx(scores.mean())
    assert figures.blind_floor == pytest.approx(floors.mean())
    expected = (scores.mean() - floors.mean()) / (1 - floors.mean())
    assert figures.advantage.mean == pytest.approx(expected)
    assert [one.patient for one in figures.patients] == EVERYBODY
    for one in (figures.ssim_brain, figures.advantage, figures.ncc, figures.by_modality["T1w"]):
        assert one.n == 20
        assert one.method == "wider of bootstrap over patients and t over folds"
    assert figures.ssim_tumour is not None
    assert figures.ssim_tumour.n == 19
    assert figures.blind_floor_name == "mean, median"
    assert figures.blind_by_modality["T1w"] == pytest.approx(0.15)
    assert (figures.objective_first, figures.objective_last) == (2.5, 0.1)


def test_who_is_picked_out_is_counted_over_all_patients() -> None:
    found = pooled().leakage
    assert found is not None
    alone = share_picked_out(
        [Fraction(1, 3), *[Fraction(1)] * 10, *[Fraction(0)] * 9], [], [15] * 20
    )
    share = found.reidentification
    assert share.top1 == pytest.approx(alone.top1)
    assert (share.n, share.gallery) == (20, 15)
    assert share.low <= alone.low
    assert share.high >= alone.high


def test_harm_and_prior_are_of_those_who_have_them() -> None:
    found = pooled().leakage
    assert found is not None
    assert found.harm is not None
    assert found.harm.reconstruction.n == 15
    assert found.harm.reconstruction.mean == pytest.approx(
        np.mean([0.02 * n for n in range(5, 20)])
    )
    assert found.harm.original == pytest.approx(0.7)
    assert found.success is not None
    assert (found.success.reached, found.success.n) == (6, 20)
    assert (found.success.blind_limit, found.success.others) == (0.4, 18)
    assert found.success.bound is None  # made anew from the claim of all folds


def test_what_the_folds_say_is_said_once_or_with_the_fold() -> None:
    found = pooled()
    assert found.notes == ("the same", "fold 2: note 1", "fold 4: note 3")
    assert found.doubts == (Doubt(kind="shaky", words="fold 3: shaky"),)
    assert found.cost == Cost(iterations=40, queries=6, auxiliary_patients=5)
    assert found.isolation == "process"
    assert found.volatile == {"seconds": 8.0}
    assert found.positive_control is not None
    assert found.positive_control.passed
    assert "fold 3 passed: detail 2" in found.positive_control.detail


def test_each_patient_leads_to_the_result_of_its_fold() -> None:
    found = pooled()
    assert found.results == ("cell0", "cell1", "cell2", "cell3")
    assert found.cell == pooled_key(found.results)
    assert found.result_of("P07") == ("cell1", "mean")
    assert found.result_of("P12") == ("cell2", "median")
    alone = cell(0)
    assert alone.result_of("P01") == ("cell0", "mean")
    assert pooled_cell([alone], "target0", VICTIMS[:1], AUXILIARY[:1]) == alone


@pytest.mark.parametrize(
    "state", [State.FAILED, State.TIMED_OUT, State.NOT_RUN, State.CONTROL_FAILED]
)
def test_one_fold_that_did_not_end_well_leaves_no_figure(state: State) -> None:
    found = pooled(cell(2, state, "because"))
    assert (found.state, found.reason) == (state, f"fold 3: {state} (because)")
    assert found.leakage is None
    # Of a failed control there are figures, set aside; of survivors alone there are none.
    assert (found.withheld is not None) == (state is State.CONTROL_FAILED)
    assert [one.state for one in found.folds] == [State.OK, State.OK, state, State.OK]
    assert found.results_in(State.OK) == ("cell0", "cell1", "cell3")
    assert found.positive_control is not None
    assert found.positive_control.passed is (False if state is State.CONTROL_FAILED else None)


def test_the_gravest_fold_gives_the_state_and_all_reasons_are_named() -> None:
    found = pooled(
        cell(0, State.CONTROL_FAILED, "weak"), cell(1, State.FAILED, "NaN"), cell(3, State.NOT_RUN)
    )
    assert found.state is State.FAILED
    assert found.reason == "fold 1: control-failed (weak); fold 2: failed (NaN); fold 4: not-run"
    same = pooled(*(cell(fold, State.UNSUPPORTED, "not granted") for fold in range(FOLDS)))
    assert (same.state, same.reason) == (State.UNSUPPORTED, "not granted")


def test_masks_are_pooled_likewise() -> None:
    def masks(fold: int) -> CellRecord:
        found = MaskLeakage(
            dice=_ANY,
            blind_floor=0.1 * fold,
            blind_floor_name="average mask",
            advantage=_ANY,
            patients=tuple(
                MaskScore(patient=name, dice=0.1 + 0.2 * fold, blind_floor=0.1 * fold)
                for name in VICTIMS[fold][: 5 - fold]
            ),
            without_tumour=fold,
            objective_first=1.0,
            objective_last=0.5,
        )
        bare = {"leakage": None, "mask_leakage": found, "recovers": "masks"}
        return cell(fold).model_copy(update=bare)

    found = pooled_cell([masks(fold) for fold in range(FOLDS)], "setting", VICTIMS, AUXILIARY)
    figures = found.mask_leakage
    assert figures is not None
    assert found.leakage is None
    assert (figures.dice.n, figures.without_tumour) == (14, 6)
    assert figures.dice.mean == pytest.approx(np.repeat([0.1, 0.3, 0.5, 0.7], [5, 4, 3, 2]).mean())
    assert found.folds[1].score == 0.5


def test_identities_are_pooled_likewise() -> None:
    def matching(fold: int) -> CellRecord:
        found = Matching(
            top1=fold / 3,
            low=0.0,
            high=1.0,
            chance=1 / 15,
            gallery=15,
            n=5,
            other_slice=None if fold == 2 else Matched(top1=0.4, low=0.0, high=1.0),
            other_pass=Matched(top1=0.2 * fold, low=0.0, high=1.0),
            patients=tuple(
                MatchScore(patient=name, hit=fold / 3, rank=1.0, margin=None)
                for name in VICTIMS[fold]
            ),
        )
        bare = {"leakage": None, "matching": found, "recovers": "identities"}
        return cell(fold).model_copy(update=bare)

    found = pooled_cell([matching(fold) for fold in range(FOLDS)], "setting", VICTIMS, AUXILIARY)
    figures = found.matching
    assert figures is not None
    assert (figures.n, figures.gallery, len(figures.patients)) == (20, 15, 20)
    assert figures.top1 == pytest.approx(0.5)
    assert (figures.low, figures.high) == (0.0, 1.0)  # folds lie far apart
    assert figures.score.method == "wider of clopper-pearson over patients and t over folds"
    assert figures.other_slice is None
    assert figures.other_pass is not None
    assert figures.other_pass.top1 == pytest.approx(0.3)


def target(fold: int, **changed: object) -> TargetRecord:
    patients = tuple(
        PatientDice(
            patient=name,
            edema=0.5,
            non_enhancing=None if fold == 0 else 0.4,
            enhancing=0.3,
            whole_tumour=0.6,
            tumour_core=0.4,
            mean=0.4 + 0.1 * fold,
            untrained=0.05,
        )
        for name in VICTIMS[fold]
    )
    record = TargetRecord(
        target=f"target{fold}",
        kind="split",
        sites=(("T1w",),),
        cut_level=0,
        shared_skips=(),
        features=(8,),
        parameters=1,
        defense=a_defense("Noise(std=1.0)"),
        fitted_defense=(a_defense(f"Noise(std=1.0, clip={fold % 2})"),),
        seed=0,
        epochs=1,
        utility=Utility(mean=_ANY, by_class={}, absent={}, patients=patients),
        untrained_dice=0.05,
        above_untrained=_ANY,
        noise_to_signal=0.1 * fold,
        noise_to_signal_by_level={"0": 0.1 * fold},
        state=State.OK,
        volatile={"seconds": 1.0},
    )
    return record.model_copy(update=changed)


def test_dice_and_what_was_gained_are_over_all_patients() -> None:
    found = pooled_target([target(fold) for fold in range(FOLDS)], VICTIMS, AUXILIARY)
    assert found.utility is not None
    assert (found.utility.mean.n, found.utility.absent["non_enhancing"]) == (20, 5)
    assert found.utility.mean.mean == pytest.approx(0.55)
    assert found.above_untrained is not None
    assert found.above_untrained.n == 20
    assert found.above_untrained.mean == pytest.approx(0.5)
    assert found.untrained_dice == pytest.approx(0.05)
    assert found.noise_to_signal == pytest.approx(0.15)
    assert found.fitted_defense == tuple(
        a_defense(f"Noise(std=1.0, clip={clip})") for clip in (0, 1, 0, 1)
    )
    assert found.target == pooled_key([f"target{fold}" for fold in range(FOLDS)])


def test_a_training_that_failed_in_one_fold_has_no_dice_in_any() -> None:
    failed = target(1, state=State.TIMED_OUT, reason="slow", utility=None)
    records = [target(0), failed, target(2), target(3)]
    found = pooled_target(records, VICTIMS, AUXILIARY)
    assert (found.state, found.reason) == (State.TIMED_OUT, "fold 2: timed-out (slow)")
    assert found.utility is None
    assert found.noise_to_signal is None
    assert not found.is_shown_useful


def test_the_weakest_claim_is_that_of_all() -> None:
    def claim(epsilon: float | None, delta: float = 1e-5, **more: object) -> Guarantee:
        return Guarantee(
            claimed=epsilon is not None,
            epsilon=epsilon,
            delta=delta,
            releases=1,
            mechanism="",
            assumptions=(),
            reason="",
        ).model_copy(update=more)

    assert weakest([claim(1.0), claim(4.0), claim(2.0)]) == claim(4.0)
    assert weakest([claim(1.0), claim(None, reason="off")]) == claim(None, reason="off")
    assert weakest([claim(1.0), None]) is None
    assert weakest([claim(1.0, mu=0.5), claim(1.0)]) == claim(1.0)
    assert weakest([claim(1.0, delta=1e-3), claim(4.0)]) == claim(4.0, delta=1e-3)
    assert weakest([claim(4.0), claim(1.0, delta=1e-6)]) == claim(4.0)


# What a plan says of itself, and so the same in every fold.
_PLANNED = {
    CellRecord: """cut_level shared_skips bottleneck defense attack attack_name threat site recovers
        tensor victims releases gradient_batch gradient_checkpoints round_steps seed control_only
        disguise""",
    TargetRecord: """kind site sites cut_level shared_skips bottleneck features parameters defense
        seed control_only epochs""",
}


@pytest.mark.parametrize("kind", [CellRecord, TargetRecord])
def test_nothing_that_differs_between_folds_is_taken_from_the_first_alone(
    kind: type[CellRecord] | type[TargetRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A field that is added to a record must be pooled, or be the same by plan."""
    changed: set[str] = set()
    copied = kind.model_copy

    def noting(record: Any, *, update: dict[str, Any]) -> Any:
        changed.update(update)
        return copied(record, update=update)

    made = [cell(fold) if kind is CellRecord else target(fold) for fold in range(FOLDS)]
    monkeypatch.setattr(kind, "model_copy", noting)
    if kind is CellRecord:
        pooled_cell(made, "setting", VICTIMS, AUXILIARY)  # type: ignore[arg-type]
    else:
        pooled_target(made, VICTIMS, AUXILIARY)  # type: ignore[arg-type]
    assert changed.isdisjoint(_PLANNED[kind].split())
    assert changed | {*_PLANNED[kind].split()} == set(kind.model_fields)
