"""The first screen answers five questions, in a real browser and in the record's own figures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from leakaudit.policy import judge
from leakaudit.records import Doubt, Interval, ReportRecord, ThreatRecord
from leakaudit.report import render_html, worst_table, write_report
from leakaudit.report.figures.tradeoff import tradeoffs
from leakaudit.report.page.answers import Answers, answers
from leakaudit.report.text.verdicts import verdict_view
from leakaudit.report.text.words import party
from leakaudit.report.views.choices import choice
from leakaudit.report.views.settings import matrices
from leakaudit.threat.presets import PRESETS
from tests.policy.test_judging import policy, threshold
from tests.report.chromium import CHROMIUM
from tests.report.figures_sample import masks_report, twenty_eight
from tests.report.sample import leakage, sample_gallery, sample_report
from tests.report.test_junit import judged
from tests.report.test_page import Page

QUESTIONS = (
    "May we switch it on?",
    "Who could see what?",
    "Which settings are useful, and which leak?",
    "How bad does that look?",
    "Which setting should we use?",
    "What do we not know?",
)
_WORDS = """() => {
    const nodes = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    let words = 0;
    while (nodes.nextNode()) {
        const one = nodes.currentNode.parentElement;
        const fold = one.closest("details:not([open])");
        if (one.closest("script, style, .hidden, title, desc, [hidden]")) continue;
        if (fold && !one.closest("summary")) continue;
        words += (nodes.currentNode.textContent.match(/\\S+/g) || []).length;
    }
    return words;
}"""
_BOTTOM = """() => Math.max(...[...document.querySelectorAll(".answers, .answers *")]
    .map(one => one.getBoundingClientRect().bottom))"""
in_browser = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"no Chromium at {CHROMIUM}"),
]


def answered(record: ReportRecord) -> Answers:
    judged = verdict_view(record)
    advice = choice(record, judged)
    return answers(record, judged, tradeoffs(matrices(record), advice.targets), advice)


def browser_case(*values: object) -> object:
    return pytest.param(*values, marks=in_browser)


@pytest.mark.parametrize(
    "record",
    [
        browser_case(twenty_eight("none")),
        browser_case(twenty_eight("full")),
        browser_case(sample_report()),
        browser_case(masks_report()),
    ],
    ids=["28 cells", "28 cells, pictures", "no policy", "masks too"],
)
def test_five_answers_stand_on_the_first_screen_and_the_page_is_short(
    browser: Browser, tmp_path: Path, record: ReportRecord
) -> None:
    gallery = sample_gallery(None, record) if record.images == "full" else None
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(write_report(record, tmp_path / "report", gallery).as_uri())
    assert page.evaluate(_WORDS) <= 5000
    assert page.evaluate(_BOTTOM) <= 800
    for words in QUESTIONS:
        assert page.get_by_role("heading", name=words, exact=True).is_visible()
    page.goto(page.url + "#cell-1")  # a link opens what it leads to
    assert page.locator("#cell-1").is_visible()
    page.close()


def test_the_questions_come_in_their_order_and_the_public_summary_next() -> None:
    text = Page(render_html(sample_report())).text
    text = text[text.index(QUESTIONS[0]) :]
    places = [text.index(words) for words in (*QUESTIONS, "0.1 Public summary", "1 Scope")]
    assert places == sorted(places)


def test_without_a_policy_it_says_what_the_best_setting_achieves() -> None:
    found = answered(sample_report()).choice
    assert found.lead.endswith("this leaks least: Activation dropout, p 0.5, cut level 2.")
    assert "SSIM of at least 0.73, at a Dice of 0.66" in found.achieved


def test_without_a_policy_a_figure_in_doubt_is_said_beside_the_advice() -> None:
    record = sample_report()
    worst = tuple(one.model_copy(update={"incomplete": ()}) for one in record.worst)
    sound = record.model_copy(update={"worst": worst})
    first = answered(sound).choice
    assert first.more == ()
    assert "at least" not in first.achieved
    doubt = Doubt(kind="key", words="A sentence.")
    cells = tuple(
        one.model_copy(update={"doubts": (doubt,)}) if one.target in first.targets else one
        for one in sound.cells
    )
    doubted = answered(sound.model_copy(update={"cells": cells})).choice
    assert doubted.targets == first.targets
    assert doubted.more == ("A figure of an attack there is in doubt, so it may leak more.",)
    assert "an SSIM of at least " in doubted.achieved


def test_the_setting_that_keeps_the_policy_at_the_highest_dice_is_named() -> None:
    record = judged(0.9, "target-2-2", "target-1-2")
    assert answered(record).choice.lead == (
        "Activation dropout, p 0.5, cut level 2. "
        "It keeps every limit at the highest Dice, 0.66; without a defense it is 0.68."
    )


def test_without_one_the_nearest_is_named_and_what_it_misses() -> None:
    found = answered(judged(0.5, "target-2-1", "target-2-2")).choice
    assert found.lead.startswith("None keeps the policy. Nearest is Activation dropout")
    (miss,) = found.more
    assert "SSIM inside the brain of the worst patient: 0.76, where 0.50 is allowed" in miss
    assert miss.endswith("That is 51\N{NO-BREAK SPACE}% beyond.")


def test_the_figure_names_the_setting_that_is_advised_though_it_is_not_on_the_front() -> None:
    found = answered(twenty_eight("none"))
    assert found.choice.lead.startswith("None keeps the policy. Nearest is Activation dropout")
    assert found.figure is not None
    assert found.figure.compact is not None
    named = {one.lines: one.pareto for one in found.figure.compact.key}
    assert named["Activation dropout, p 0.5",] is False


def of_patients(count: int, asked: int | None = None) -> ReportRecord:
    """The sample whose figures rest on so few patients; judged if a number is asked for."""
    few = leakage(0.9)
    score = few.ssim_brain.model_copy(update={"n": count, "low": None, "high": None})
    figures = few.model_copy(
        update={
            "patients": few.patients[:count],
            "ssim_brain": score,
            "advantage": Interval(mean=0.85, low=None, high=None, n=count, method="none"),
        }
    )
    cells = tuple(
        one.model_copy(update={"leakage": figures}) if one.leakage else one
        for one in sample_report().cells
    )
    record = sample_report(cells=cells)
    if asked is None:
        return record
    limits = policy(threshold(limit=0.95, n_min=asked))
    verdict = judge(limits, record.targets, record.cells, {"target-2-1"})
    return record.model_copy(update={"verdict": verdict})


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (of_patients(1), "1 patient shows nothing: a figure needs at least 5."),
        (of_patients(4, 12), "4 patients show nothing: a figure needs at least 12."),
        (of_patients(4, 3), ""),
        (sample_report(), ""),
    ],
)
def test_few_patients_show_nothing_and_the_page_says_so_first(
    record: ReportRecord, words: str
) -> None:
    assert answered(record).few == words
    text = Page(render_html(record)).text
    if words:
        first = text[text.index("May we switch it on?") :]
        assert first.removeprefix("May we switch it on?").strip().startswith(words)
        assert "not shown to exceed" not in text


def test_tiles_show_the_floor_and_the_worst_figures_of_what_is_judged_in_their_order() -> None:
    tiles = answered(judged(0.5, "target-2-1")).tiles
    shown = [(one.name, one.example.ssim) for one in tiles]
    assert [name for name, _ in shown] == [
        *("Blind guess", "", "", "Mean here", "Worst patient", "", "", "Original")
    ]
    reached = [0.297, 0.4, 0.6, 0.742, 0.77, 0.8, 0.95, 1.0]
    assert [ssim for _, ssim in shown] == pytest.approx(reached, abs=0.005)


def test_the_worst_patient_is_that_of_any_attack() -> None:
    record = sample_report()
    mean, worst = (
        next(one.example.ssim for one in answered(record).tiles if one.name == name)
        for name in ("Mean here", "Worst patient")
    )
    weaker = min(
        (one for one in record.cells if one.leakage and one.recovers == "images"),
        key=lambda one: one.leakage.ssim_brain.mean if one.leakage else 1.0,
    )
    assert weaker.leakage is not None
    first, *others = weaker.leakage.patients
    seen = first.model_copy(update={"ssim_brain": 0.99})
    leak = weaker.leakage.model_copy(update={"patients": (seen, *others)})
    cells = tuple(
        one.model_copy(update={"leakage": leak}) if one.cell == weaker.cell else one
        for one in record.cells
    )
    tiles = {one.name: one.example.ssim for one in answered(sample_report(cells=cells)).tiles}
    assert tiles["Mean here"] == mean
    assert tiles["Worst patient"] == pytest.approx(0.99, abs=0.01)
    assert tiles["Worst patient"] > worst


def test_a_picture_of_the_scale_gives_way_to_an_equal_one_of_this_audit() -> None:
    record = sample_report()
    alike = leakage(0.8)
    cells = tuple(
        one.model_copy(update={"leakage": alike}) if one.leakage else one for one in record.cells
    )
    tiles = answered(sample_report(cells=cells)).tiles
    texts = [f"{one.example.ssim:.2f}" for one in tiles]
    assert f"{alike.ssim_brain.mean:.2f}" in texts
    assert len(set(texts)) == len(texts)


def test_who_could_see_what_names_the_setting_and_the_highest_share_picked_out() -> None:
    record = sample_report()
    first, *others = answered(record).who
    assert first.setting == "No defense, cut level 1"
    assert first.words.startswith(
        "The label site, which holds the masks and the decoder, also the "
    )
    assert all(one.setting != first.setting for one in others)  # said once


def test_another_attack_that_picked_out_more_is_not_credited_to_the_party() -> None:
    record = sample_report()
    worst = {(one.target, one.victims): one.worst for one in record.worst if one.worst}
    ((target, victims), strongest), *_ = worst.items()
    cells = []
    for cell in record.cells:
        leakage = cell.leakage
        if leakage is not None and (cell.target, cell.victims) == (target, victims):
            top1 = 0.4 if cell.cell == strongest else 1.0
            who = leakage.reidentification.model_copy(update={"top1": top1, "low": top1 - 0.1})
            leakage = leakage.model_copy(update={"reidentification": who})
        cells.append(cell.model_copy(update={"leakage": leakage}))
    record = sample_report(cells=tuple(cells))
    text = " ".join(one.words for one in answered(record).who)
    assert "It picked out 40\N{NO-BREAK SPACE}% of 5 patients" in text
    assert "Another attack picked out 100\N{NO-BREAK SPACE}%." in text
    assert re.search(r"\| 0\.40 \(chance 0\.\d+\); 1\.00 by [a-z-]+ \|", worst_table(record))


@pytest.mark.parametrize(
    ("low", "patients", "verb", "beside"),
    [
        (0.1, 20, "could rebuild", "."),
        (-0.1, 20, "tried to rebuild", ", not shown to exceed the guess."),
        (-0.1, 3, "could rebuild", ", too few patients (3) to compare it with the guess."),
    ],
)
def test_an_attack_that_is_not_shown_to_beat_the_guess_only_tried(
    low: float, patients: int, verb: str, beside: str
) -> None:
    shown = {"mean": 0.2, "low": low, "high": 0.5, "n": patients}
    cells = []
    for cell in sample_report().cells:
        leakage = cell.leakage
        if leakage is not None:
            advantage = leakage.advantage.model_copy(update=shown)
            leakage = leakage.model_copy(update={"advantage": advantage})
        cells.append(cell.model_copy(update={"leakage": leakage}))
    first = answered(sample_report(cells=tuple(cells))).who[0].words
    assert re.search(rf"{verb} images of new patients: mean SSIM 0\.\d+{re.escape(beside)}", first)


def test_every_threat_is_told_from_the_others_by_what_its_party_holds() -> None:
    cell = sample_report().cells[0]
    told = {}
    for name, preset in PRESETS.items():
        threat = ThreatRecord(
            name=name,
            position=preset.position,
            behaviour=preset.behaviour,
            capabilities=tuple(one.value for one in preset.capabilities),
            victims=preset.victims,
            words=preset.words,
        )
        told[name] = party(cell, threat)
    assert len(set(told.values())) == len(told), told


def test_what_is_judged_is_not_named_by_its_setting() -> None:
    assert {one.setting for one in answered(judged(0.5, "target-2-1")).who} == {""}


def test_a_policy_without_a_limit_on_who_is_picked_out_says_so_beside_the_verdict() -> None:
    record = judged(0.9, "target-2-1")
    free = answered(record).free
    assert free == (
        "The policy does not limit the share of patients picked out: "
        "100\N{NO-BREAK SPACE}% of 5 patients."
    )
    text = Page(render_html(record)).text
    assert text.index("May we switch it on?") < text.index(free) < text.index("Who could see what?")
    limits = policy(threshold(), threshold(measure="reidentification", quantifier=None))
    verdict = judge(limits, record.targets, record.cells, {"target-2-1"})
    assert answered(record.model_copy(update={"verdict": verdict})).free == ""
    nothing = tuple(one.model_copy(update={"leakage": None}) for one in record.cells)
    unmeasured = answered(record.model_copy(update={"cells": nothing})).free
    assert unmeasured == "Who can be picked out is neither limited nor measured."


def test_the_advice_is_the_mark_of_the_figure_that_bears_its_number() -> None:
    found = answered(twenty_eight("none"))
    assert found.figure is not None
    assert found.figure.compact is not None
    (marked,) = [one for one in found.figure.compact.key if one.number == found.mark]
    assert marked.lines == ("Activation dropout, p 0.5",)


@pytest.mark.parametrize("outcome", [None, 0.5])
def test_a_verdict_on_simulated_patients_says_so_beside_it(outcome: float | None) -> None:
    record = sample_report() if outcome is None else judged(outcome, "target-2-1")
    text = Page(render_html(record)).text
    verdict = "NO VERDICT Simulated" if outcome is None else "FAIL On simulated"
    assert f"{verdict} patients only." in text
    real = record.model_copy(update={"data": record.data.model_copy(update={"simulated": False})})
    assert " patients only." not in Page(render_html(real)).text
