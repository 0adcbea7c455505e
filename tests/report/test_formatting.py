from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from leakaudit.records import Interval, State
from leakaudit.report import formatting


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(0.745, 2, "0.74"), (-0.126, 2, "−0.13"), (-0.001, 2, "0.00"), (7, 2, "7"), (0.0, 1, "0.0")],  # noqa: RUF001
)
def test_a_figure_has_fixed_decimals(value: float, digits: int, text: str) -> None:
    assert formatting.figure(value, digits) == text


def test_a_missing_figure_is_a_dash_and_a_reason_never_zero() -> None:
    assert formatting.figure(None, reason="timed out") == f"{formatting.MISSING} (timed out)"
    for text in (
        formatting.figure(None),
        formatting.percent(None),
        formatting.estimate(None),
        formatting.bounds(None),
        formatting.scientific(None),
        formatting.duration(None),
    ):
        assert text == f"{formatting.MISSING} (not recorded)"
        assert "0" not in text


def test_one_patient_has_no_interval() -> None:
    alone = Interval(mean=0.5, low=None, high=None, n=1, method="none")
    assert formatting.estimate(alone) == "0.50 (no interval from 1 patient)"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.5, "0.5 s"), (42, "42 s"), (185, "3 min 05 s"), (7800.0, "2 h 10 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert formatting.duration(seconds) == text


@pytest.mark.parametrize(
    ("representation", "text"),
    [
        ("Identity()", "No defence"),
        ("GaussianNoise(std=1.0, relative=False)", "Gaussian noise, std 1.0"),
        ("GaussianNoise(std=1.0, relative=True)", "Gaussian noise, std 1.0, relative True"),
        ("DpGaussian(epsilon=8.0, delta=1e-05)", "DP Gaussian, epsilon 8.0, delta 1e−05"),  # noqa: RUF001
        ("<script>", "<script>"),
    ],
)
def test_a_repr_in_words(representation: str, text: str) -> None:
    assert formatting.labelled(representation) == text


def test_hidden_characters_become_visible_and_markup_stays() -> None:
    assert formatting.visible("a\u202eb\x00") == "a[U+202E]b[U+0000]"
    assert formatting.visible("a\nb") == "a\nb"
    kept = Markup("<b>\u202e</b>")
    assert formatting.visible(kept) is kept


def test_every_state_is_spelled_out() -> None:
    assert set(formatting.STATE_WORDS) == set(formatting.STATE_MEANINGS) == set(State)


@given(st.text())
def test_any_name_can_be_put_in_words(name: str) -> None:
    assert isinstance(formatting.labelled(name), str)
    assert isinstance(formatting.spoken(name), str)
