"""Lines over steps: where they go, and that nothing covers anything."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leakaudit.report.figures.scales import FACET, NARROW, WIDE, Canvas
from leakaudit.report.figures.series_panel import (
    Series,
    SeriesPanel,
    Value,
    score_ticks,
    series_panel,
)
from tests.report.sample import interval


def series(*means: float | None, floor: float = 0.3, absent: tuple[int, ...] = ()) -> Series:
    values = tuple(None if one is None else Value(interval(one), floor) for one in means)
    return Series("Noise, std 1.0", ("Noise", "std 1.0"), values, 0, frozenset(absent))


def laid_out(
    lines: list[Series], canvas: Canvas = WIDE, crowd: tuple[Series, ...] = ()
) -> SeriesPanel:
    steps = [(f"cut {number}", "all skips") for number in range(len(lines[0].values))]
    return series_panel(
        lines,
        steps,
        score_ticks([*lines, *crowd]),
        canvas,
        axis="cut",
        crowd=crowd,
    )


@pytest.mark.parametrize("canvas", [WIDE, NARROW, FACET], ids=["wide", "narrow", "facet"])
@settings(max_examples=25, deadline=None)
@given(
    table=st.integers(1, 6).flatmap(
        lambda steps: st.lists(
            st.lists(st.one_of(st.none(), st.floats(-0.3, 1)), min_size=steps, max_size=steps),
            min_size=1,
            max_size=7,
        )
    )
)
def test_marks_are_inside_and_names_below(canvas: Canvas, table: list[list[float | None]]) -> None:
    lines = [series(*row) for row in table]
    found = laid_out(lines, canvas)
    assert found == laid_out(lines, canvas)
    plot = found.plot
    for one, row in zip(found.series, table, strict=True):
        assert len(one.values) == sum(value is not None for value in row)
        for value in one.values:
            assert plot.left <= value.x <= plot.right
            assert plot.top <= value.top <= value.y <= value.bottom <= plot.bottom
    assert len(found.key) == sum(bool(one.label) for one in lines)
    assert all(entry.y < found.height for entry in found.key)


def test_higher_scores_are_further_up_and_later_steps_further_right() -> None:
    (one,) = laid_out([series(0.2, 0.9)]).series
    first, last = one.values
    assert first.x < last.x
    assert first.y > last.y


def test_a_line_is_broken_where_a_figure_is_missing_and_goes_on_where_none_was_asked() -> None:
    broken, whole = laid_out([series(0.9, None, 0.5), series(0.9, None, 0.5, absent=(1,))]).series
    assert (broken.line.count("M"), broken.line.count("L")) == (2, 0)
    assert (whole.line.count("M"), whole.line.count("L")) == (1, 1)
    assert len(broken.values) == len(whole.values) == 2


def test_equal_floors_of_neighbouring_steps_are_one_stroke() -> None:
    alike = laid_out([series(0.9, 0.8, 0.7), series(0.5, 0.4, 0.3)])
    assert alike.floors.count("M") == 1
    gap = laid_out([series(0.9, None, 0.7)])
    assert gap.floors.count("M") == 2
    assert laid_out([series(0.9), series(0.9, floor=0.1)]).floors.count("M") == 2


def test_the_background_has_lines_and_no_marks() -> None:
    found = laid_out([series(0.9, 0.8)], crowd=(series(0.4, 0.2), series(0.3, None)))
    assert len(found.crowd) == 2
    assert len(found.series) == 1


def test_many_names_stand_below() -> None:
    found = laid_out([series(0.5, 0.5) for _ in range(40)])
    assert found.key
    assert found.height > found.key[-1].y
    tops = [one.y for one in found.key]
    assert all(after - before >= 14 for before, after in pairwise(tops))
