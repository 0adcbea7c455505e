from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from leakaudit.data.cohort import brain_mask
from leakaudit.errors import CellError
from leakaudit.measure.controls import (
    BlindGuess,
    advantage,
    best_blind_guess,
    blind_guesses,
    derangement,
    negative_control,
    outline_floor,
    positive_control,
)
from leakaudit.measure.fidelity import ssim_brain
from leakaudit.measure.folds import Folds

MakeBrains = Callable[..., NDArray[np.float32]]
FLOOR = np.array([0.20, 0.35, 0.28, 0.31])
STEADY = np.array([0.001, -0.001, 0.001, -0.001])
SPREAD = np.array([0.3, -0.3, 0.3, -0.3])


# --- floors -----------------------------------------------------------------


def test_the_four_guesses_are_what_their_names_say() -> None:
    patients = np.zeros((3, 1, 12, 12), dtype=np.float32)
    patients[:, 0, 0, 0] = (0.0, 0.2, 1.0)
    guesses = {guess.name: guess.images for guess in blind_guesses(patients)}
    assert list(guesses) == ["zeros", "mean", "median", "medoid"]
    values = {name: image[0, 0, 0] for name, image in guesses.items()}
    assert values == {
        "zeros": 0,
        "mean": pytest.approx(0.4),
        "median": pytest.approx(0.2),
        "medoid": pytest.approx(0.2),
    }
    assert all(image.shape == (1, 12, 12) for image in guesses.values())
    assert all(image.dtype == np.float32 for image in guesses.values())


def test_the_medoid_is_one_of_the_patients_and_the_most_central(make_brains: MakeBrains) -> None:
    patients = make_brains(5)
    medoid = blind_guesses(patients)[3].images
    sums = [sum(float(np.linalg.norm(a - b)) for b in patients) for a in patients]
    assert np.array_equal(medoid, patients[int(np.argmin(sums))])


def test_the_medoid_is_nearest_to_the_others_not_to_their_mean() -> None:
    patients = np.zeros((5, 1, 12, 12))
    patients[:, 0, 0, 0] = (0.3, 0.1, 1.0, 0.2, 0.0)
    assert blind_guesses(patients)[3].images[0, 0, 0] == 0.2


def test_one_auxiliary_patient_is_enough_and_many_keep_their_mean(make_brains: MakeBrains) -> None:
    (alone,) = make_brains(1)
    guesses = blind_guesses(alone[None])
    assert not guesses[0].images.any()
    assert all(np.array_equal(guess.images, alone) for guess in guesses[1:])
    many = np.random.default_rng(0).random((500, 1, 2, 2), dtype=np.float32)
    mean = blind_guesses(many)[1].images
    assert np.array_equal(mean, many.astype(np.float64).mean(axis=0).astype(np.float32))
    inside = np.ones((500, 2, 2), dtype=bool)
    filled = outline_floor(inside[:1], many, inside)
    assert (filled == np.float32(many.astype(np.float64).mean())).all()


def test_the_guess_with_the_best_mean_inside_the_brain_wins(make_brains: MakeBrains) -> None:
    truth = make_brains(4)
    brain = brain_mask(truth)
    guesses = (
        BlindGuess(name="zeros", images=np.zeros_like(truth[0])),
        BlindGuess(name="spy", images=truth[2]),
        BlindGuess(name="gray", images=np.full_like(truth[0], 0.01)),
    )
    name, images, scores = best_blind_guess(guesses, truth, brain)
    assert name == "spy"
    assert np.array_equal(images, truth[2])
    assert scores[2] == pytest.approx(1)
    np.testing.assert_allclose(scores, ssim_brain(np.stack([truth[2]] * 4), truth, brain))


def test_the_blind_floor_beats_every_single_guess_on_the_mean(make_brains: MakeBrains) -> None:
    truth, others = make_brains(4, seed=1), make_brains(6, seed=2)
    brain = brain_mask(truth)
    guesses = blind_guesses(others)
    _, _, best = best_blind_guess(guesses, truth, brain)
    for guess in guesses:
        alone = ssim_brain(np.stack([guess.images] * 4), truth, brain)
        assert best.mean() >= alone.mean()


def test_the_outline_floor_is_the_true_outline_filled_with_auxiliary_means() -> None:
    auxiliary = np.zeros((2, 2, 12, 12), dtype=np.float32)
    auxiliary[0, 0, :2, :2], auxiliary[1, 0, :2, :4] = 0.3, 0.6
    auxiliary[0, 1, :2, :2], auxiliary[1, 1, :2, :4] = 0.1, 0.4
    brain = np.zeros((1, 12, 12), dtype=np.bool_)
    brain[0, 5:7, 5:7] = True
    filled = outline_floor(brain, auxiliary, brain_mask(auxiliary))
    assert filled.shape == (1, 2, 12, 12)
    assert filled.dtype == np.float32
    # 4 voxels of 0.3 and 8 of 0.6; 4 of 0.1 and 8 of 0.4: voxels are pooled, not patients.
    np.testing.assert_allclose(filled[0, 0][brain[0]], 0.5, rtol=1e-6)
    np.testing.assert_allclose(filled[0, 1][brain[0]], 0.3, rtol=1e-6)
    assert not filled[0][:, ~brain[0]].any()


@pytest.mark.parametrize("spatial", [(48, 48), (16, 18, 20)])
def test_knowing_the_outline_beats_knowing_nothing(
    make_brains: MakeBrains, spatial: tuple[int, ...]
) -> None:
    truth = make_brains(4, seed=1, spatial=spatial)
    others = make_brains(6, seed=2, spatial=spatial)
    brain = brain_mask(truth)
    _, _, blind = best_blind_guess(blind_guesses(others), truth, brain)
    outline = ssim_brain(outline_floor(brain, others, brain_mask(others)), truth, brain)
    assert outline.mean() > blind.mean() + 0.02


def test_floors_refuse_missing_and_broken_auxiliary_patients(make_brains: MakeBrains) -> None:
    patients = make_brains(2)
    brain = brain_mask(patients)
    with pytest.raises(
        CellError, match=r"^a blind guess needs at least one auxiliary patient, got"
    ):
        blind_guesses(patients[:0])
    with pytest.raises(
        CellError, match=r"^the outline floor needs at least one auxiliary patient,"
    ):
        outline_floor(brain, patients[:0], brain[:0])
    with pytest.raises(CellError, match=r"^the blind floor needs at least one guess, got none$"):
        best_blind_guess((), patients, brain)
    with pytest.raises(CellError, match=r"\[0, 1\] is empty"):
        outline_floor(brain, patients, np.zeros_like(brain))
    patients[0, 0, 0, 0] = np.nan
    with pytest.raises(CellError, match=r"^the auxiliary patients has NaN or infinite values; no"):
        blind_guesses(patients)
    with pytest.raises(CellError, match=r"^the auxiliary patients has NaN or infinite values; no"):
        outline_floor(brain, patients, brain)


# --- controls ---------------------------------------------------------------


def test_a_derangement_gives_each_victim_another_patient() -> None:
    for n in range(2, 9):
        order = derangement(n)
        assert order is not None
        assert sorted(order) == list(range(n))
        assert (order != np.arange(n)).all()
    assert derangement(1) is None
    order = derangement(4)
    assert order is not None
    assert order.tolist() == [1, 2, 3, 0]


@pytest.mark.parametrize(
    ("excess", "passed"),
    [
        (0.05 + STEADY, False),  # clearly above the floor
        (0.015 + STEADY, True),  # surely above, but within the margin
        (0.05 + SPREAD, True),  # above the margin, but the interval holds 0
        (-0.10 + STEADY, True),  # worse than the guess
    ],
)
def test_negative_control(excess: NDArray[np.float64], passed: bool) -> None:
    found = negative_control(FLOOR + excess, FLOOR)
    assert found.passed is passed
    assert found.difference is not None
    assert found.difference.mean == pytest.approx(excess.mean())
    side = "above" if excess.mean() > 0 else "below"
    assert f"{abs(excess.mean()):.3f} SSIM {side} the blind floor" in found.detail
    assert " -0" not in found.detail


@pytest.mark.parametrize(
    ("gain", "passed"),
    [
        (0.40 + STEADY, True),
        (0.11 + STEADY, True),
        (0.09 + STEADY, False),  # surely above, but too little
        (0.15 + SPREAD, False),  # enough, but the interval holds 0
        (0.00 + STEADY, False),
    ],
)
def test_positive_control(gain: NDArray[np.float64], passed: bool) -> None:
    found = positive_control(FLOOR + gain, FLOOR)
    assert found.passed is passed
    assert found.difference is not None
    assert f"{abs(gain.mean()):.3f} SSIM above the blind floor" in found.detail
    assert found.detail.endswith("it needs 0.100 and an interval above 0")


@pytest.mark.parametrize(
    ("level", "gain", "needed", "passed"),
    [
        (0.78, 0.09, 0.100, False),
        (0.90, 0.06, 0.050, True),
        (0.90, 0.04, 0.050, False),
        (0.97, 0.028, 0.040, False),  # half of the room is within what counts as the floor
        (0.93, 0.05, 0.040, True),
    ],
)
def test_above_a_high_floor_half_of_the_room_is_asked_for(
    level: float, gain: float, needed: float, passed: bool
) -> None:
    floor = np.full_like(FLOOR, level)
    found = positive_control(floor + gain + STEADY / 10, floor, unit="Dice")
    assert found.passed is passed
    assert found.detail.endswith(f"it needs {needed:.3f} and an interval above 0")


def test_what_is_exactly_at_a_margin_is_within_it() -> None:
    nothing = np.zeros(2)
    assert negative_control(np.full(2, 0.02), nothing).passed is True
    assert negative_control(np.full(2, 0.0201), nothing).passed is False
    assert positive_control(np.full(2, 0.10), nothing).passed is True
    assert positive_control(np.full(2, 0.0999), nothing).passed is False


def test_an_interval_that_ends_at_0_is_not_above_it() -> None:
    rare = np.zeros(25)
    rare[:3] = 1.0
    found = negative_control(rare, np.zeros(25))
    assert found.difference is not None
    assert (found.difference.mean, found.difference.low) == (0.12, 0.0)
    assert found.passed is True
    assert positive_control(rare, np.zeros(25)).passed is False


@pytest.mark.parametrize(
    ("excess", "words"),
    [
        (0.05, "0.050 Dice above own images alone (difference 0.050 to 0.050, 2 patients), above"),
        (0.01, "0.010 Dice above own images alone (difference 0.010 to 0.010, 2 patients), not"),
        (
            -0.05,
            "0.050 Dice below own images alone "
            "(difference \N{MINUS SIGN}0.050 to \N{MINUS SIGN}0.050, 2 patients), not",
        ),
    ],
)
def test_a_negative_control_says_what_was_found(excess: float, words: str) -> None:
    found = negative_control(np.full(2, excess), np.zeros(2), "own images alone", unit="Dice")
    ending = " above it (margin 0.02)" if words.endswith("not") else " it (margin 0.02)"
    assert found.detail == f"on another patient's observation: {words}{ending}"


def test_a_positive_control_says_what_was_found_and_what_it_needs() -> None:
    found = positive_control(np.full(2, 0.25), np.zeros(2), unit="Dice")
    assert found.detail == (
        "0.250 Dice above the blind floor (difference 0.250 to 0.250, 2 patients); "
        "it needs 0.100 and an interval above 0"
    )


def test_a_control_on_one_victim_is_not_made_rather_than_passed() -> None:
    one = np.array([0.3])
    for found in (negative_control(None, one), positive_control(one + 0.5, one)):
        assert found.passed is None
        assert found.difference is None
        assert found.detail.endswith("needs at least two victims")
    assert negative_control(None, FLOOR).passed is None


def test_advantage_is_zero_at_the_floor_and_one_at_the_original() -> None:
    assert advantage(FLOOR, FLOOR).mean == 0
    assert advantage(np.ones(4), FLOOR).mean == pytest.approx(1)
    below = advantage(FLOOR - 0.2, FLOOR)
    assert below.mean == pytest.approx(-0.2 / (1 - FLOOR.mean()))


def test_advantage_is_on_means_with_the_denominator_fixed() -> None:
    scores = np.array([0.6, 0.4, 0.5, 0.4])
    found = advantage(scores, FLOOR)
    differences = scores - FLOOR
    room = 1 - FLOOR.mean()
    half = 3.182446 * differences.std(ddof=1) / 2
    assert found.mean == pytest.approx(differences.mean() / room)
    assert found.low == pytest.approx((differences.mean() - half) / room)
    assert found.high == pytest.approx((differences.mean() + half) / room)
    assert (found.n, found.method) == (4, "t")
    assert found.mean != pytest.approx((differences / (1 - FLOOR)).mean())


@given(st.integers(2, 40).flatmap(lambda n: arrays(float, (2, n), elements=st.floats(0, 0.99))))
def test_no_interval_ends_where_no_mean_can_lie(drawn: NDArray[np.float64]) -> None:
    floors = drawn[0]
    scores = floors + (1 - floors) * drawn[1]
    found = advantage(scores, floors)
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.mean + 1e-9
    assert found.mean <= found.high + 1e-9
    assert found.high <= 1 + 1e-9


@pytest.mark.parametrize("count", [5, 25])
def test_what_would_pass_1_ends_there(count: int) -> None:
    floors = np.linspace(0.1, 0.9, count)
    found = advantage(np.full(count, 0.999), floors)
    assert (found.high, found.method) == (1.0, "t" if count < 20 else "bootstrap")
    assert found.low is not None
    assert found.low < found.mean < 1


def test_folds_that_differ_widen_the_interval_of_the_advantage() -> None:
    scores, floors = np.array([0.5, 0.51, 0.3, 0.31]), np.full(4, 0.2)
    folds = Folds(numbers=(0, 0, 1, 1), shares=((1.0, 0.0), (0.0, 1.0)))
    alone, spread = advantage(scores, floors), advantage(scores, floors, folds=folds)
    assert alone.low is not None
    assert spread.low is not None
    assert spread.low < alone.low
    assert spread.method == "wider of t over patients and t over folds"


def test_advantage_of_one_patient_has_no_interval_and_of_a_perfect_guess_is_refused() -> None:
    found = advantage(np.array([0.6]), np.array([0.2]))
    assert found.mean == pytest.approx(0.5)
    assert found.low is None
    assert found.high is None
    message = "^the blind guess is already the original; an advantage over it has no unit$"
    with pytest.raises(CellError, match=message):
        advantage(np.ones(3), np.ones(3))
