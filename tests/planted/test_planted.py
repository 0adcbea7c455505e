"""What leaks never passes, however it looks; what does not leak passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from leakaudit.records import Outcome
from tests.planted.audited import AUDIT, Audited, audited
from tests.planted.systems import FOUND, HARDLY_TOLD, LISTED, PRIVATE

pytestmark = pytest.mark.slow  # trains a network and attacks it thirty times

# Half the budget of `python -m tests.planted`: the systems end alike, which is what is asserted.
QUICK: dict[str, Any] = {
    **AUDIT,
    "attacks": [
        {"activation-inversion": {"iterations": 40}},
        {"decoder-inversion": {"steps": 30, "width": 12}},
    ],
}

# Each meets the attack that decides: another one beside it cannot turn a FAIL into a PASS.
LEAKING = {**LISTED, **FOUND}
DECIDES = dict.fromkeys(LEAKING, "activation-inversion") | {
    "one faint channel": "decoder-inversion",
    "noise for queries": "decoder-inversion",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder: the training and its controls are made once."""
    return tmp_path_factory.mktemp("planted") / "run"


@pytest.fixture(scope="module")
def leaking(folder: Path) -> dict[str, Audited]:
    found: dict[str, Audited] = {}
    for attack in sorted(set(DECIDES.values())):
        systems = {name: LEAKING[name] for name in LEAKING if DECIDES[name] == attack}
        found |= audited(systems, folder, audit=QUICK, by=[attack])
    return found


@pytest.fixture(scope="module")
def private(folder: Path) -> dict[str, Audited]:
    return audited({**PRIVATE, **HARDLY_TOLD}, folder, audit=QUICK)


@pytest.mark.parametrize("name", LEAKING)
def test_what_leaks_never_passes(leaking: dict[str, Audited], name: str) -> None:
    found = leaking[name]
    assert found.outcome in (Outcome.FAIL, Outcome.INCONCLUSIVE), found
    assert found.outcome is Outcome.FAIL or found.reason
    assert {cell.attack_name for cell in found.cells} == {DECIDES[name]}


@pytest.mark.parametrize("name", PRIVATE)
def test_what_does_not_leak_passes(private: dict[str, Audited], name: str) -> None:
    found = private[name]
    assert len(found.cells) == 2
    assert found.outcome is Outcome.PASS, (found.reason, found.cells)


@pytest.mark.parametrize("name", HARDLY_TOLD)
def test_what_tells_hardly_anything_never_fails(private: dict[str, Audited], name: str) -> None:
    found = private[name]
    assert found.outcome in (Outcome.PASS, Outcome.INCONCLUSIVE)
    assert found.outcome is Outcome.PASS or "control-failed" in found.reason
