"""Noise only where somebody looks is found out."""

from __future__ import annotations

from typing import Any

import pytest

from leakaudit.records import Outcome, State
from tests.planted.audited import AUDIT, Audited, audited
from tests.planted.looking import LoudForBatches, LoudForQueries, LoudInCells, QuietAtFirst

pytestmark = pytest.mark.slow  # trains networks and attacks them

QUICK: dict[str, Any] = {
    **AUDIT,
    "target": {**AUDIT["target"], "training": {"epochs": 1, "batch_size": 8}},
    "attacks": [{"activation-inversion": {"iterations": 30}}],
    "threats": {"curious-server-with-encoder": ["activation-inversion"]},
}
FOUND = {
    "quiet at first": "the same slice with the same draws in two ways",
    # Two are quiet in the training as well: there is nothing that they could hide.
    "loud in cells": "a defense that was off",
    "loud for queries": "a defense that was off",
    "loud for batches": "a sample another output in a batch than alone",
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Audited]:
    systems = {
        "quiet at first": QuietAtFirst(),
        "loud in cells": LoudInCells(),
        "loud for batches": LoudForBatches(),
        "loud for queries": LoudForQueries(),
    }
    folder = tmp_path_factory.mktemp("looking") / "run"
    return audited(systems, folder, audit=QUICK, trained=True)


@pytest.mark.parametrize("name", FOUND)
def test_it_is_found_out(found: dict[str, Audited], name: str) -> None:
    (cell,) = found[name].cells
    assert cell.state in (State.FAILED, State.NOT_RUN)  # not run where the training was refused
    assert cell.leakage is None
    assert FOUND[name] in cell.reason or "worth was measured on" in cell.reason
    assert found[name].outcome is Outcome.INCONCLUSIVE
