"""How often a guess that sees nothing succeeds."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from leakaudit.data.cohort import brain_mask
from leakaudit.errors import CellError
from leakaudit.measure.floors import BlindGuess
from leakaudit.measure.prior import FEWEST, SUCCESS, success
from tests.tiny import tiny_patients

REACHED = np.array([0.9, 0.4, 0.5])


def images(count: int) -> NDArray[np.float32]:
    return np.stack([patient.images[patient.middle] for patient in tiny_patients(count)])


def test_the_best_guess_is_counted_over_the_other_patients_and_its_limit_is_the_prior() -> None:
    others = images(25)
    # Seven patients look alike: who guesses that one is right about them, and about no other.
    others[:7] = others[0]
    guesses = (
        BlindGuess(name="zeros", images=np.zeros_like(others[0])),
        BlindGuess(name="medoid", images=others[0]),
    )
    found = success(REACHED, guesses, others, brain_mask(others))
    assert found is not None
    assert (found.threshold, found.reached, found.n) == (SUCCESS, 2, 3)
    assert (found.blind_name, found.blind_reached, found.others) == ("medoid", 7, 25)
    # Clopper and Pearson, one-sided 95 % of 7 in 25 (scipy.stats.binomtest, "less").
    assert found.blind_limit == pytest.approx(0.46221, abs=1e-5)


def test_too_few_patients_make_no_prior() -> None:
    few = images(FEWEST - 1)
    guess = (BlindGuess(name="zeros", images=np.zeros_like(few[0])),)
    assert success(REACHED, guess, few, brain_mask(few)) is None
    enough = images(FEWEST)
    found = success(REACHED, guess, enough, brain_mask(enough))
    assert found is not None
    assert found.blind_reached == 0
    # Nobody of 20: the limit is 1 - 0.05^(1/20).
    assert found.blind_limit == pytest.approx(1 - 0.05 ** (1 / 20))


def test_no_guess_is_refused() -> None:
    some = images(FEWEST)
    with pytest.raises(CellError, match=r"^the blind success needs at least one guess, got none$"):
        success(REACHED, (), some, brain_mask(some))
