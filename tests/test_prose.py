"""The pages that people read are in plain words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.reading_grade import grade, prose_of_markdown

AVOIDED = re.compile(
    r"\b(whoever|whatever|whichever|of which|can not|but for|held against|defence"
    r"|(?<!there )is no (?!longer)[a-z]+)\b",
    re.IGNORECASE,
)
ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))


def test_long_words_in_long_sentences_are_graded_high_and_terms_are_not() -> None:
    plain = "The network is cut. Each site sends its levels. The server reads them."
    heavy = "Organisational responsibilities necessitate interdisciplinary consideration."
    assert grade(plain) < 5 < 15 < grade(heavy)
    assert grade("The gradient of a patient crosses.") == grade("The term of a patient crosses.")


def test_of_a_page_the_prose_is_read_alone() -> None:
    page = "# Head\n\nSee [this](a.md):\n\n    code\n\n- one `x` two\n\n| a |\n\n```sh\nls\n```\n"
    assert prose_of_markdown(page) == "See this:.\none code two."


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_read_at_grade_10_at_most(page: Path) -> None:
    assert grade(prose_of_markdown(page.read_text())) <= 10


@pytest.mark.parametrize("page", [*PAGES, *DECISIONS], ids=lambda page: page.name)
def test_a_page_has_no_word_that_winds_a_sentence(page: Path) -> None:
    prose = prose_of_markdown(page.read_text())
    assert [found[0] for found in AVOIDED.finditer(prose)] == []
