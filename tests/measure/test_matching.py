"""Who is matched: hits, ties, ranks, margins and the control on another patient's release."""

from __future__ import annotations

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from leakaudit.errors import CellError
from leakaudit.measure.matching import matching

NAMES = ("a", "b", "c")
SCORES = np.array([[5.0, 1.0, 0.0, 3.0], [0.0, 4.0, 4.0, 1.0], [2.0, 2.0, 2.0, 2.0]])


def test_a_tie_counts_as_the_average_rank() -> None:
    found = matching(SCORES, [0, 1, 2], NAMES)
    assert [one.hit for one in found.patients] == [1.0, 0.5, 0.25]
    assert [one.rank for one in found.patients] == [1.0, 1.5, 2.5]
    assert found.top1 == pytest.approx(1.75 / 3)
    assert found.chance == 0.25
    assert (found.gallery, found.n) == (4, 3)
    assert found.low < found.top1 < found.high
    assert not found.singles_out


def test_the_margin_is_to_the_best_other_in_their_standard_deviations() -> None:
    found = matching(SCORES, [0, 1, 2], NAMES)
    others = np.array([1.0, 0.0, 3.0])
    assert found.patients[0].margin == pytest.approx((5 - 3) / others.std())
    assert found.patients[1].margin == 0.0
    assert found.patients[2].margin is None
    behind = matching(SCORES, [1, 1, 2], NAMES).patients[0]
    assert behind.margin is not None
    assert behind.margin < 0


def test_another_patients_release_is_scored_against_this_patient() -> None:
    right = np.eye(3, 4)
    found = matching(right, [0, 1, 2], NAMES)
    assert [one.wrong for one in found.patients] == [0.0, 0.0, 0.0]
    same = np.tile(np.array([1.0, 0.0, 0.0, 0.0]), (3, 1))
    assert [one.wrong for one in matching(same, [0, 1, 2], NAMES).patients] == [1.0, 0.0, 0.0]
    assert matching(right[:1], [0], NAMES[:1]).patients[0].wrong is None


def test_other_views_have_shares_of_their_own() -> None:
    right, wrong = np.eye(3, 4), np.roll(np.eye(3, 4), 1, axis=1)
    found = matching(right, [0, 1, 2], NAMES, other_slice=wrong, other_pass=right)
    assert found.top1 == 1.0
    assert found.other_slice is not None
    assert found.other_slice.top1 == 0.0
    assert found.other_pass is not None
    assert found.other_pass.top1 == 1.0


def test_differences_of_rounding_are_ties_and_large_scores_keep_theirs() -> None:
    row = np.array([[-1e12, -1e12 + 1e-3, -2e12]])
    assert matching(row, [0], NAMES[:1]).patients[0].hit == 0.5
    row = np.array([[-1e12, -1e12 + 10, -2e12]])
    assert matching(row, [0], NAMES[:1]).patients[0].hit == 0.0


@pytest.mark.parametrize(
    ("scores", "own", "message"),
    [
        (np.zeros((0, 4)), [], "needs victims"),
        (np.zeros((1, 1)), [0], "at least two candidates"),
        (np.array([[0.0, np.nan]]), [0], "^expected finite scores of candidates, got NaN or inf"),
        (
            np.zeros((2, 3)),
            [0],
            r"^matching needs victims and .*; got scores of 2 victims and 3 ca",
        ),
    ],
)
def test_what_can_not_be_scored_is_refused(
    scores: np.ndarray, own: list[int], message: str
) -> None:
    with pytest.raises(CellError, match=message):
        matching(scores, own, NAMES[: len(own)])


def test_every_victim_needs_its_scores_its_column_and_its_name() -> None:
    two = np.eye(2, 3)
    with pytest.raises(CellError, match=r"3 candidates for 1 victims$"):
        matching(two, [0, 1], NAMES[:1])
    with pytest.raises(CellError, match=r"2 victims and 3 candidates for 2 victims$"):
        matching(two, [0], NAMES[:2])
    for other in ({"other_slice": SCORES}, {"other_pass": SCORES}):
        with pytest.raises((CellError, TypeCheckError)):
            matching(two, [0, 1], NAMES[:2], **other)
