"""The reading grade of a text: Flesch-Kincaid, with the terms of the glossary as short words."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

import textstat


@cache
def _terms() -> re.Pattern[str]:
    """The terms that the report's glossary explains, and the words that they are made of."""
    glossary = resources.files("leakaudit_templates").joinpath("glossary.html.j2").read_text()
    terms: set[str] = set()
    for entry in re.findall(r"<dt>(.+?)</dt>", glossary):
        for term in re.split(r",\s*", re.sub(r"<[^>]+>|\(.*?\)", "", entry)):
            terms |= {term.strip(), *re.findall(r"[A-Za-z]{5,}", term)}
    longest_first = sorted(map(re.escape, terms - {""}), key=len, reverse=True)
    return re.compile(rf"\b(?:{'|'.join(longest_first)})s?\b", re.IGNORECASE)


def grade(text: str) -> float:
    """Return the grade; a term of the glossary counts as one short word, a number likewise.

    Args:
        text: prose of at least some sentences, without markup.
    """
    text = re.sub(r"[-+\u2212]?\d[\d.,]*\d|\d", "one", text)
    return float(textstat.flesch_kincaid_grade(_terms().sub("term", text)))


def prose_of_markdown(page: str) -> str:
    """Return the sentences of a page without code, tables, headings and addresses."""
    page = re.sub(r"<!--.*?-->", "", page, flags=re.DOTALL)
    page = re.sub(r"^```.*?^```", "", page, flags=re.DOTALL | re.MULTILINE)
    page = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", page)
    page = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", page)
    page = re.sub(r"`[^`]*`", "code", page)
    paragraphs = []
    for block in re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )", page):
        text = " ".join(re.sub(r"^\s*(?:[-*]|\d+\.) ", "", block).split())
        is_code = block.startswith("    ") and not block.lstrip().startswith(("- ", "* "))
        if text and not is_code and not text.startswith(("#", "|")):
            paragraphs.append(text if text[-1] in ".!?" else f"{text}.")
    return "\n".join(paragraphs)
