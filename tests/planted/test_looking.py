"""Noise only where somebody looks is found out, or there is no telling where that is."""

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
    "attacks": [{"activation-inversion": {"iterations": 30}}, {"decoder-inversion": {"steps": 5}}],
}
FOUND = {
    "quiet at first": "the same slice with the same draws in two ways",
    "loud in cells": "not those that the network's worth was measured on",
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
    return audited(systems, folder, audit=QUICK, trained=True, by=["activation-inversion"])


@pytest.mark.parametrize("name", FOUND)
def test_it_is_found_out(found: dict[str, Audited], name: str) -> None:
    (cell,) = found[name].cells
    assert cell.state is State.FAILED
    assert cell.leakage is None
    assert FOUND[name] in cell.reason or "worth was measured on" in cell.reason
    assert found[name].outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("name", ["loud for batches", "loud for queries"])
def test_it_is_seen_through(found: dict[str, Audited], name: str) -> None:
    """It never finds what it waits for, so what is released is what is measured."""
    (cell,) = found[name].cells
    assert cell.state in (State.OK, State.FAILED, State.CONTROL_FAILED)
    assert found[name].outcome is not Outcome.PASS
