"""junit.xml, as a CI server reads it."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from leakaudit.policy import judge
from leakaudit.records import Outcome, ReportRecord, State
from leakaudit.report.junit import junit_xml
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
    cells = [cell for cell in record.cells if not cell.control_only]
    states = [cell.state for cell in cells]
    broken = (State.FAILED, State.TIMED_OUT, State.NOT_RUN)
    assert counted(root, "testcase") == len(cells) == int(root.attrib["tests"])
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


@pytest.mark.parametrize("name", [*HOSTILE, "a\x00b", "]]>", "tab\tnewline\n"])
def test_hostile_names_leave_it_well_formed(name: str) -> None:
    text = junit_xml(hostile_report(name))
    root = ElementTree.fromstring(text)
    assert int(root.attrib["tests"]) == len(hostile_report(name).cells) - 1
    assert "\u202e" not in text
    assert {child.tag for child in root.iter()} <= {
        *("testsuites", "testsuite", "testcase", "error", "failure", "skipped", "system-out")
    }
