from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from leakaudit.contracts import Attack, Capability
from leakaudit_attacks.feature_space_hijacking import FeatureSpaceHijacking
from leakaudit_attacks.pseudo_client_inversion import PseudoClientInversion
from leakaudit_attacks.unsplit import Unsplit

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "digits.py"


def script() -> ModuleType:
    found = importlib.util.spec_from_file_location("digits", SCRIPT)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules["digits"] = module  # where its dataclasses look for it
    found.loader.exec_module(module)
    return module


Attacks = tuple[tuple[str, Attack, frozenset[Capability]], ...]
IMITATED: Attacks = (
    (
        "imitation",
        PseudoClientInversion(steps=50, batch_size=8, imitation_rate=1e-2, mirror=False),
        frozenset(),
    ),
    ("as published", Unsplit(rounds=15), frozenset({Capability.AUXILIARY_PATIENTS})),
)
HIJACKED: Attacks = (
    (
        "hijacked",
        FeatureSpaceHijacking(decoder_steps=80, steps=200, batch_size=16, patches=512, slices=32),
        frozenset(),
    ),
)


@pytest.mark.slow
@pytest.mark.parametrize(("cut", "attacks"), [(1, IMITATED), (0, HIJACKED)])
def test_the_weaker_and_the_malicious_adversaries_work_on_digits(
    cut: int, attacks: Attacks, monkeypatch: pytest.MonkeyPatch
) -> None:
    digits = script()
    monkeypatch.setattr(digits, "VICTIMS", 30)
    figures = {name: of_it for name, of_it, _ in digits.compared(cut, attacks)}
    floor, _, chance, _ = figures["blind floor: the mean digit"]
    assert figures["the image itself"][0] == pytest.approx(1.0)
    assert chance < 0.05
    for name, _, _ in attacks:
        ssim, _, picked, right = figures[name]
        assert ssim > floor + 0.2, name
        assert picked > 0.5, name
        assert right > 0.5, name
