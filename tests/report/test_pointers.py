"""Every number on the page says where it stands in report.json, and stands there."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from leakaudit.records import ReportRecord
from leakaudit.report import render_html, write_report
from leakaudit.report.text.formatting import MINUS, duration, moment
from leakaudit.report.text.pointers import add_pointers
from tests.report.figures_sample import crowded_report, masks_report, watched_report
from tests.report.sample import (
    members_leak_more,
    narrow_report,
    protected_report,
    sample_gallery,
    sample_report,
)
from tests.report.test_junit import judged
from tests.report.test_limits import BROKEN
from tests.report.test_told_apart import with_matching

pytestmark = pytest.mark.slow  # whole pages, many times

RECORDS = {
    "sample": sample_report(),
    "pictures": sample_report(images="full"),
    "members": members_leak_more(),
    "narrow": narrow_report(),
    "protected": protected_report(),
    "judged": judged(0.5, "target-2-1", "target-2-2"),
    "limits": BROKEN,
    "crowded": crowded_report((1, 2), 5),
    "watched": watched_report(),
    "masks": masks_report(6),
    "matched": with_matching(0.25),
}
_VOID = {"meta", "img", "br", "path", "circle", "input"}


class Numbers(HTMLParser):
    """The texts of elements with a pointer, and all other text, style and script left out."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.others: list[str] = []
        self.attributes: list[str] = []
        self._open: list[tuple[str, str | None]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.attributes += [value for name, value in attrs if value and name != "data-json"]
        if tag not in _VOID:
            self._open.append((tag, given.get("data-json")))

    def handle_endtag(self, tag: str) -> None:
        while tag not in _VOID and self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        # The numbers of a drawing stand in the table beside it.
        if any(tag in ("style", "script", "svg") for tag, _ in self._open):
            return
        pointers = [pointer for _, pointer in self._open if pointer is not None]
        if pointers:
            self.found.append((pointers[-1], data))
        else:
            self.others.append(data)


def at(document: Any, pointer: str) -> Any:
    """RFC 6901."""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        document = document[int(key)] if isinstance(document, list) else document[key]
    return document


def says(text: str, value: Any) -> bool:
    """Whether a text is how the page writes a value."""
    if isinstance(value, str):
        return text == value
    if isinstance(value, list):
        return text == str(len(value))
    if text == duration(value) or (isinstance(value, float) and text == moment(value)):
        return True
    number = text.replace(MINUS, "-").replace("\N{NO-BREAK SPACE}", " ")
    share = number.endswith(" %")
    number = number.removesuffix(" %")
    if number[0] in "<>":
        beyond = value - float(number[1:]) / (100 if share else 1)
        return bool(0 < (beyond if number[0] == ">" else -beyond) < 1e-4)
    written = float(number)
    digits = len(number.partition(".")[2]) if "e" not in number else 0
    exact = value * 100 if share else value
    within = 0.5 * 10**-digits if digits or share else 0.005 * max(1.0, abs(exact))
    if isinstance(value, int) and not share:
        within = 0.0
    return bool(abs(written - exact) <= within + 1e-9)


@pytest.mark.parametrize("name", RECORDS)
def test_every_pointer_leads_to_what_the_page_says(name: str, tmp_path: Path) -> None:
    gallery = sample_gallery() if name == "pictures" else None
    write_report(RECORDS[name], tmp_path, gallery)
    document = json.loads((tmp_path / "report.json").read_text())
    page = Numbers((tmp_path / "report.html").read_text())
    assert len(page.found) > 500
    wrong = [
        (pointer, text, at(document, pointer))
        for pointer, text in page.found
        if not says(text, at(document, pointer))
    ]
    assert wrong == []
    assert not [text for text in page.attributes if "data-json" in text]
    leaked = re.compile("[\U000f1e00-\U000f1e02]")
    assert not leaked.search((tmp_path / "report.html").read_text())


def moved(value: Any) -> Any:
    """Every figure of a document a little smaller, in the same order and with the same sign.

    What was configured is a name and no figure, the parameters of a plug-in among it.
    """
    if isinstance(value, dict):
        kept = {
            *("audit", "cut_level", "seed", "shared_skips", "seeds", "bottleneck", "volatile"),
            "parameters",
        }
        return {key: each if key in kept else moved(each) for key, each in value.items()}
    if isinstance(value, list):
        return [moved(each) for each in value]
    return value * 0.97 if isinstance(value, float) else value


@pytest.mark.parametrize("name", RECORDS)
def test_no_figure_of_the_record_stands_on_the_page_without_its_pointer(name: str) -> None:
    """With all figures changed, the page without its numbers is the same."""
    record = RECORDS[name]
    other = ReportRecord.model_validate(moved(record.model_dump(mode="json")))
    first, second = (Numbers(render_html(one)) for one in (record, other))
    assert [text for _, text in first.found] != [text for _, text in second.found]

    assert first.others == second.others
    assert [pointer for pointer, _ in first.found] == [pointer for pointer, _ in second.found]


def test_figures_too_near_to_0_or_1_are_told_apart_and_point_to_theirs(tmp_path: Path) -> None:
    sample = sample_report()
    cells = tuple(
        one.model_copy(
            update={
                "leakage": one.leakage.model_copy(
                    update={
                        "blind_floor": 1e-5,
                        "ssim_brain": one.leakage.ssim_brain.model_copy(update={"mean": 0.99999}),
                        "reidentification": one.leakage.reidentification.model_copy(
                            update={"low": 1e-5, "top1": 0.99999}
                        ),
                    }
                )
            }
        )
        if one.leakage
        else one
        for one in sample.cells
    )
    write_report(sample.model_copy(update={"cells": cells}), tmp_path)
    document = json.loads((tmp_path / "report.json").read_text())
    page = Numbers((tmp_path / "report.html").read_text())
    texts = {text for _, text in page.found}
    assert {"<0.0001", ">0.9999", "<0.01\N{NO-BREAK SPACE}%", ">99.99\N{NO-BREAK SPACE}%"} <= texts
    assert all(says(text, at(document, pointer)) for pointer, text in page.found)


def test_counts_point_to_what_is_counted() -> None:
    page = Numbers(render_html(sample_report()))
    assert ("/data/split/victims", "5") in page.found
    assert ("/counts/planned", "24") in page.found


def test_a_text_of_the_record_can_not_set_a_pointer() -> None:
    fake = "\U000f1e00/cells/0\U000f1e019.99\U000f1e02"
    cell = sample_report().cells[0].model_copy(update={"reason": fake, "notes": (fake,)})
    record = sample_report(name=fake, cells=(cell, *sample_report().cells[1:]))
    html = render_html(record)
    page = Numbers(html)
    assert "9.99" not in [text for _, text in page.found]
    assert ("/cells/0/notes/0", "[U+F1E00]/cells/0[U+F1E01]9.99[U+F1E02]") in page.found
    assert "\U000f1e00" not in html


def test_a_pointed_record_is_written_as_its_own() -> None:
    for record in RECORDS.values():
        assert add_pointers(record).model_dump_json() == record.model_dump_json()
