"""Every limit that is not kept is named, the deciding one first, wherever the verdict stands."""

from __future__ import annotations

import re

import pytest

from leakaudit.cli.commands.gate import print_verdict
from leakaudit.policy import judge
from leakaudit.records import Outcome, ReportRecord, Threshold
from leakaudit.report import render_html
from leakaudit.report.files.junit import junit_xml
from leakaudit.report.text.verdicts import verdict_view
from tests.policy.test_judging import policy, threshold
from tests.report.sample import sample_report
from tests.report.test_page import Page


def judged_by(*limits: Threshold, targets: tuple[str, ...] = ("target-2-2",)) -> ReportRecord:
    record = sample_report()
    verdict = judge(policy(*limits), record.targets, record.cells, set(targets))
    return record.model_copy(update={"verdict": verdict})


SHARES = threshold("reidentification", 0.5)
HELD = threshold("advantage", 0.99)
STRICT = threshold(limit=0.6)
BROKEN = judged_by(HELD, STRICT, SHARES)


def section(html: str, name: str) -> str:
    start = html.index(f'<section id="{name}"')
    return " ".join(Page(html[start : html.index("</section>", start)]).text.split())


def test_each_broken_limit_is_named_with_its_worst_attack() -> None:
    view = verdict_view(BROKEN)
    assert view is not None
    (one,) = view.told
    assert view.meaning == "2 of the policy's 3 limits are exceeded."
    assert one.lead == "2 of 3 limits are exceeded:"
    assert [each.threshold.measure for each in one.listing] == ["ssim", "reidentification"]
    assert one.listing[0].check == view.verdict.checks[view.verdict.settings[0].check or 0]
    for each in one.listing:
        alike = [c.check for c in one.checks if c.check.threshold == each.check.threshold]
        reached = [found.observed for found in alike if found.observed is not None]
        assert each.check.observed == max(reached)
    assert "0.76 for the worst of 5 patients" in one.sentence
    assert "the policy allows 0.60." in one.sentence


@pytest.mark.slow
def test_page_terminal_and_junit_name_the_same_limits(capsys: pytest.CaptureFixture[str]) -> None:
    print_verdict(BROKEN)
    html = render_html(BROKEN)
    texts = [
        " ".join(capsys.readouterr().out.split()),
        section(html, "verdict"),
        section(html, "policy"),
        " ".join(junit_xml(BROKEN).split()),
    ]
    for text in texts:
        assert "2 of 3 limits are exceeded:" in text
        assert re.search(r"SSIM inside the brain was 0\.7\d for the worst .* allows 0\.60\.", text)
        assert re.search(r"share of patients picked out was 1\.00 .* allows 0\.50\.", text)


def test_an_inconclusive_verdict_names_every_open_limit() -> None:
    few = threshold(limit=0.99, n_min=100)
    record = judged_by(few, HELD, threshold("clinical_harm", 0.99, n_min=100))
    view = verdict_view(record)
    assert view is not None
    assert view.verdict.outcome is Outcome.INCONCLUSIVE
    (one,) = view.told
    assert one.lead == "2 of 3 limits are not shown to hold:"
    assert {each.check.outcome for each in one.decisive} == {"open"}
    assert {each.check.threshold for each in one.decisive} == {0, 2}


def test_a_single_limit_needs_no_list() -> None:
    view = verdict_view(judged_by(STRICT))
    assert view is not None
    (one,) = view.told
    assert one.listing == ()
    assert one.lead.startswith("The only limit is exceeded. Decoder inversion")
    passed = verdict_view(judged_by(threshold(limit=0.9)))
    assert passed is not None
    assert passed.told[0].limits == ""
    assert passed.told[0].lead.endswith("the policy allows 0.90.")


def test_settings_that_fail_stand_behind_the_one_that_decided() -> None:
    view = verdict_view(judged_by(STRICT, targets=("target-2-1", "target-2-2")))
    assert view is not None
    number = view.verdict.setting
    assert number is not None
    assert view.told[0] is view.settings[number]
    assert len(view.told) == 2


@pytest.mark.parametrize(
    ("limit", "written"), [(0.6, "0.60"), (0.755, "0.755"), (0.7, "0.70"), (0.75699, "0.75699")]
)
def test_a_limit_is_written_whole_with_the_digits_of_the_figure(limit: float, written: str) -> None:
    view = verdict_view(judged_by(threshold(limit=limit)))
    assert view is not None
    found = re.search(r"was (\d\.\d+) .* allows (\d\.\d+)\.", view.told[0].sentence)
    assert found is not None
    assert found[2] == written
    assert len(found[1]) == len(found[2])


def test_a_failure_says_how_many_more_limits_are_open() -> None:
    view = verdict_view(judged_by(STRICT, threshold("advantage", 0.99, n_min=100)))
    assert view is not None
    assert view.told[0].lead.startswith(
        "1 of 2 limits is exceeded, and 1 more is not shown to hold. Decoder inversion"
    )
