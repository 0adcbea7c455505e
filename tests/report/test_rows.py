"""Drawings in table rows: a dot for each patient, a lane for each modality."""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leakaudit.report.figures.rows import DOTS_HEIGHT, DotRow, dot_row, lane_row, row_scale
from tests.report.sample import interval


def dots(scores: list[float]) -> DotRow:
    highest = scores.index(max(scores))
    return dot_row(scores, highest, sorted(scores)[len(scores) // 2], 0.3, row_scale(scores))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-0.5, 1), min_size=1, max_size=120))
def test_every_patient_is_a_mark_in_the_row(scores: list[float]) -> None:
    found = dots(scores)
    assert found == dots(scores)
    assert len(found.dots) == len(scores) - 1
    for x, y in (*found.dots, found.highest):
        assert 0 < x < found.width
        assert found.radius <= y <= DOTS_HEIGHT - found.radius
    assert all(x <= found.highest[0] for x, _ in found.dots)
    assert 0 < found.median < found.width
    assert 0 < found.floor < found.width


@pytest.mark.parametrize("count", [1, 2, 5])
def test_equal_patients_do_not_cover_each_other(count: int) -> None:
    found = dots([0.5] * count)
    places = [*found.dots, found.highest]
    for (_, first), (_, second) in combinations(places, 2):
        assert abs(first - second) >= 2 * found.radius - 0.01


def test_lanes_keep_their_order_and_sites_stand_apart() -> None:
    scores = [interval(0.3 + 0.1 * number) for number in range(4)]
    lanes = [(0, scores[0], 0.2), (0, scores[1], None), (1, scores[2], 0.4), (1, scores[3], 0.1)]
    found = lane_row(lanes, row_scale([0.0]))
    first, second, third, fourth = found.lanes
    assert first.at < second.at < third.at < fourth.at
    gaps = [below.y - above.y for above, below in pairwise(found.lanes)]
    assert gaps[1] > gaps[0] == gaps[2]
    assert second.floor is None
    assert len({lane.path for lane in found.lanes}) == 4
    for lane in found.lanes:
        assert 0 < lane.low <= lane.at <= lane.high < found.width
        assert 0 < lane.y < found.height


def test_the_scale_reaches_below_zero_only_if_a_value_does() -> None:
    assert row_scale([0.4]).ticks[0].text == "0.0"
    assert row_scale([-0.3]).ticks[0].text.startswith("\N{MINUS SIGN}")
