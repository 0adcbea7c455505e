"""What a limit is held against: the figure, or in words why there is none."""

from __future__ import annotations

from typing import Any

import pytest

from leakaudit.measure.metrics import limits
from leakaudit.policy.figures import Figure, applies, of_cell, of_dice_loss, of_epsilon
from leakaudit.privacy.gaussian import mu_of
from leakaudit.records import Interval, TargetRecord
from tests.policy.test_judging import MASKS, PLAIN, TARGET, cell, claim, dice, threshold
from tests.report.sample import leakage

MEASURES = set(limits())


def nothing(why: str) -> Figure:
    return Figure(observed=None, upper=None, n=0, why_not=why)


@pytest.mark.parametrize(
    ("recovers", "victims", "applicable"),
    [
        ("images", "inference", {"ssim", "advantage", "reidentification", "clinical_harm"}),
        ("images", "training", {"ssim", "advantage", "reidentification"}),
        ("other-site images", "inference", {"ssim", "advantage"}),
        ("masks", "training", {"mask_dice", "advantage"}),
        ("identities", "inference", {"matched"}),
    ],
)
def test_what_an_attack_recovers_says_which_measures_it_can_have(
    recovers: str, victims: str, applicable: set[str]
) -> None:
    of = cell(recovers=recovers, victims=victims)
    for measure in sorted(MEASURES):
        assert applies(of, measure) is (measure in applicable), measure


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"claimed": False, "reason": "one party does not clip"}, "one party does not clip"),
        ({"claimed": False}, "the defense makes none"),
        ({"epsilon": None}, "the defense makes none"),
    ],
)
def test_without_a_claim_there_is_no_epsilon(changes: dict[str, Any], why: str) -> None:
    assert of_epsilon(claim(**changes), 1e-5) == nothing(f"nothing is claimed: {why}")
    bare = TARGET.model_copy(update={"guarantee": None})
    assert of_epsilon(bare, 1e-5) == nothing("nothing is claimed: the defense makes none")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (
            {"covers": "weights"},
            "the claim is about weights, not about what crosses in use",
        ),
        ({"delta": None}, "the claim names no delta"),
        (
            {"delta": 2e-5},
            "the claim is at a delta of 2e-05, and the policy asks for 1e-05",
        ),
        ({"epsilon": 302.7}, "what is claimed hides nothing"),
    ],
)
def test_a_claim_that_bounds_nothing_that_crosses_is_no_epsilon(
    changes: dict[str, Any], why: str
) -> None:
    assert of_epsilon(claim(**changes), 1e-5) == nothing(why)


def test_a_claim_is_the_epsilon_where_its_curve_hides_something() -> None:
    found = of_epsilon(claim(epsilon=8.0, mu=mu_of(8.0, 1e-5)), 1e-5)
    assert found == Figure(observed=8.0, upper=8.0, n=0)
    # Without a curve all that an epsilon of 8 allows counts, which is nearly everything.
    assert of_epsilon(claim(epsilon=8.0), 1e-5) == nothing("what is claimed hides nothing")


def without_dice(target: TargetRecord) -> TargetRecord:
    return target.model_copy(update={"utility": None})


def test_a_loss_needs_the_dice_of_both_networks_and_says_whose_is_missing() -> None:
    plain, ours = dice(PLAIN, (0.7,) * 5), dice(TARGET, (0.6,) * 5)
    for base, one, whose in (
        (without_dice(plain), ours, "the undefended network"),
        (without_dice(plain), without_dice(ours), "the undefended network"),
        (plain, without_dice(ours), "this network"),
    ):
        assert of_dice_loss(one, (base, one), "mean") == nothing(f"{whose} has no Dice")
    assert of_dice_loss(ours, (ours,), "mean") == nothing("the undefended network has no Dice")


def test_a_loss_is_that_of_patients_who_have_both_dice() -> None:
    plain, ours = dice(PLAIN, (0.7,) * 5), dice(TARGET, (0.6, 0.65, 0.7, 0.7, 0.7))
    assert plain.utility is not None
    assert ours.utility is not None

    def lacking(target: TargetRecord, *places: int) -> TargetRecord:
        assert target.utility is not None
        patients = tuple(
            one.model_copy(update={"mean": None}) if place in places else one
            for place, one in enumerate(target.utility.patients)
        )
        utility = target.utility.model_copy(update={"patients": patients})
        return target.model_copy(update={"utility": utility})

    found = of_dice_loss(lacking(ours, 0), (lacking(plain, 4), ours), "worst_patient")
    worst = ours.utility.patients[1].patient
    assert found == Figure(observed=found.observed, upper=found.observed, n=3, patient=worst)
    assert found.observed == pytest.approx(0.05)
    found = of_dice_loss(lacking(ours, 0, 1, 2), (lacking(plain, 3, 4), ours), "mean")
    assert found == nothing("no patient has both Dice")


@pytest.mark.parametrize("whose", ["the undefended network", "this network"])
def test_a_loss_beside_a_network_that_learned_nothing_says_which_it_is(whose: str) -> None:
    useless = {"above_untrained": Interval(mean=0.1, low=0.0, high=0.2, n=5, method="t")}
    plain, ours = dice(PLAIN, (0.7,) * 5), dice(TARGET, (0.6,) * 5)
    if whose == "this network":
        ours = ours.model_copy(update=useless)
    else:
        plain = plain.model_copy(update=useless)
    assert of_dice_loss(ours, (plain, ours), "mean").shows_nothing == (
        f"{whose} may be worth no more than an untrained one, so a small loss shows little"
    )


def test_harm_is_its_interval_or_says_that_no_tumour_was_looked_for() -> None:
    limit = threshold("clinical_harm", 0.5, quantifier="mean")
    figures = leakage(0.4)
    assert figures.harm is not None
    reached = figures.harm.reconstruction
    assert of_cell(cell(0.4), limit) == Figure(
        observed=reached.mean, upper=reached.high, n=reached.n
    )
    unseen = nothing("no tumour was looked for in reconstructions")
    assert of_cell(cell(leakage=figures.model_copy(update={"harm": None})), limit) == unseen
    patients = tuple(one.model_copy(update={"tumour_dice": None}) for one in figures.patients)
    without = figures.model_copy(update={"patients": patients})
    assert of_cell(cell(leakage=without), limit) == unseen
    assert of_cell(cell(0.4, victims="training"), limit) is None


def test_shares_and_masks_are_what_the_attack_reached() -> None:
    share = leakage(0.8).reidentification
    found = of_cell(cell(0.8), threshold("reidentification", 0.3))
    assert found == Figure(observed=share.top1, upper=share.high, n=share.n)
    masks = cell(leakage=None, mask_leakage=MASKS, recovers="masks")
    mean = of_cell(cell(0.4), threshold("advantage", 0.3, quantifier="mean"))
    reached = leakage(0.4).advantage
    assert mean == Figure(observed=reached.mean, upper=reached.high, n=reached.n)
    assert of_cell(cell(0.4), threshold("mask_dice", 0.3)) is None
    assert of_cell(masks, threshold("ssim", 0.3)) is None
    found = of_cell(masks, threshold("mask_dice", 0.3, quantifier="mean"))
    assert found == Figure(observed=MASKS.dice.mean, upper=MASKS.dice.high, n=MASKS.dice.n)


def test_where_the_guess_is_right_about_everybody_no_patient_has_an_advantage() -> None:
    figures = leakage(0.4)
    patients = tuple(one.model_copy(update={"blind_floor": 1.0}) for one in figures.patients)
    perfect = cell(leakage=figures.model_copy(update={"patients": patients}))
    found = of_cell(perfect, threshold("advantage", 0.5))
    assert found == nothing("no patient has such a figure")
