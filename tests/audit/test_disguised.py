"""Which attack reads which disguise: the table that is shipped says what a small run measures."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from leakaudit.audit.disguised import _audit, adaptive_attacks, readings
from leakaudit.audit.jobs.processes import Events
from leakaudit.audit.planning.audited import plan_audit
from leakaudit.audit.storage.run_folder import RunStore
from leakaudit.errors import ConfigError
from leakaudit.records.readings import Readings
from leakaudit.registry import installed
from leakaudit.report.text.unread_disguises import shipped

BUDGETS = {
    "activation-inversion": {"iterations": 80},
    "decoder-inversion": {"steps": 60, "width": 16},
}
DECISIVE = {
    "activation-inversion": ("channel mix", "order of positions", "third decimal"),
    "decoder-inversion": ("channel mix",),
}


def tried(attacks: Mapping[str, Mapping[str, Any]], folder: Path, only: Sequence[str]) -> Readings:
    store = RunStore(folder / "run")
    store.prepare()
    return readings(attacks, store, size=32, patients=12, seed=0, only=only, events=Events())


def test_what_reads_releases_and_answers_to_a_defense_is_to_be_tried() -> None:
    found = adaptive_attacks()
    assert {"activation-inversion", "decoder-inversion", "tensor-inversion"} <= set(found)
    assert not {"gradient-inversion", "cafe"} & set(found)
    assert "other-site-inversion" not in found


def test_what_can_not_be_tried_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no disguise 'masks'; there are scale down"):
        tried({"decoder-inversion": {}}, tmp_path, ["masks"])
    for name in ("gradient-inversion", "cafe"):
        with pytest.raises(ConfigError, match=f"{name} cannot be tried: a disguise changes rel"):
            tried({name: {}}, tmp_path, [])


@pytest.mark.slow
def test_all_that_is_tried_by_default_can_be() -> None:
    plan = plan_audit(_audit({name: {} for name in adaptive_attacks()}, 32, 12, 0))
    plain = [cell for cell in plan.matrix.cells if cell.disguise is None and not cell.missing]
    assert {cell.attack_name for cell in plain} == set(adaptive_attacks())
    assert all(cell.disguise_control for cell in plain)


ATTACK = """
from leakaudit.api import Attack, Capability
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Elsewhere(Attack):
    requires = frozenset({Capability.ACTIVATIONS, Capability.ENCODER_QUERIES})

    def run(self, observation, *, generator, progress):
        raise AssertionError("nobody runs it")
"""


def test_no_attack_is_imported_where_the_run_folder_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "attack_from_elsewhere.py").write_text(ATTACK)
    information = tmp_path / "elsewhere-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: elsewhere\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        "[leakaudit.attacks]\nelsewhere = attack_from_elsewhere:Elsewhere\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    installed.cache_clear()
    try:
        assert "elsewhere" in adaptive_attacks()
        assert _audit({"elsewhere": {}}, 32, 12, 0).threats == {"curious-server": ("elsewhere",)}
        assert "attack_from_elsewhere" not in sys.modules
    finally:
        installed.cache_clear()


@pytest.mark.slow  # trains a network and attacks it six times
def test_a_small_run_measures_what_the_shipped_table_says(tmp_path: Path) -> None:
    said = {(one.attack, one.disguise): one.reads for one in shipped().readings}
    assert "activation-inversion" in shipped().attacks
    for attack in filter(DECISIVE.__contains__, shipped().attacks):
        names = DECISIVE[attack]
        found = tried({attack: BUDGETS[attack]}, tmp_path, names).readings
        assert [one.disguise for one in found] == ["none", *names]
        assert {one.disguise: one.reads for one in found} == {
            name: said[attack, name] for name in ("none", *names)
        }
