from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leakaudit.report.figures import PLOT, Floor, Panel, Point, panels, strip
from tests.report.sample import interval

FLOORS = (Floor("blind", "Blind floor 0.30", 0.30), Floor("outline", "Outline floor 0.31", 0.31))


def drawn(*values: tuple[float, float], pareto: bool = True) -> Panel:
    points = [
        Point(("Gaussian noise", f"std {n}"), interval(dice), interval(ssim), n % 9 - 1, pareto)
        for n, (dice, ssim) in enumerate(values)
    ]
    return panels([(points, FLOORS)])[0]


def test_more_dice_is_further_right_and_more_ssim_further_up() -> None:
    low, high = drawn((0.2, 0.3), (0.7, 0.9)).points
    assert low.x < high.x
    assert low.y > high.y


def test_panels_share_their_scales() -> None:
    one = Point(("a",), interval(0.2), interval(0.3), 0, False)
    two = Point(("b",), interval(0.8), interval(0.9), 1, False)
    first, second = panels([([one], FLOORS), ([two], FLOORS)])
    assert first.x_ticks == second.x_ticks
    assert first.y_ticks == second.y_ticks


def test_an_interval_beyond_the_possible_is_cut_off() -> None:
    (point,) = drawn((0.01, 0.99)).points
    assert point.left == PLOT.left
    assert point.top == PLOT.top


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 1, allow_nan=False), st.floats(-0.2, 1, allow_nan=False)),
        min_size=1,
        max_size=14,
    )
)
def test_no_name_covers_another_or_a_marker(values: list[tuple[float, float]]) -> None:
    panel = drawn(*values)
    labels = [one.label for one in panel.points if one.label]
    labels += [one.label for one in panel.floors if one.label]
    for first, second in combinations(labels, 2):
        assert not first.box.overlaps(second.box)
    for label in labels:
        for point in panel.points:
            box = label.box
            assert not (box.left < point.x < box.right and box.top < point.y < box.bottom)
    named = sum(one.label is not None for one in panel.points)
    assert named + len(panel.key) == len(values)


def test_equal_points_keep_their_names_in_the_key_below() -> None:
    panel = drawn(*[(0.5, 0.5)] * 60)
    assert panel.key
    assert panel.height > panel.key[-1].y


def test_a_long_name_in_the_key_is_broken_where_a_defence_is_added() -> None:
    label = ("Gaussian noise, std 1.0", "+ bottleneck, 4 channels", "+ skips 0+1 withheld")
    alike = [Point(label, interval(0.5), interval(0.5), 0, True)] * 40
    (panel,) = panels([(alike, FLOORS)])
    first, second = panel.key[:2]
    assert first.lines == (f"{label[0]} {label[1]}", label[2])
    assert second.y - first.y > 20
    assert panel.height > panel.key[-1].y + 14
    assert first.pareto


def test_the_front_is_a_staircase_of_pareto_points_alone() -> None:
    assert drawn((0.2, 0.3), (0.7, 0.9), pareto=False).front == ""
    panel = drawn((0.2, 0.3), (0.7, 0.9))
    low, high = panel.points
    assert panel.front == f"M{low.x},{low.y}V{high.y}H{high.x}"


def test_the_strengths_of_a_defence_are_joined_in_their_order() -> None:
    def point(dice: float, sweep: str, rank: float) -> Point:
        return Point(("a",), interval(dice), interval(0.5), 0, False, sweep, rank)

    found = [point(0.6, "a", 3.0), point(0.2, "a", 1.0), point(0.4, "a", 2.0)]
    alone = [point(0.3, "b", 1.0), point(0.8, "", 0.0), point(0.9, "", 0.0)]
    (panel,) = panels([([*found, *alone], FLOORS)])
    three, one, two = panel.points[:3]
    assert panel.sweeps == (f"M{one.x},{one.y}L{two.x},{two.y}L{three.x},{three.y}",)


@pytest.mark.parametrize("mean", [-0.4, 0.0, 0.5, 1.0])
def test_a_strip_stays_on_its_scale(mean: float) -> None:
    one = strip(interval(mean), 0.3)
    assert 4 <= one.low <= one.at <= one.high <= 116
