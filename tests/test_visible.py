"""One function makes hidden characters visible, as strictly as each place needs."""

from __future__ import annotations

from itertools import chain
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leakaudit.comparison.text import Line
from leakaudit.integrity import shown
from leakaudit.visible import Within, made_visible, spelled_out

BLOCKS = ((0, 0x3100), (0xD7F0, 0xE010), (0xFE00, 0x10000), (0xE0000, 0xE0100), (0xF1E00, 0xF1E04))
EVERY = "".join(map(chr, chain.from_iterable(range(*block) for block in BLOCKS)))


def spared(within: Within) -> set[str]:
    """The characters that stay as they are."""
    return {one for one in EVERY if made_visible(one, within) == one}


@pytest.mark.parametrize(
    ("within", "text"),
    [
        ("text", "a\xa0\u0e01[\n\tb[U+202E][U+001B][U+00AD][U+E0041]"),
        ("line", "a[U+00A0]\u0e01[[U+000A][U+0009]b[U+202E][U+001B][U+00AD][U+E0041]"),
        (
            "name",
            "a[U+00A0][U+0E01][U+005B][U+000A][U+0009]b[U+202E][U+001B][U+00AD][U+E0041]",
        ),
    ],
)
def test_a_place_leaves_what_it_can_show(within: Within, text: str) -> None:
    assert made_visible("a\xa0\u0e01[\n\tb\u202e\x1b\xad\U000e0041", within) == text


def test_each_place_spares_what_its_words_say() -> None:
    assert spared("line") == {one for one in EVERY if one.isprintable()}
    assert spared("name") == {one for one in EVERY if " " <= one <= "~"} - {"'", "["}
    hidden = set(EVERY) - spared("text")
    assert not hidden & {"\n", "\t"}
    assert not [one for one in hidden if one.isprintable()]
    marks = {one for one in EVERY if category(one) in ("Cc", "Cs", "Zl", "Zp")} - {"\n", "\t"}
    assert marks <= hidden


@given(st.text(alphabet="[]'\\U+0123EAn\u202e\n\x1b\ud800", max_size=8), st.text(max_size=8))
def test_no_two_names_look_alike(one: str, other: str) -> None:
    assert (shown(one) == shown(other)) == (one == other)
    assert shown(one).isascii()
    assert shown(one).isprintable()
    assert shown(one).count("'") in (0, 2)


def test_a_character_is_spelled_in_one_way() -> None:
    assert spelled_out("\u202e") == "[U+202E]" == made_visible("\u202e")
    assert Line("\U000f1e00").broken() == ["[U+F1E00]"]
