"""What leaks never passes, however it looks; what does not leak passes."""

from __future__ import annotations

from pathlib import Path

import pytest

from leakaudit.records import Outcome, State
from tests.planted.audited import Audited, audited
from tests.planted.systems import LISTED, PRIVATE

pytestmark = pytest.mark.slow  # trains a network and attacks it thirty times

# The attack that decides: another attack beside it cannot turn a FAIL into a PASS.
BY_DECODER: frozenset[str] = frozenset()
BY_WHITE_BOX = sorted(set(LISTED) - BY_DECODER)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder: the training and its controls are made once."""
    return tmp_path_factory.mktemp("planted") / "run"


@pytest.fixture(scope="module")
def leaking(folder: Path) -> dict[str, Audited]:
    systems = {name: LISTED[name] for name in BY_WHITE_BOX}
    return audited(systems, folder, by=["activation-inversion"])


@pytest.fixture(scope="module")
def private(folder: Path) -> dict[str, Audited]:
    return audited(PRIVATE, folder)


@pytest.mark.parametrize("name", BY_WHITE_BOX)
def test_what_leaks_never_passes(leaking: dict[str, Audited], name: str) -> None:
    found = leaking[name]
    assert found.outcome in (Outcome.FAIL, Outcome.INCONCLUSIVE), found
    assert found.outcome is Outcome.FAIL or found.reason
    assert {cell.state for cell in found.cells} <= {State.OK, State.CONTROL_FAILED}


@pytest.mark.parametrize("name", PRIVATE)
def test_what_does_not_leak_passes(private: dict[str, Audited], name: str) -> None:
    found = private[name]
    assert len(found.cells) == 2
    assert found.outcome is Outcome.PASS, (found.reason, found.cells)
