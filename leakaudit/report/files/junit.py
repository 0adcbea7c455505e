"""junit.xml: the cells and the verdict as tests, for a CI server that reads nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from leakaudit.measure.metrics import METRICS
from leakaudit.records import CellRecord, Outcome, ReportRecord, State, TargetRecord
from leakaudit.report.text.formatting import figure, visible
from leakaudit.report.text.verdicts import SettingOutcome, VerdictView, setting_name, verdict_view

# What XML 1.0 has no way to write, escaped or not.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(record: ReportRecord) -> str:
    """One suite per setting, a test per attack; the last suite is the policy's verdict.

    Without a policy a training or cell that broke off is an ``error``. With one the verdict
    decides: each limit and each required attack is a test, a ``failure`` beyond a limit and an
    ``error`` where a figure is missing. All else without a figure is ``skipped``, which says
    nothing for or against a setting. So the file is green where the exit code is 0.
    """
    root = ElementTree.Element("testsuites", name=_text(f"leakaudit {record.name}"))
    view = verdict_view(record)
    broken = "error" if view is None else "skipped"
    suite = ElementTree.SubElement(root, "testsuite", name="trainings")
    for target in record.targets:
        name, where = setting_name(target)
        name = name if target.kind == "split" else f"{target.kind} {target.site}".strip()
        _ended(_test(suite, f"{name}, {where}", "trainings"), target, broken)
    for target in record.targets:
        cells = [c for c in record.cells if c.target == target.target and not c.control_only]
        if target.kind == "split" and not target.control_only and cells:
            _cells(root, ", ".join(setting_name(target)), cells, broken)
    if controls := [cell for cell in record.cells if cell.control_only]:
        _cells(root, "positive controls", controls, broken)
    if view is not None:
        _policy(root, view)
    for suite in (*root, root):
        _count(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _cells(
    root: ElementTree.Element, setting: str, cells: Sequence[CellRecord], broken: str
) -> None:
    suite = ElementTree.SubElement(root, "testsuite", name=_text(setting))
    for cell in cells:
        disguised = ", disguised" if cell.disguise else ""
        name = f"{cell.attack} under {cell.seen_by}, {cell.victims}{disguised}"
        test = _test(suite, name, setting)
        _ended(test, cell, broken)
        if cell.state is State.OK and (found := cell.figures):
            (words,) = (one.sentence for one in METRICS if one.name == found.measure)
            output = ElementTree.SubElement(test, "system-out")
            output.text = _text(f"{words}: {figure(found.score.mean)}")


def _ended(test: ElementTree.Element, one: CellRecord | TargetRecord, broken: str) -> None:
    """Say how a cell or training ended that has no figure."""
    if one.state is not State.OK:
        kind = broken if one.state.broke_off else "skipped"
        _outcome(test, kind, one.state.value, one.reason)


def _policy(root: ElementTree.Element, view: VerdictView) -> None:
    suite = ElementTree.SubElement(root, "testsuite", name="policy")
    if view.verdict.judged_again:
        given = ElementTree.SubElement(suite, "properties")
        own = view.verdict.own.value if view.verdict.own else "none"
        ElementTree.SubElement(given, "property", name="judged_again", value="true")
        ElementTree.SubElement(given, "property", name="verdict_by_own_policy", value=own)
    for one in view.settings:
        _limits(suite, one)
    test = _test(suite, "verdict", "policy")
    told = " ".join(part for part in (view.meaning, view.sentence) if part)
    if view.verdict.outcome is Outcome.FAIL:
        _outcome(test, "failure", view.verdict.rule.value, told)
    elif view.verdict.outcome is Outcome.INCONCLUSIVE:
        _outcome(test, "error", view.verdict.rule.value, told)


def _limits(suite: ElementTree.Element, one: SettingOutcome) -> None:
    setting = f"{one.name}, {one.where}"
    for check in one.checks:
        by = f" by {check.cell.attack_name} under {check.cell.seen_by}" if check.cell else ""
        test = _test(suite, f"{check.threshold.measure}{by}", setting)
        if check.check.outcome == "violates":
            _outcome(test, "failure", "violated", check.words)
        elif check.check.outcome == "open":
            rule = check.check.rule.value if check.check.rule else "open"
            _outcome(test, "error", rule, check.words)
    for missing in one.verdict.missing:
        _outcome(_test(suite, f"required: {missing}", setting), "error", "required-missing")


def _test(suite: ElementTree.Element, name: str, setting: str) -> ElementTree.Element:
    return ElementTree.SubElement(
        suite, "testcase", classname=_text(setting), name=_text(name), time="0"
    )


def _outcome(test: ElementTree.Element, kind: str, message: str, text: str = "") -> None:
    child = ElementTree.SubElement(test, kind, message=_text(message))
    child.text = _text(text) or None


def _count(suite: ElementTree.Element) -> None:
    tests = list(suite.iter("testcase"))
    suite.set("tests", str(len(tests)))
    for attribute, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(sum(test.find(kind) is not None for test in tests)))


def _text(value: str) -> str:
    """Text that XML can hold, with what hides or reorders it made visible."""
    return _NOT_XML.sub("", str(visible(value)))
