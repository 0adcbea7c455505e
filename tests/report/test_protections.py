"""What protects a setting, and what that is called."""

from __future__ import annotations

import pytest

from leakaudit.report.text.protections import in_lines, in_words, protections
from tests.configured import a_defense


@pytest.mark.parametrize(
    ("setting", "words", "lines"),
    [
        (("Identity()", 2, (0, 1), None), ("No defense", ""), ("No defense",)),
        (("Identity()", 0, (), None), ("No defense", ""), ("No defense",)),
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
    defense, cut, skips, bottleneck = setting
    parts = protections(a_defense(defense), cut, skips, bottleneck)
    assert in_words(parts) == words
    assert in_lines(parts) == lines
