"""The figures as a browser draws them: text that can be read and covers nothing."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from leakaudit.records import ReportRecord
from leakaudit.report import write_report
from tests.report.chromium import CHROMIUM
from tests.report.figures_sample import crowded_report, masks_report, watched_report
from tests.report.sample import protected_report

MADE: dict[str, Callable[[], ReportRecord]] = {
    "crowded": lambda: crowded_report((1, 2)),
    "watched": watched_report,
    "protected": protected_report,
    "masks": lambda: masks_report(40),
}

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"no Chromium at {CHROMIUM}"),
]

# Pairs of texts of one drawing that cover each other, and texts that leave it, by their words.
_COVERED = """() => {
    const found = [];
    for (const drawing of document.querySelectorAll("main svg")) {
        const frame = drawing.getBoundingClientRect();
        if (!frame.width) continue;
        const texts = [...drawing.querySelectorAll("text:not(.marker-number)")]
            .map(one => [one.textContent, one.getBoundingClientRect()]);
        for (const [words, box] of texts)
            if (box.left < frame.left - 2 || box.right > frame.right + 2
                || box.top < frame.top - 2 || box.bottom > frame.bottom + 2)
                found.push(`outside: ${words}`);
        texts.forEach(([first, a], number) => texts.slice(number + 1).forEach(([second, b]) => {
            const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
            const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
            if (across > 1 && down > 3) found.push(`${first} / ${second}`);
        }));
    }
    return found;
}"""
_SMALLEST = """() => Math.min(...[...document.querySelectorAll("main svg text")]
    .filter(one => one.getBoundingClientRect().width && !one.matches(".marker-number"))
    .map(one => parseFloat(getComputedStyle(one).fontSize) * one.getScreenCTM().a || 99))"""
_ONLY_FIGURES = """document.querySelectorAll("main > section:not(#exposure, #tradeoff)")
    .forEach(one => one.remove())"""
_SHADES = """() => {
    const channels = text => text.match(/[\\d.]+/g).slice(0, 3).map(one => one / 255)
        .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    const light = text => {
        const [r, g, b] = channels(text);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    return [0, 1, 2, 3, 4, 5].map(number => {
        const cell = document.createElement("td");
        cell.className = `heat-${number}`;
        document.querySelector(".heat tbody tr:last-child").append(cell);
        const style = getComputedStyle(cell);
        const [ground, ink] = [light(style.backgroundColor), light(style.color)];
        const ratio = (Math.max(ground, ink) + 0.05) / (Math.min(ground, ink) + 0.05);
        return [ground, ratio];
    });
}"""


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {
        name: write_report(made(), tmp_path_factory.mktemp(name)).as_uri()
        for name, made in MADE.items()
    }


def opened(browser: Browser, address: str, width: int, scheme: str = "light") -> Page:
    page = browser.new_page(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page.goto(address)
    return page


@pytest.mark.parametrize("name", MADE)
def test_no_text_of_a_figure_covers_another_or_leaves_it(
    browser: Browser, addresses: dict[str, str], name: str
) -> None:
    page = opened(browser, addresses[name], 375)
    found = {}
    for width in (375, 768, 1360):
        page.set_viewport_size({"width": width, "height": 800})
        overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        found[width] = (page.evaluate(_COVERED), page.evaluate(_SMALLEST), overflow)
    page.close()
    for width, (covered, smallest, overflow) in found.items():
        assert covered == [], width
        assert smallest >= 8.5, width
        assert overflow <= 0, width


@pytest.mark.parametrize(
    ("name", "scheme"),
    [("crowded", "light"), ("watched", "dark"), ("protected", "light"), ("masks", "dark")],
)
def test_the_figures_open_silently(
    browser: Browser, addresses: dict[str, str], name: str, scheme: str
) -> None:
    page = browser.new_page(color_scheme="dark" if scheme == "dark" else "light")
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.goto(addresses[name])
    for summary in page.locator("details.fold > summary").all():
        summary.click()
    for summary in page.locator("details.numbers > summary").all():
        summary.click()
    closed = page.locator("details.numbers:not([open])").count()
    page.close()
    assert messages == []
    assert closed == 0


@pytest.mark.parametrize(
    ("name", "scheme"),
    [("crowded", "light"), ("crowded", "dark"), ("watched", "dark"), ("masks", "light")],
)
def test_the_figures_keep_the_rules_of_accessibility(
    browser: Browser, addresses: dict[str, str], name: str, scheme: str
) -> None:
    context = browser.new_context(
        bypass_csp=True, color_scheme="dark" if scheme == "dark" else "light"
    )
    page = context.new_page()
    page.goto(addresses[name])
    # The rest of the page has a test of its own; its long tables would take most of the time.
    page.evaluate(_ONLY_FIGURES)
    found = Axe().run(
        page, context=["#exposure", "#tradeoff"], options={"resultTypes": ["violations"]}
    )
    context.close()
    assert found.violations_count == 0, found.generate_report()


def test_a_narrow_screen_has_a_plot_of_its_own(browser: Browser, addresses: dict[str, str]) -> None:
    for width, shown, other in ((375, "narrow", "wide"), (1360, "wide", "narrow")):
        page = opened(browser, addresses["protected"], width)
        assert page.locator(f"#tradeoff .plot.{shown}:visible").count() == 1
        assert page.locator(f"#tradeoff .plot.{other}:visible").count() == 0
        page.close()


@pytest.mark.parametrize("medium", ["light", "dark", "print"])
def test_the_heat_map_can_be_read_in_gray(
    browser: Browser, addresses: dict[str, str], medium: str
) -> None:
    page = opened(browser, addresses["watched"], 1360, "dark" if medium == "dark" else "light")
    if medium == "print":
        page.emulate_media(media="print")
    shades = page.evaluate(_SHADES)
    hatch = page.evaluate(
        "getComputedStyle(document.querySelector('td.heat-none')).backgroundImage"
    )
    page.close()
    grounds = [ground for ground, _ in shades]
    assert grounds == sorted(grounds, reverse=medium != "dark")
    assert min(ratio for _, ratio in shades) >= 4.5
    steps = [(max(a, b) + 0.05) / (min(a, b) + 0.05) for a, b in pairwise(grounds)]
    assert min(steps) > 1.15
    assert "repeating-linear-gradient" in hatch


def test_printed_figures_are_whole_and_rows_are_not_torn(
    browser: Browser, addresses: dict[str, str]
) -> None:
    page = opened(browser, addresses["crowded"], 673)
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    page.emulate_media(media="print")
    kept = page.evaluate(
        """() => [...document.querySelectorAll(".facet, .plot, #exposure tr, #tradeoff tr")]
            .every(one => getComputedStyle(one).breakInside === "avoid")"""
    )
    cut = page.evaluate(
        """() => [...document.querySelectorAll("#exposure table, #exposure svg, #tradeoff svg")]
            .filter(one => one.getBoundingClientRect().right > innerWidth + 1).length"""
    )
    tables = page.locator("details.numbers table:visible").count()
    page.close()
    assert kept
    assert cut == 0
    assert tables > 0
