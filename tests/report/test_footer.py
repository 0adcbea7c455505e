"""The foot of printed pages: it says which report they are of, and no name breaks out of it."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from leakaudit.report import render_html, write_report
from leakaudit.report.page.footer import footer_rule
from tests.report.sample import sample_report
from tests.report.test_page import HOSTILE, Page

DIGEST = "0123456789ab" + "c" * 52


@pytest.mark.parametrize(
    "name", [*HOSTILE, '"; } body { display: none } @page { content: "', "a\nb"]
)
def test_no_name_breaks_out_of_its_string(name: str) -> None:
    rule = footer_rule(name, DIGEST)
    found = re.fullmatch(
        r'\n@page { @bottom-right { content: "([A-Za-z0-9 \\]*)   " counter\(page\) " / " '
        r"counter\(pages\); color: #515d64; font: 7pt system-ui, sans-serif; } }\n",
        rule,
    )
    assert found
    shown = re.sub(r"\\([0-9a-f]+) ", lambda code: chr(int(code[1], 16)), found[1])
    assert shown.endswith(" · report.json 0123456789ab")
    assert len(shown) <= 32 + len(" · report.json 0123456789ab")
    assert "\u202e" not in shown
    assert "\n" not in shown


def test_a_page_without_files_beside_it_names_no_hash() -> None:
    assert footer_rule("audit", "") == ""
    assert "· report.json" not in render_html(sample_report())


@pytest.mark.slow
def test_the_signatures_stand_beside_what_is_signed(tmp_path: Path) -> None:
    html = write_report(sample_report(), tmp_path / "report").read_text()
    digest = hashlib.sha256((tmp_path / "report" / "report.json").read_bytes()).hexdigest()
    start = html.index('<section id="responsible"')
    text = " ".join(Page(html[start : html.index("</section>", start)]).text.split())
    assert f"SHA-256 of report.json {digest}" in text
    assert sample_report().name in text
    assert footer_rule(sample_report().name, digest) in html
