"""The prose of the page is in plain words: every section at most grade 10, captions short."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from leakaudit.records import ReportRecord
from leakaudit.report import render_html
from tests.reading_grade import grade
from tests.report.figures_sample import twenty_eight
from tests.report.sample import protected_report, sample_report
from tests.report.test_junit import judged


class Prose(HTMLParser):
    """The sentences of each section, folded ones too; titles of papers and code are not ours."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.sections: dict[str, list[str]] = {}
        self._section = "citations"
        self._open: list[str] | None = None
        self._quoted: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "section":
            self._section = dict(attrs).get("id") or ""
        if tag == "p" or (tag == "li" and self._section != "gallery"):
            self._open = []
        if tag in ("code", "svg", "script", "style"):
            self._quoted.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("p", "li") and self._open is not None:
            text = " ".join("".join(self._open).split())
            if text and self._section != "citations":
                found = text if text[-1] in ".!?" else f"{text}."
                self.sections.setdefault(self._section, []).append(found)
            self._open = None
        if self._quoted and self._quoted[-1] == tag:
            self._quoted.pop()

    def handle_data(self, data: str) -> None:
        if self._open is not None and not self._quoted:
            self._open.append(data)


on_samples = pytest.mark.parametrize(
    "record",
    [twenty_eight("none"), sample_report(), protected_report(), judged(0.9, "target-2-2")],
    ids=["28 cells", "sample", "protected", "judged"],
)


@on_samples
def test_every_section_is_read_at_grade_10_at_most(record: ReportRecord) -> None:
    sections = Prose(render_html(record)).sections
    assert len(sections) > 15
    grades = {name: grade("\n".join(texts)) for name, texts in sections.items()}
    assert {name: found for name, found in grades.items() if found > 10} == {}


@on_samples
def test_no_caption_has_more_than_two_sentences_unfolded(record: ReportRecord) -> None:
    page = re.sub(r"<details.*?</details>", "", render_html(record), flags=re.DOTALL)
    captions = re.findall(r"<(figcaption|caption)\b[^>]*>(.*?)</\1>", page, re.DOTALL)
    assert captions
    for _, caption in captions:
        text = " ".join(re.sub(r"<[^>]+>", "", caption).split())
        assert len(re.findall(r"[.!?](?= [A-Z]|$)", text)) <= 2, text
