"""junit.xml, as a CI server reads it."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from leakaudit.policy import judge
from leakaudit.records import Outcome, ReportRecord, State
from leakaudit.report.files.junit import junit_xml
from tests.policy.test_judging import policy, threshold
from tests.report.sample import sample_report
from tests.report.test_page import HOSTILE, hostile_report


def judged(limit: float, *targets: str, **changes: object) -> ReportRecord:
    record = sample_report(**changes)
    verdict = judge(policy(threshold(limit=limit)), record.targets, record.cells, set(targets))
    return record.model_copy(update={"verdict": verdict})


def counted(root: ElementTree.Element, kind: str) -> int:
    return len(root.findall(f".//{kind}"))


def test_every_cell_is_a_test_and_a_broken_one_no_green_one() -> None:
    record = sample_report()
    root = ElementTree.fromstring(junit_xml(record))
    states = [cell.state for cell in record.cells]
    broken = (State.FAILED, State.TIMED_OUT, State.NOT_RUN)
    tests = len(record.cells) + len(record.targets)
    assert counted(root, "testcase") == tests == int(root.attrib["tests"])
    assert counted(root, "error") == sum(one in broken for one in states) > 0
    assert counted(root, "skipped") == sum(
        one in (State.UNSUPPORTED, State.CONTROL_FAILED) for one in states
    )
    assert root.attrib["errors"] == str(counted(root, "error"))
    assert counted(root, "failure") == 0


@pytest.mark.parametrize(
    ("limit", "target", "outcome", "kind"),
    [
        (0.5, "target-2-1", Outcome.FAIL, "failure"),
        (0.9, "target-2-2", Outcome.PASS, None),
        (0.9, "target-2-1", Outcome.INCONCLUSIVE, "error"),
    ],
)
def test_the_verdict_is_green_for_pass_alone(
    limit: float, target: str, outcome: Outcome, kind: str | None
) -> None:
    record = judged(limit, target)
    assert record.verdict is not None
    assert record.verdict.outcome is outcome
    root = ElementTree.fromstring(junit_xml(record))
    (verdict,) = root.findall(".//testcase[@name='verdict']")
    assert [child.tag for child in verdict] == ([kind] if kind else [])


def test_it_is_green_where_the_exit_code_is_0_and_red_elsewhere() -> None:
    record = judged(0.9, "target-2-2")
    broken = tuple(
        one.model_copy(update={"state": State.FAILED, "leakage": None, "reason": "x"})
        if one.target == "target-2-0"
        else one
        for one in record.cells
    )
    passed = ElementTree.fromstring(junit_xml(record.model_copy(update={"cells": broken})))
    assert record.verdict is not None
    assert record.verdict.outcome is Outcome.PASS
    assert (passed.attrib["errors"], passed.attrib["failures"]) == ("0", "0")
    assert counted(passed, "skipped") > 0
    bare = sample_report()
    reference = tuple(
        one.model_copy(update={"state": State.FAILED, "reason": "x"})
        if one.kind == "centralised"
        else one
        for one in bare.targets
    )
    ok = tuple(one for one in bare.cells if one.state is State.OK)
    root = ElementTree.fromstring(junit_xml(sample_report(targets=reference, cells=ok)))
    assert int(root.attrib["errors"]) == sum(one.kind == "centralised" for one in reference)


@pytest.mark.parametrize("name", [*HOSTILE, "a\x00b", "]]>", "tab\tnewline\n"])
def test_hostile_names_leave_it_well_formed(name: str) -> None:
    text = junit_xml(hostile_report(name))
    root = ElementTree.fromstring(text)
    record = hostile_report(name)
    assert int(root.attrib["tests"]) == len(record.cells) + len(record.targets)
    assert "\u202e" not in text
    assert {child.tag for child in root.iter()} <= {
        *("testsuites", "testsuite", "testcase", "error", "failure", "skipped", "system-out")
    }
