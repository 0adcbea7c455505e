"""What protects a setting: names, and which settings are strengths of one defence."""

from __future__ import annotations

import pytest

from leakaudit.report.protections import in_lines, in_words, protections, ranks

NOISE = "GaussianNoise(std={})"


@pytest.mark.parametrize(
    ("setting", "words", "lines"),
    [
        (("Identity()", 2, (0, 1), None), ("No defence", ""), ("No defence",)),
        (("Identity()", 0, (), None), ("No defence", ""), ("No defence",)),
        (
            ("Identity()", 2, (0, 1), 4),
            ("Bottleneck", "4 channels"),
            ("Bottleneck", "4 channels"),
        ),
        (
            ("Identity()", 2, (), None),
            ("Skips withheld", "levels 0 and 1"),
            ("Skips withheld", "levels 0 and 1"),
        ),
        (
            ("Identity()", 2, (1,), 1),
            ("Bottleneck + skips withheld", "1 channel; level 0"),
            ("Bottleneck, 1 channel", "+ skips 0 withheld"),
        ),
        (
            ("DpGaussian(epsilon=8.0)", 3, (2,), 4),
            (
                "DP Gaussian + bottleneck + skips withheld",
                "epsilon 8.0; 4 channels; levels 0 and 1",
            ),
            ("DP Gaussian, epsilon 8.0", "+ bottleneck, 4 channels", "+ skips 0+1 withheld"),
        ),
        (
            ("Plain()", 1, (0,), 2),
            ("Plain + bottleneck", "2 channels"),
            ("Plain", "+ bottleneck, 2 channels"),
        ),
    ],
)
def test_a_setting_is_named_by_all_that_protects_it(
    setting: tuple[str, int, tuple[int, ...], int | None],
    words: tuple[str, str],
    lines: tuple[str, ...],
) -> None:
    parts = protections(*setting)
    assert in_words(parts) == words
    assert in_lines(parts) == lines


def first_ranks(*settings: tuple[str, int, tuple[int, ...], int | None]) -> object:
    return ranks([protections(*setting)[0] for setting in settings])


def test_strengths_of_one_parameter_have_ranks() -> None:
    noise = [(NOISE.format(std), 2, (0, 1), None) for std in ("3.0", "-1.0", "1e-05")]
    assert first_ranks(*noise) == (3.0, -1.0, 1e-5)
    assert first_ranks(*(("Identity()", 2, (0, 1), k) for k in (8, 1))) == (8.0, 1.0)
    assert first_ranks(*(("Identity()", 2, skips, None) for skips in ((), (1,)))) == (2.0, 1.0)
    assert first_ranks(("A(p=1, q=2)", 0, (), None), ("A(p=3, q=2)", 0, (), None)) == (1.0, 3.0)


@pytest.mark.parametrize(
    "defenses",
    [
        ("A(p=1, q=2)", "A(p=3, q=4)"),
        ("A(p=1, q=2)", "A(p=1)"),
        ("A(p=1)", "A(q=2)"),
        ("A(kind='x')", "A(kind='y')"),
        ("A(p=1)", "A(p=1)"),
        ("A(p=1)", "A()"),
    ],
)
def test_settings_that_are_no_strengths_of_one_parameter_have_none(
    defenses: tuple[str, ...],
) -> None:
    assert first_ranks(*((defense, 0, (), None) for defense in defenses)) is None
