from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leakaudit.report.figures.labels import text_width
from leakaudit.report.figures.markers import SHAPES, UNDEFENDED_SHAPE, shape
from leakaudit.report.figures.scales import FACET, NARROW, WIDE, Canvas
from leakaudit.report.figures.tradeoff_panel import Floor, Panel, Point, axes, panel
from leakaudit.report.views.strips import strip
from tests.report.sample import interval

FLOORS = (Floor("blind", "Blind floor 0.30", 0.30), Floor("outline", "Outline floor 0.31", 0.31))
CANVASES = (WIDE, NARROW, FACET)
PLOT = WIDE.plot


def one_panel(points: Sequence[Point], canvas: Canvas = WIDE) -> Panel:
    return panel(points, FLOORS, axes(points, FLOORS), canvas)


def point(dice: float, ssim: float = 0.5, **changes: Any) -> Point:
    plain = {"name": "a", "label": ("a",), "shape": 0, "pareto": False}
    return Point(dice=interval(dice), ssim=interval(ssim), **{**plain, **changes})


def drawn(*values: tuple[float, float], pareto: bool = True, canvas: Canvas = WIDE) -> Panel:
    points = [
        point(
            dice,
            ssim,
            name=f"Gaussian noise, std {n}",
            label=("Gaussian noise", f"std {n}"),
            shape=n % 9 - 1,
            pareto=pareto,
        )
        for n, (dice, ssim) in enumerate(values)
    ]
    return one_panel(points, canvas)


def test_more_dice_is_further_right_and_more_ssim_further_up() -> None:
    low, high = drawn((0.2, 0.3), (0.7, 0.9)).points
    assert low.x < high.x
    assert low.y > high.y


def test_panels_share_their_scales() -> None:
    one, two = point(0.2, 0.3), point(0.8, 0.9)
    shared = axes([one, two], FLOORS)
    first, second = (panel([each], FLOORS, shared, WIDE) for each in (one, two))
    assert first.x_ticks == second.x_ticks
    assert first.y_ticks == second.y_ticks


def test_an_interval_beyond_the_possible_is_cut_off() -> None:
    (found,) = drawn((0.01, 0.99)).points
    assert found.left == PLOT.left
    assert found.top == PLOT.top


@pytest.mark.parametrize("canvas", CANVASES, ids=["wide", "narrow", "facet"])
@settings(max_examples=15, deadline=None)
@given(
    values=st.lists(
        st.tuples(st.floats(0, 1, allow_nan=False), st.floats(-0.2, 1, allow_nan=False)),
        min_size=1,
        max_size=14,
    )
)
def test_marks_stay_inside_and_names_stand_apart_below(
    canvas: Canvas, values: list[tuple[float, float]]
) -> None:
    found = drawn(*values, canvas=canvas)
    assert found == drawn(*values, canvas=canvas)
    for one in found.points:
        assert canvas.plot.left <= one.left <= one.x <= one.right <= canvas.plot.right
        assert canvas.plot.top <= one.top <= one.y <= one.bottom <= canvas.plot.bottom
    assert [one.number for one in found.points] == [one.number for one in found.key]
    tops = [one.y for one in found.key] + [one.key_y for one in found.floors if one.key_y]
    assert all(after - before >= 20 for before, after in pairwise(tops))
    assert max(tops) < found.height


def test_a_dot_of_the_background_has_no_name_and_no_marker() -> None:
    found = one_panel([point(0.4), point(0.6, 0.8, dot=True), point(0.7, label=())])
    assert [one.point.dice.mean for one in found.dots] == [0.6]
    assert [one.number for one in found.points] == [1, 0]
    assert len(found.key) == 1


def test_a_background_point_on_the_front_bounds_it() -> None:
    found = one_panel([point(0.4, 0.4, pareto=True, dot=True), point(0.6, 0.6, pareto=True)])
    assert found.front.startswith(f"M{found.dots[0].x},{found.dots[0].y}V")


@pytest.mark.parametrize(
    "hostile", ["<script>" * 40, "x" * 500, "\u4e2d" * 90, "a\nb " * 60, ""], ids=str.__len__
)
def test_a_name_of_any_length_stays_in_its_frame(hostile: str) -> None:
    for canvas in CANVASES:
        found = one_panel([point(0.5, name=hostile, label=(hostile,))] * 3, canvas)
        for entry in found.key:
            assert text_width(entry.lines) <= canvas.width - canvas.plot.left
            assert entry.y + 14 * (len(entry.lines) - 1) < found.height


def test_marker_shapes_differ_for_a_dozen_defenses() -> None:
    assert len({UNDEFENDED_SHAPE, *SHAPES}) == len(SHAPES) + 1 >= 13
    assert shape(-1) == UNDEFENDED_SHAPE
    assert [shape(number) for number in range(len(SHAPES))] == list(SHAPES)


@pytest.mark.slow
def test_equal_points_have_their_names_in_the_key_below() -> None:
    found = drawn(*[(0.5, 0.5)] * 60)
    assert found.key
    assert found.height > found.key[-1].y
    numbers = [one.number for one in found.points]
    assert numbers == [entry.number for entry in found.key] == [*range(1, len(found.key) + 1)]


def test_a_long_name_in_the_key_is_broken_where_a_defense_is_added() -> None:
    label = ("Gaussian noise, std 1.0", "+ bottleneck, 4 channels", "+ skips 0+1 withheld")
    name = "Gaussian noise, std 1.0 + bottleneck, 4 channels + skips 0+1 withheld"
    found = one_panel([point(0.5, name=name, label=label, pareto=True)] * 40, NARROW)
    first, second = found.key[:2]
    assert first.lines == label
    assert second.y - first.y > 20
    assert found.height > found.key[-1].y + 14
    assert first.pareto


def test_the_front_is_a_staircase_of_pareto_points_alone() -> None:
    assert drawn((0.2, 0.3), (0.7, 0.9), pareto=False).front == ""
    found = drawn((0.2, 0.3), (0.7, 0.9))
    low, high = found.points
    assert found.front == f"M{low.x},{low.y}V{high.y}H{high.x}"


def test_the_strengths_of_a_defense_are_joined_in_their_order() -> None:
    swept = [point(0.6, sweep="a", rank=3), point(0.2, sweep="a", rank=1)]
    swept += [point(0.4, sweep="a", rank=2)]
    alone = [point(0.3, sweep="b", rank=1), point(0.8), point(0.9)]
    found = one_panel([*swept, *alone])
    three, one, two = found.points[:3]
    assert found.sweeps == (f"M{one.x},{one.y}L{two.x},{two.y}L{three.x},{three.y}",)


@pytest.mark.parametrize("mean", [-0.4, 0.0, 0.5, 1.0])
def test_a_strip_stays_on_its_scale(mean: float) -> None:
    one = strip(interval(mean), 0.3)
    assert 4 <= one.low <= one.at <= one.high <= 116
