"""The advantage has one definition, which figures, policies and comparisons share."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from leakaudit.comparison.figures import cell_deltas
from leakaudit.measure import controls
from leakaudit.policy.figures import of_cell
from leakaudit.records import Leakage
from leakaudit.records.advantage import advantage, room_above
from tests.policy.test_judging import CELL, threshold
from tests.report.sample import leakage

Scores = NDArray[np.float64]
SCORES = np.array([0.9, 0.4, 0.7, 0.5, 0.6])
FLOORS = np.array([0.5, 0.1, 0.3, 0.4, 0.2])


def measured(scores: Scores, floors: Scores) -> Leakage:
    """A cell's figures as an audit would write them of these patients."""
    base = leakage(0.5)
    patients = tuple(
        one.model_copy(update={"ssim_brain": float(score), "blind_floor": float(floor)})
        for one, score, floor in zip(base.patients, scores, floors, strict=True)
    )
    update = {"patients": patients, "advantage": controls.advantage(scores, floors)}
    return base.model_copy(update=update)


def test_it_is_0_for_the_guess_1_for_the_original_and_nothing_without_room() -> None:
    assert advantage(0.3, 0.3) == 0
    assert advantage(1.0, 0.3) == 1
    assert advantage(0.1, 0.55) == pytest.approx(-1.0)
    assert advantage(1.0, 1.0) is None
    assert room_above(1 - 1e-12) is None
    assert advantage(0.9, 0.5, mean_floor=1.0) is None


def test_the_worst_patient_of_a_policy_is_held_against_the_guess_at_that_patient() -> None:
    cell = CELL.model_copy(update={"leakage": measured(SCORES, FLOORS)})
    found = of_cell(cell, threshold("advantage"))
    assert found is not None
    assert found.observed == advantage(0.9, 0.5)
    assert found.observed == pytest.approx((0.9 - 0.5) / 0.5)


def test_a_compared_difference_is_that_of_the_two_advantages_that_are_shown() -> None:
    rise = np.array([0.05, 0.01, 0.2, 0.02, 0.1])
    first, second = (
        CELL.model_copy(update={"leakage": measured(SCORES + by, FLOORS)}) for by in (0, rise)
    )
    _, found = cell_deltas(first, second)
    assert found.difference is not None
    assert found.difference.mean == pytest.approx(found.b.mean - found.a.mean)
    own = rise / (1 - FLOORS)
    assert found.difference.mean != pytest.approx(np.mean(own))


def test_its_definition_waits_for_no_torch() -> None:
    code = "import sys, leakaudit.records.advantage; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
