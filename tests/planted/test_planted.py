"""What leaks never passes, however it looks; what does not leak passes."""

from __future__ import annotations

from typing import Any

import pytest

from leakaudit.records import Outcome
from tests.planted.audited import AUDIT, Audited, audited
from tests.planted.systems import FOUND, HARDLY_TOLD, LISTED, PRIVATE

pytestmark = pytest.mark.slow  # trains a network and attacks it thirty times

# Half the budget of `python -m tests.planted`, one site for its two and half the channels of the
# level that is largest: the systems end alike, which is what is asserted.
QUICK: dict[str, Any] = {
    **AUDIT,
    "target": {
        **AUDIT["target"],
        "sites": [["T1w", "FLAIR"]],
        "features": [8, 8, 8, 16, 16, 8],
    },
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
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Audited]:
    """What became of each: one run, so that the training and its controls are made once."""
    systems = {**LEAKING, **PRIVATE, **HARDLY_TOLD}
    folder = tmp_path_factory.mktemp("planted") / "run"
    return audited(systems, folder, audit=QUICK, by=DECIDES)


@pytest.mark.parametrize("name", LEAKING)
def test_what_leaks_never_passes(found: dict[str, Audited], name: str) -> None:
    one = found[name]
    assert one.outcome in (Outcome.FAIL, Outcome.INCONCLUSIVE), one
    assert one.outcome is Outcome.FAIL or one.reason
    assert {cell.attack_name for cell in one.cells} == {DECIDES[name]}


@pytest.mark.parametrize("name", PRIVATE)
def test_what_does_not_leak_passes(found: dict[str, Audited], name: str) -> None:
    one = found[name]
    assert len(one.cells) == 2
    assert one.outcome is Outcome.PASS, (one.reason, one.cells)


@pytest.mark.parametrize("name", HARDLY_TOLD)
def test_what_tells_hardly_anything_never_fails(found: dict[str, Audited], name: str) -> None:
    one = found[name]
    assert one.outcome in (Outcome.PASS, Outcome.INCONCLUSIVE)
    assert one.outcome is Outcome.PASS or "control-failed" in one.reason
