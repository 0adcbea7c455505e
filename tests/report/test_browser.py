from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from leakaudit.report import write_report
from tests.report.chromium import CHROMIUM
from tests.report.sample import mask_cell, sample_gallery, sample_report
from tests.report.test_junit import judged

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"no Chromium at {CHROMIUM}"),
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    record = sample_report(images="full")
    record = record.model_copy(update={"cells": (*record.cells, mask_cell())})
    gallery = sample_gallery(("cell-1-0-activation-inversion", "cell-masks"), record)
    return write_report(record, tmp_path_factory.mktemp("report"), gallery).as_uri()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_opens_silently_and_asks_nobody(browser: Browser, address: str, scheme: str) -> None:
    page = browser.new_page(color_scheme="dark" if scheme == "dark" else "light")
    messages: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(address)
    assert page.locator("tr.cell:visible").count() == 0
    page.select_option("#rows", "worst")
    assert page.locator("tr.cell:visible").count() == page.locator("tr.worst").count() > 0
    page.select_option("#rows", "all")
    page.click("#details")
    assert page.locator("tr.more details[open]").count() == page.locator("tr.more").count()
    loaded = page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    page.close()
    assert loaded
    assert messages == []
    assert [url for url in requests if not url.startswith("data:")] == [address]


def test_a_script_that_is_not_ours_does_not_run(browser: Browser, address: str) -> None:
    page = browser.new_page()
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(address)
    page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.injected = true";
            document.body.append(script);
            document.body.insertAdjacentHTML("beforeend", "<i onclick='window.injected = true'>");
            document.body.lastElementChild.click();
        }"""
    )
    injected = page.evaluate("window.injected === undefined")
    page.close()
    assert injected
    assert any("Content Security Policy" in text for text in refused)


@pytest.mark.parametrize("width", [320, 375, 768, 1360])
def test_the_page_never_scrolls_sideways(browser: Browser, address: str, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(address)
    page.click("#details")
    overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    page.close()
    assert overflow <= 0


def test_it_can_be_read_without_javascript(browser: Browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    text = page.inner_text("main")
    tools = page.locator(".tools").is_visible()
    page.locator("#matrix > .fold > summary").first.click()
    page.locator("tr.more summary").first.click()
    opened = page.locator("tr.more .inner").first.is_visible()
    context.close()
    assert "Within the tested attacks, budgets and data" in text
    assert not tools
    assert opened


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(browser: Browser, address: str, scheme: str) -> None:
    page = browser.new_page(color_scheme="dark" if scheme == "dark" else "light")
    page.goto(address)
    pairs = page.evaluate(
        """() => {
            const style = getComputedStyle(document.documentElement);
            const value = name => style.getPropertyValue(name).trim();
            const light = hex => {
                const channels = [1, 3, 5].map(at => parseInt(hex.slice(at, at + 2), 16) / 255)
                    .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
                return 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2];
            };
            const ratio = (a, b) => {
                const [low, high] = [light(a), light(b)].sort((x, y) => x - y);
                return (high + 0.05) / (low + 0.05);
            };
            const found = {};
            for (const text of ["--ink", "--muted", "--accent"])
                for (const ground of ["--paper", "--raised", "--tint"])
                    found[text + " on " + ground] = ratio(value(text), value(ground));
            found["--strong on --paper (lines)"] = ratio(value("--strong"), value("--paper")) * 1.5;
            return found;
        }"""
    )
    page.close()
    assert {name: ratio for name, ratio in pairs.items() if ratio < 4.5} == {}


def test_it_prints_with_the_details_open(browser: Browser, address: str) -> None:
    page = browser.new_page()
    page.goto(address)
    page.emulate_media(media="print")
    data = page.pdf(prefer_css_page_size=True)
    shown = page.evaluate("document.querySelector('tr.more .inner').getBoundingClientRect().height")
    largest = page.evaluate(
        """Math.max(...[...document.querySelectorAll("#guarantees li, .fine, dl.glossary *")]
            .map(one => parseFloat(getComputedStyle(one).fontSize)))"""
    )
    body = page.evaluate("parseFloat(getComputedStyle(document.body).fontSize)")
    still = page.evaluate("document.querySelectorAll('tr.more details[open]').length")
    page.close()
    assert data.startswith(b"%PDF")
    assert len(data) > 50_000
    assert shown > 0
    assert largest <= body < 13  # in pixels: 9.5 pt
    assert still == 0


@pytest.mark.parametrize("width", [320, 375, 1360])
def test_pictures_and_their_names_stay_in_their_row(
    browser: Browser, address: str, width: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(address)
    spilt = page.evaluate(
        """[...document.querySelectorAll(".quad li, .quad, .patient, .difference-key")].filter(
            one => one.scrollWidth > one.clientWidth + 1 ||
                one.getBoundingClientRect().right > window.innerWidth + 1).length"""
    )
    tops = page.evaluate(
        """[...document.querySelectorAll(".quad ul")].map(list => new Set(
            [...list.children].map(one => one.getBoundingClientRect().top)).size)"""
    )
    smallest = page.evaluate(
        "Math.min(...[...document.querySelectorAll('.quad img')].map(one => one.width))"
    )
    page.close()
    assert spilt == 0
    assert set(tops) == {1}
    assert smallest >= 60


def test_every_picture_says_what_it_shows(browser: Browser, address: str) -> None:
    page = browser.new_page()
    page.goto(address)
    named = page.get_by_role("img", name="What activation inversion returned, patient sample-11")
    assert named.count() == 4  # one a modality
    texts = page.evaluate("[...document.images].map(image => image.alt)")
    group = page.get_by_role("group", name="FLAIR, patient sample-11")
    assert group.get_by_role("img").count() == 4
    page.close()
    assert len(texts) == 3 * 4 * 4 + 2 * 3
    assert len(set(texts)) == len(texts)


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="no pdftotext")
@pytest.mark.parametrize("level", ["full", "blurred"])
def test_every_printed_page_says_that_it_holds_personal_data(
    browser: Browser, tmp_path: Path, level: str
) -> None:
    record = sample_report(images=level)
    data = record.data.model_copy(update={"simulated": False})
    record = record.model_copy(update={"data": data})
    every = sample_gallery(None, record)
    address = write_report(record, tmp_path / "report", every).as_uri()
    page = browser.new_page()
    page.goto(address)
    assert "contains personal data" in page.inner_text(".banner")
    page.pdf(path=tmp_path / "report.pdf", prefer_css_page_size=True)
    page.close()
    done = subprocess.run(
        ["pdftotext", "-layout", tmp_path / "report.pdf", "-"], capture_output=True, text=True
    )
    pages = done.stdout.split("\f")[:-1]
    assert len(pages) > 10
    assert all("Contains personal data: images of patients" in text for text in pages)
    # A row that is cut would leave its modalities on a page without the patient's line.
    for text in pages:
        if "FLAIR" in text and "Blind guess" in text:
            assert text.count("blind guess 0.") == text.count("Blind guess") // 4


@pytest.fixture(scope="module")
def judged_address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A report with a verdict, pictures, and failed cells."""
    record = judged(0.5, "target-2-1", "target-2-2", images="full")
    folder = tmp_path_factory.mktemp("judged")
    return write_report(record, folder, sample_gallery(record=record)).as_uri()


@pytest.mark.parametrize(("scheme", "width"), [("light", 375), ("dark", 1360)])
def test_axe_finds_no_barrier(
    browser: Browser, judged_address: str, scheme: str, width: int
) -> None:
    """WCAG 2.2 A and AA and the best practices of axe-core, all rows opened.

    Its script is put in by hand, which the page's own policy would refuse.
    """
    context = browser.new_context(
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": width, "height": 900},
        bypass_csp=True,
    )
    page = context.new_page()
    page.goto(judged_address)
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    context.close()
    assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found] == []


def test_it_is_usable_by_keyboard(browser: Browser, judged_address: str) -> None:
    page = browser.new_page()
    page.goto(judged_address)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    reached = set()
    for _ in range(400):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                """() => { const one = document.activeElement; const box = one.getClientRects();
                return [one.tagName + "#" + one.id, box.length > 0].join(" "); }"""
            )
        )
    assert {"SELECT#rows true", "BUTTON#details true", "SUMMARY# true"} <= reached
    assert all(one.endswith("true") or one.startswith("BODY") for one in reached)
    page.locator("#matrix > .fold > summary").first.focus()
    page.keyboard.press("Enter")
    page.locator("tr.more summary").first.focus()
    page.keyboard.press("Enter")
    opened = page.locator("tr.more details[open]").count()
    page.locator("#rows").focus()
    page.keyboard.press("ArrowDown")
    shown = page.locator("tr.cell:visible").count()
    marked = page.locator("tr.worst").count()
    page.close()
    assert opened == 1
    assert shown == marked > 0


@pytest.mark.parametrize("sandbox", ["", "allow-scripts"])
def test_it_is_readable_in_a_sandboxed_frame(
    browser: Browser, judged_address: str, tmp_path: Path, sandbox: str
) -> None:
    outer = tmp_path / "outer.html"
    outer.write_text(f'<iframe sandbox="{sandbox}" src="{judged_address}"></iframe>')
    page = browser.new_page()
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(outer.as_uri())
    text = page.frame_locator("iframe").locator("main").inner_text()
    page.close()
    assert "FAIL" in text
    assert "Within the tested attacks, budgets and data" in text
    # Without allow-scripts the browser says that it ran none, which is what the frame asks for.
    assert [one for one in refused if "script" not in one.lower()] == []


def test_no_figure_or_row_is_taller_than_a_printed_page(
    browser: Browser, judged_address: str
) -> None:
    """A4 less its margins is 178 x 259 mm; what may not break must fit, or it is cut."""
    page = browser.new_page(viewport={"width": 673, "height": 979})
    page.goto(judged_address)
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    tall = page.evaluate(
        """[...document.querySelectorAll("svg, figure, article, .flow, .verdict, tr")]
            .filter(one => getComputedStyle(one).breakInside === "avoid")
            .filter(one => one.getBoundingClientRect().height > 979)
            .map(one => one.tagName + "." + one.className.toString() + one.id)"""
    )
    wide = page.evaluate(
        """[...document.querySelectorAll("svg, table, img")]
            .filter(one => one.getBoundingClientRect().right > 674)
            .map(one => one.tagName + "." + (one.closest("section") || {}).id)"""
    )
    page.close()
    assert tall == []
    assert wide == []
