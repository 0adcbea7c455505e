"""The report on paper: A4 pages of a real browser, read back word by word."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page

from leakaudit.records import House, Person, ReportRecord
from leakaudit.report import write_report
from tests.report.chromium import CHROMIUM
from tests.report.figures_sample import crowded_report, masks_report, twenty_eight, watched_report
from tests.report.sample import leakage, sample_gallery, sample_report
from tests.report.test_junit import judged
from tests.report.test_page import hostile_report
from tests.report.test_told_apart import with_matching

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"no Chromium at {CHROMIUM}"),
    pytest.mark.skipif(shutil.which("pdftotext") is None, reason="no pdftotext"),
]

MILLIMETRE = 72 / 25.4
HEIGHT, WIDTH = 297 * MILLIMETRE, 210 * MILLIMETRE
FOOT = HEIGHT - 17 * MILLIMETRE  # the running foot stands below it
LEFT, RIGHT = 15 * MILLIMETRE, WIDTH - 15 * MILLIMETRE

Box = tuple[str, str, str, str, str]  # left, top, right, bottom and the word
_WORD = re.compile(
    r'<word xMin="([\d.]+)" yMin="([\d.]+)" xMax="([\d.]+)" yMax="([\d.]+)">(.*?)</word>'
)
_SMALL = """() => {
    const found = {};
    const nodes = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (nodes.nextNode()) {
        const text = nodes.currentNode.textContent.trim();
        const one = nodes.currentNode.parentElement;
        const box = one.getBoundingClientRect();
        if (!text || one.closest("script, .hidden, .skip, title, desc") || !box.width) continue;
        let size = parseFloat(getComputedStyle(one).fontSize);
        if (one instanceof SVGElement) {
            const matrix = one.getScreenCTM();
            size *= Math.hypot(matrix.a, matrix.b);
        }
        if (size * 0.75 < 6.99 && !one.closest(".marker-number")) found[text] = size * 0.75;
    }
    return [found, document.documentElement.scrollWidth - innerWidth];
}"""
_OPEN = "document.querySelectorAll('details').forEach(one => { one.open = true; })"
_HEADLINES = """() => [...document.querySelectorAll(
    "main h2, main h3, main h4, main figcaption, main caption, main thead tr")]
    .filter(one => !one.closest(".patient, .facet") && !one.matches(".hidden")
        && one.getBoundingClientRect().height)
    .map(one => one.innerText)"""


@dataclass(frozen=True)
class Line:
    """Words of one height on a page, from left to right, in points from the top left."""

    bottom: float
    left: float
    right: float
    words: str


@dataclass(frozen=True, order=True)
class Word:
    """The box of a word on a page, in points from the top left."""

    top: float
    left: float
    bottom: float
    right: float
    text: str

    def overprints(self, other: Word) -> bool:
        """Whether the two share more than a point both ways; an outlined word is drawn twice."""
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.bottom, other.bottom) - max(self.top, other.top)
        twice = self.text == other.text and abs(self.left - other.left) < 0.1
        return across > 1 and down > 1 and not twice


@dataclass(frozen=True)
class Print:
    """Pages as lines from top to bottom, their words, and the headlines of the page on screen."""

    pages: tuple[tuple[Line, ...], ...]
    headlines: frozenset[str]
    words: tuple[tuple[Word, ...], ...]

    def text(self, number: int) -> str:
        """The words of a page, which are counted from 0."""
        return " ".join(line.words for line in self.pages[number])


@dataclass(frozen=True)
class Sample:
    """One report in the browser and on paper.

    Args:
        record: the report.
        digest: SHA-256 of its report.json.
        as_it_opens: the page printed as it opens; None for `LONG_NAMES`.
        unfolded: the page printed after all of its folds were opened by hand.
        small: the texts of the unfolded page that are printed below 7 points, with their points.
        wider: by how many pixels the unfolded page is wider than the paper.
    """

    record: ReportRecord
    digest: str
    as_it_opens: Print | None
    unfolded: Print
    small: dict[str, float]
    wider: float


def many_patients(count: int = 60) -> ReportRecord:
    """The sample, where every attack with a figure was made on so many patients."""
    record = sample_report()
    few = leakage(0.6)
    patients = tuple(
        few.patients[number % len(few.patients)].model_copy(
            update={"patient": f"many-{number:03d}"}
        )
        for number in range(count)
    )
    cells = tuple(
        one.model_copy(update={"leakage": one.leakage.model_copy(update={"patients": patients})})
        if one.leakage
        else one
        for one in record.cells
    )
    return record.model_copy(update={"cells": cells})


def renamed(record: ReportRecord, length: int) -> ReportRecord:
    """The report, its patients under names of so many characters without a space."""

    def long(match: re.Match[str]) -> str:
        return f"{match[0].replace('-', '_')}_UPENN_GBM_00123_11_".ljust(length, "W")[:length]

    text = re.sub(r"(?:sample|other|many)-\d+", long, record.model_dump_json())
    return ReportRecord.model_validate_json(text)


def named_alike(name: str) -> ReportRecord:
    """The sample with a verdict, where data, sites, threat, attack and owner are named so."""
    record = judged(0.5, "target-2-1", "target-2-2")
    text = hostile_report(name).model_dump_json()
    text = re.sub(r'"(?:T1w|T1gd|curious-server)"', f'"{name}"', text)
    hostile = ReportRecord.model_validate_json(text)
    assert record.verdict is not None
    by = record.verdict.policy
    policy = by.model_copy(
        update={
            "owner": name,
            "thresholds": tuple(
                one.model_copy(update={"owner": name, "rationale": name}) for one in by.thresholds
            ),
        }
    )
    verdict = record.verdict.model_copy(update={"policy": policy})
    return hostile.model_copy(update={"verdict": verdict})


LONG_NAMES: dict[str, Callable[[], ReportRecord]] = {
    "30 characters": lambda: renamed(sample_report(), 30),
    "60 characters": lambda: renamed(sample_report(), 60),
    "30 characters, masks": lambda: renamed(masks_report(), 30),
    "60 characters, masks": lambda: renamed(masks_report(), 60),
    "60 characters, many masks": lambda: renamed(masks_report(40), 60),
    "60 characters, many patients": lambda: renamed(many_patients(30), 60),
    "60 characters, all names": lambda: named_alike("Wq" * 30),
}
MADE: dict[str, Callable[[], ReportRecord]] = {
    "judged": lambda: judged(0.5, "target-2-1", "target-2-2", images="full"),
    "crowded": crowded_report,
    "watched": watched_report,
    "masks": lambda: masks_report(40),
    "matched": lambda: with_matching(0.25),
    "many patients": many_patients,
}


@pytest.fixture(scope="module")
def samples(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Sample]:
    """A report of `MADE` or `LONG_NAMES` by its name; each is written and printed once."""
    made: dict[str, Sample] = {}

    def of(name: str) -> Sample:
        if name not in made:
            record = (MADE | LONG_NAMES)[name]()
            folder = tmp_path_factory.mktemp("print")
            made[name] = sampled(browser, record, folder, as_it_opens=name in MADE)
        return made[name]

    return of


def sampled(browser: Browser, record: ReportRecord, folder: Path, *, as_it_opens: bool) -> Sample:
    page = opened(browser, record, folder)
    folded = printed(page) if as_it_opens else None
    page.evaluate(_OPEN)
    unfolded = printed(page)
    page.set_viewport_size({"width": 680, "height": 979})
    page.emulate_media(media="print")
    small, wider = page.evaluate(_SMALL)
    page.close()
    digest = hashlib.sha256((folder / "report.json").read_bytes()).hexdigest()
    return Sample(record, digest, folded, unfolded, small, wider)


def opened(browser: Browser, record: ReportRecord, folder: Path) -> Page:
    """The page of a report, written into the folder."""
    gallery = sample_gallery(None, record) if record.images != "none" else None
    page = browser.new_page()
    page.goto(write_report(record, folder, gallery).as_uri())
    return page


def printed(page: Page) -> Print:
    """A page on paper as it now stands."""
    pdf = page.pdf(prefer_css_page_size=True, print_background=True)
    headlines = page.evaluate(_HEADLINES)
    done = subprocess.run(
        ["pdftotext", "-bbox", "-", "-"], input=pdf, capture_output=True, check=True
    )
    texts = [_WORD.findall(text) for text in done.stdout.decode().split("<page ")[1:]]
    return Print(
        tuple(_lines(found) for found in texts),
        frozenset(" ".join(one.split()) for one in headlines),
        tuple(_words(found) for found in texts),
    )


def _words(found: list[Box]) -> tuple[Word, ...]:
    return tuple(
        sorted(
            Word(float(top), float(left), float(bottom), float(right), word)
            for left, top, right, bottom, word in found
        )
    )


def _lines(found: list[Box]) -> tuple[Line, ...]:
    rows: dict[int, list[tuple[float, float, float, str]]] = defaultdict(list)
    for left, _, right, bottom, word in found:
        if float(bottom) < FOOT:
            rows[round(float(bottom))].append((float(left), float(right), float(bottom), word))
    return tuple(
        Line(
            bottom=max(bottom for _, _, bottom, _ in row),
            left=min(left for left, _, _, _ in row),
            right=max(right for _, right, _, _ in row),
            words=" ".join(word for _, _, _, word in sorted(row)),
        )
        for _, row in sorted(rows.items())
    )


@pytest.mark.parametrize("name", MADE)
def test_no_headline_stands_alone_at_the_foot_of_a_page(
    samples: Callable[[str], Sample], name: str
) -> None:
    sheet = samples(name).unfolded
    assert len(sheet.headlines) > 20
    alone = [
        (number, tail[0].words)
        for number, lines in enumerate(sheet.pages, 1)
        for tail in (lines[-1:], lines[-2:], lines[-3:])
        if tail[0].left < LEFT + 3 * MILLIMETRE
        and " ".join(one.words for one in tail) in sheet.headlines
    ]
    assert alone == []


@pytest.mark.parametrize("name", MADE)
def test_nothing_is_clipped_at_the_right(samples: Callable[[str], Sample], name: str) -> None:
    beyond = [
        (number, line.words)
        for number, lines in enumerate(samples(name).unfolded.pages, 1)
        for line in lines
        if line.right > RIGHT + 1
    ]
    assert beyond == []


def _overprinted(words: tuple[Word, ...]) -> Iterator[tuple[Word, Word]]:
    for at, one in enumerate(words):
        for other in words[at + 1 :]:
            if other.top >= one.bottom:
                break
            if one.overprints(other):
                yield one, other


@pytest.mark.parametrize("name", [*MADE, *LONG_NAMES])
def test_no_word_is_printed_over_another(samples: Callable[[str], Sample], name: str) -> None:
    over = [
        (number, one.text, other.text)
        for number, words in enumerate(samples(name).unfolded.words, 1)
        for one, other in _overprinted(words)
    ]
    assert over == []


@pytest.mark.parametrize("name", LONG_NAMES)
def test_a_long_name_is_not_clipped_at_the_right(
    samples: Callable[[str], Sample], name: str
) -> None:
    beyond = [
        (number, word.text)
        for number, words in enumerate(samples(name).unfolded.words, 1)
        for word in words
        if word.right > RIGHT + 1
    ]
    assert beyond == []


@pytest.mark.parametrize("name", [*MADE, *LONG_NAMES])
def test_nothing_is_printed_below_7_points(samples: Callable[[str], Sample], name: str) -> None:
    """But for the numbers inside markers; a printer would shrink a page that is too wide."""
    assert samples(name).small == {}
    assert samples(name).wider <= 0


@pytest.mark.parametrize("name", MADE)
def test_pages_are_filled(samples: Callable[[str], Sample], name: str) -> None:
    """Except the last one, and the page before the signatures, which stand in one piece.

    This is the page as it opens; folds that are opened by hand start where there is room for them.
    """
    sheet = samples(name).as_it_opens
    assert sheet is not None
    pages = sheet.pages
    alone = {
        at
        for at, lines in enumerate(pages)
        if any(one.words == "12 Responsible persons" for one in lines)
    }
    assert len(alone) == 1
    half_empty = [
        number + 1
        for number, lines in enumerate(pages[:-1])
        if number + 1 not in alone and (not lines or lines[-1].bottom < HEIGHT * 0.55)
    ]
    assert half_empty == []


@pytest.mark.parametrize("name", ["judged", "crowded"])
def test_a_cell_takes_less_than_half_a_page(samples: Callable[[str], Sample], name: str) -> None:
    sample = samples(name)
    cells = sum(not one.control_only for one in sample.record.cells)
    pages = [sample.unfolded.text(number) for number in range(len(sample.unfolded.pages))]
    with_cells = [text for text in pages if "Negative control:" in text]
    assert cells > 20
    assert sum(text.count("Negative control:") for text in pages) >= cells
    assert len(with_cells) < cells / 2


def test_every_patient_of_a_long_list_is_printed(samples: Callable[[str], Sample]) -> None:
    sample = samples("many patients")
    sheet = sample.unfolded
    text = " ".join(sheet.text(number) for number in range(len(sheet.pages)))
    measured = sum(one.leakage is not None for one in sample.record.cells if not one.control_only)
    for number in (0, 30, 59):
        assert text.count(f"many-{number:03d}") >= measured


@pytest.mark.parametrize("roles", [0, 3, 6, 9])
def test_the_signatures_are_in_one_piece(browser: Browser, tmp_path: Path, roles: int) -> None:
    people = tuple(Person(role=f"Signer {number}") for number in range(roles))
    record = judged(0.5, "target-2-1", house=House(responsible=people))
    page = opened(browser, record, tmp_path)
    sheet = printed(page)
    page.close()
    texts = [sheet.text(number) for number in range(len(sheet.pages))]
    (annex,) = (text for text in texts if "This annex is a measurement." in text)
    expected = [one.role for one in people] or ["Controller", "Engineer who ran the audit"]
    for words in (
        *expected,
        "12 Responsible persons",
        "Expert under 45 CFR",
        "Decision",
        "Conditions",
        "ssh-keygen",
    ):
        assert words in annex


@pytest.mark.parametrize("images", ["none", "full"])
def test_a_page_of_28_cells_takes_12_sheets_and_the_first_one_answers(
    browser: Browser, tmp_path: Path, images: Literal["none", "full"]
) -> None:
    """What is folded on the screen is folded on paper."""
    page = opened(browser, twenty_eight(images), tmp_path)
    sheet = printed(page)
    page.close()
    assert len(sheet.pages) <= 12
    first = sheet.text(0)
    for words in (
        *("0 Verdict", "FAIL", "The limits were set by", "case-by-case assessment."),
        *("May we switch it on?", "Who could see what?", "How bad does that look?"),
        *("Which setting should we use?", "What do we not know?", "Blind floor", "Worst"),
        *("None keeps the policy. Nearest is", "Dice on patients never trained on"),
    ):
        assert words in first


def test_every_page_says_of_which_report_it_is(samples: Callable[[str], Sample]) -> None:
    sample = samples("watched")
    for number, words in enumerate(sample.unfolded.words, 1):
        foot = " ".join(word.text for word in words if word.top > FOOT)
        expected = f"SAMPLE (test data, not a real a… · report.json {sample.digest[:12]}"
        assert expected in foot, number
