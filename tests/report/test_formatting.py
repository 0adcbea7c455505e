from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from leakaudit.records import Configured, Interval, State
from leakaudit.report.text import formatting
from tests.configured import a_defense


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(0.745, 2, "0.74"), (-0.126, 2, "−0.13"), (-0.001, 2, "−0.001"), (7, 2, "7"), (0.0, 1, "0.0")],  # noqa: RUF001
)
def test_a_figure_has_fixed_decimals(value: float, digits: int, text: str) -> None:
    assert formatting.figure(value, digits) == text


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.994, 2, "0.99"),
        (0.9951, 2, "0.995"),
        (0.997, 2, "0.997"),
        (0.9996, 2, "0.9996"),
        (0.9996, 3, "0.9996"),
        (0.99997, 2, ">0.9999"),
        (1 - 1e-9, 2, ">0.9999"),
        (1 - 1e-9, 6, ">0.999999"),
        (1 - 1e-15, 2, "1.00"),
        (-0.99997, 2, "<−0.9999"),  # noqa: RUF001
        (1.0, 2, "1.00"),
        (1.004, 2, "1.00"),
        (-0.997, 2, "−0.997"),  # noqa: RUF001
        (0.006, 2, "0.01"),
        (0.004, 2, "0.004"),
        (0.0003, 2, "0.0003"),
        (1e-5, 2, "<0.0001"),
        (1e-9, 2, "<0.0001"),
        (1e-9, 6, "<0.000001"),
        (-1e-5, 2, ">−0.0001"),  # noqa: RUF001
        (1e-12, 2, "0.00"),
        (1e-17, 2, "0.00"),
        (-1e-17, 2, "0.00"),
        (0.0, 2, "0.00"),
        (1, 2, "1"),
    ],
)
def test_what_is_not_0_or_1_is_not_shown_as_if_it_were(
    value: float, digits: int, text: str
) -> None:
    assert formatting.figure(value, digits) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0"),
        (1e-15, "0"),
        (1e-9, "<0.01"),
        (0.00001, "<0.01"),
        (0.00006, "0.01"),
        (0.0003, "0.03"),
        (0.05, "5.0"),
        (0.42, "42"),
        (0.9967, "99.7"),
        (0.9999, "99.99"),
        (0.99999, ">99.99"),
        (1 - 1e-9, ">99.99"),
        (1 - 1e-15, "100"),
        (1.0, "100"),
    ],
)
def test_a_share_that_is_not_all_or_nothing_is_not_shown_as_such(share: float, text: str) -> None:
    assert formatting.percent(share) == f"{text}\N{NO-BREAK SPACE}%"


@given(st.floats(-1, 1), st.integers(0, 6))
def test_a_figure_is_within_half_of_its_last_decimal(value: float, digits: int) -> None:
    text = formatting.figure(value, digits).replace(formatting.MINUS, "-")
    written = float(text.lstrip("<>"))
    if text.startswith(">"):
        assert written < value < (1 if written > 0 else 0)
    elif text.startswith("<"):
        assert (-1 if written < 0 else 0) < value < written
    else:
        assert abs(written - value) <= 0.5 * 10 ** -len(text.partition(".")[2]) + 1e-12


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
    ("written", "text"),
    [
        ("Identity()", "No defense"),
        ("GaussianNoise(std=1.0, relative=False)", "Gaussian noise, std 1.0"),
        ("GaussianNoise(std=1.0, relative=True)", "Gaussian noise, std 1.0, relative True"),
        ("DpGaussian(epsilon=8.0, delta=1e-05)", "DP Gaussian, epsilon 8.0, delta 1e−05"),  # noqa: RUF001
        ("<script>", "<script>"),
    ],
)
def test_a_defense_in_words(written: str, text: str) -> None:
    assert formatting.labelled(a_defense(written)) == text


def test_hidden_characters_become_visible_and_markup_stays() -> None:
    assert formatting.visible("a\u202eb\x00") == "a[U+202E]b[U+0000]"
    assert formatting.visible("a\nb") == "a\nb"
    kept = Markup("<b>\u202e</b>")
    assert formatting.visible(kept) is kept


def test_every_state_is_spelled_out() -> None:
    for state in State:
        assert state.label[0].isupper()
        assert state.meaning.endswith(".")


@given(st.text())
def test_any_name_can_be_put_in_words(name: str) -> None:
    assert isinstance(formatting.labelled([Configured(name=name)]), str)
    assert isinstance(formatting.spoken(name), str)
