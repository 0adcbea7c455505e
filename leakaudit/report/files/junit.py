"""junit.xml: the cells and the verdict as tests, for a CI server that reads nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from xml.etree import ElementTree

from leakaudit.records import CellRecord, Outcome, ReportRecord, State, TargetRecord
from leakaudit.report.text.formatting import figure, visible
from leakaudit.report.text.validity import valid_leakage, valid_masks, valid_matching
from leakaudit.report.text.verdicts import SettingOutcome, VerdictView, setting_name, verdict_view

# What XML 1.0 has no way to write, escaped or not.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(record: ReportRecord) -> str:
    """One suite per setting, a test per attack; the last suite is the policy's verdict.

    A training or cell that broke off is an ``error``; one that is ``unsupported`` or whose control
    failed is ``skipped``, which says nothing for or against the setting. With a policy each limit
    is a test of its own: beyond it a ``failure``, not shown to hold an ``error``; what the verdict
    does not need and broke off is ``skipped``. So the file is green where the exit code is 0.
    """
    root = ElementTree.Element("testsuites", name=_text(f"leakaudit {record.name}"))
    needs = _needs(record)
    _trainings(root, record, needs)
    for target in record.targets:
        cells = [c for c in record.cells if c.target == target.target and not c.control_only]
        if target.kind == "split" and not target.control_only and cells:
            name = ", ".join(setting_name(target))
            suite = ElementTree.SubElement(root, "testsuite", name=_text(name))
            for cell in cells:
                _cell(suite, cell, name, needs(cell))
    controls = [cell for cell in record.cells if cell.control_only]
    if controls:
        suite = ElementTree.SubElement(root, "testsuite", name="positive controls")
        for cell in controls:
            _cell(suite, cell, "positive controls", needs(cell))
    view = verdict_view(record)
    if view is not None:
        _policy(root, view)
    for suite in root:
        _count(suite)
    _count(root)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _needs(record: ReportRecord) -> Callable[[CellRecord | TargetRecord], bool]:
    """Whether a cell or training that broke off is an error; all are without a policy."""
    verdict = record.verdict
    if verdict is None:
        return lambda _: True
    judged = {one.target for one in verdict.settings}
    required = verdict.policy.required

    def needed(one: CellRecord | TargetRecord) -> bool:
        if one.target not in judged or one.control_only:
            return False
        if required is None or isinstance(one, TargetRecord):
            return True
        return any(
            each.attack == one.attack_name and each.threat in ("", one.threat) for each in required
        )

    return needed


def _trainings(
    root: ElementTree.Element,
    record: ReportRecord,
    needs: Callable[[CellRecord | TargetRecord], bool],
) -> None:
    suite = ElementTree.SubElement(root, "testsuite", name="trainings")
    for target in record.targets:
        name, where = setting_name(target)
        if target.kind != "split":
            name = f"{target.kind} {target.site}".strip()
        test = _test(suite, f"{name}, {where}", "trainings")
        if target.state is not State.OK:
            _broken(test, target.state, target.reason, needs(target))


def _broken(test: ElementTree.Element, state: State, reason: str, needed: bool) -> None:
    if needed:
        _outcome(test, "error", state.value, reason)
    else:
        _outcome(test, "skipped", f"{state.value}, which the verdict does not need: {reason}")


def _cell(suite: ElementTree.Element, cell: CellRecord, setting: str, needed: bool) -> None:
    name = f"{cell.attack} under {cell.seen_by}, {cell.victims}"
    test = _test(suite, name + (", disguised" if cell.disguise else ""), setting)
    if cell.state.broke_off:
        _broken(test, cell.state, cell.reason, needed)
    elif cell.state is not State.OK:
        _outcome(test, "skipped", f"{cell.state.value}: {cell.reason}")
    else:
        leakage, masks = valid_leakage(cell), valid_masks(cell)
        score = leakage.ssim_brain if leakage else masks.dice if masks else None
        what = "SSIM inside the brain" if leakage else "Dice of recovered masks"
        if (who := valid_matching(cell)) is not None:
            what, score = "Share of patients matched", who.score
        output = ElementTree.SubElement(test, "system-out")
        output.text = _text(f"{what} {figure(score.mean if score else None)}")


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
