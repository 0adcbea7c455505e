"""The verdict on a terminal: names are input, and a terminal obeys what it is sent."""

from __future__ import annotations

import re

import pytest

from leakaudit.cli.commands.gate import print_verdict
from leakaudit.policy import judge
from leakaudit.records import Configured, ReportRecord
from tests.policy.test_judging import policy, threshold
from tests.report.sample import sample_report
from tests.report.test_page import HOSTILE

NAMES = [*HOSTILE, "\x1b[2J\x1b]0;owned\x07", "one\nPASS: two", "a\rPASS"]


def named(name: str) -> ReportRecord:
    """A report that fails, with the name wherever the verdict may say it."""
    record = sample_report()
    cells = []
    for one in record.cells:
        changes: dict[str, object] = {"attack_name": name, "threat": name}
        if one.leakage is not None:
            patients = tuple(
                each.model_copy(update={"patient": name}) for each in one.leakage.patients
            )
            changes["leakage"] = one.leakage.model_copy(update={"patients": patients})
        cells.append(one.model_copy(update=changes))
    targets = tuple(
        one.model_copy(update={"defense": (Configured(name=name),)})
        if one.target == "target-2-1"
        else one
        for one in record.targets
    )
    limit = threshold(limit=0.1, rationale=name, owner=name)
    rules = policy(limit).model_copy(update={"owner": name})
    verdict = judge(rules, targets, cells, {"target-2-1"})
    return record.model_copy(update={"cells": tuple(cells), "targets": targets, "verdict": verdict})


@pytest.mark.parametrize("name", NAMES)
def test_hostile_names_are_inert_on_a_terminal(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    print_verdict(named(name))
    text = capsys.readouterr().out
    assert text.startswith("FAIL: ")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    assert not [line for line in text.splitlines() if line.startswith("PASS")]
