"""Audits of planted systems: ``python -m tests.planted`` prints what each ends as.

By default they share one undefended training, so that each costs its attacks alone;
``--trained`` trains every system behind its own defense, as an audit does.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from leakaudit.audit.jobs.processes import Ended, Events, Job
from leakaudit.audit.planning.audited import Plan, plan_audit
from leakaudit.audit.planning.plans import CellPlan, Matrix, TargetPlan
from leakaudit.audit.runner import run_audit
from leakaudit.audit.storage.run_folder import TARGET_FILE, RunStore
from leakaudit.audit.storage.system import WEIGHTS_FILE
from leakaudit.config import AuditConfig, resolved_policy
from leakaudit.contracts import Defense
from leakaudit.policy import judge
from leakaudit.records import CellRecord, Outcome, ReportRecord, SettingVerdict, TargetRecord
from tests.planted.systems import FOUND, HARDLY_TOLD, LISTED, MORE, PRIVATE, SLICES

AUDIT: dict[str, Any] = {
    "name": "planted",
    "data": {"size": 32, "phantom": {"patients": 24, "slices": SLICES, "seed": 0}},
    "target": {
        "cut_level": 1,
        "features": [16, 8, 8, 16, 16, 8],
        "training": {"epochs": 4, "batch_size": 8, "learning_rate": 0.003},
    },
    "defenses": [],
    "attacks": [
        {"activation-inversion": {"iterations": 80}},
        {"decoder-inversion": {"steps": 60, "width": 16}},
    ],
    "threats": {
        "curious-server": ["decoder-inversion"],
        "curious-server-with-encoder": ["activation-inversion"],
    },
    "policy": {
        "owner": "tests",
        "date": "2026-11-30",
        "thresholds": [{"advantage": 0.2, "rationale": "what a planted system is judged by"}],
    },
    "budgets": {"workers": 1},
}


@dataclass(frozen=True, kw_only=True)
class Audited:
    """What became of a planted system."""

    verdict: SettingVerdict
    cells: tuple[CellRecord, ...]
    reason: str

    @property
    def outcome(self) -> Outcome:
        return self.verdict.outcome


def audited(
    systems: Mapping[str, Defense],
    folder: Path,
    *,
    audit: dict[str, Any] = AUDIT,
    trained: bool = False,
    by: Mapping[str, str] | None = None,
    events: Events | None = None,
) -> dict[str, Audited]:
    """Audit each system, all under one policy; ``folder`` keeps what is done.

    Args:
        systems: by name.
        folder: the run folder.
        audit: the audit of the undefended network.
        by: the one attack that a system meets, by its name; all of the audit for others.
        trained: train each system behind its defense; else all release from one training.
        events: told how far it is.
    """
    events = events or Events()
    plan = plan_audit(AuditConfig.model_validate(audit))
    store = RunStore(folder)
    store.prepare()
    run_audit(plan, store, events)
    (undefended,) = plan.matrix.targets
    planted = {
        name: replace(undefended, defense=defense, key=_key(undefended.key, name, defense, trained))
        for name, defense in systems.items()
    }
    if not trained:
        for target in planted.values():
            _share_training(undefended, target, store)
    own = [cell for cell in plan.matrix.cells if not cell.control_only]
    only = by or {}
    cells = [
        _planted(cell, target)
        for name, target in planted.items()
        for cell in own
        if only.get(name, cell.attack_name) == cell.attack_name
    ]
    matrix = Matrix(
        targets=(*plan.matrix.targets, *planted.values()),
        cells=(*plan.matrix.cells, *cells),
    )
    record = run_audit(replace(plan, matrix=matrix), store, events)
    return {name: _judged(plan, record, target.key) for name, target in planted.items()}


def _key(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def _share_training(undefended: TargetPlan, target: TargetPlan, store: RunStore) -> None:
    """Let a planted system release from the weights of the undefended network."""
    if store.is_done("targets", target.key):
        return
    source = store.folder("targets", undefended.key)
    record = TargetRecord.model_validate_json((source / TARGET_FILE).read_text())
    changed: dict[str, Any] = {"target": target.key, "defense": target.defense.configured}
    # What the undefended network's worth was measured on is no release of this system.
    changed |= dict.fromkeys(["released", "released_of_training"])
    with store.commit("targets", target.key) as folder:
        (folder / WEIGHTS_FILE).write_bytes((source / WEIGHTS_FILE).read_bytes())
        (folder / TARGET_FILE).write_text(record.model_copy(update=changed).model_dump_json())


def _planted(cell: CellPlan, target: TargetPlan) -> CellPlan:
    """The undefended cell on a planted system; its controls stay the undefended one's."""
    return replace(cell, target=target, key=_key(cell.key, target.key))


def _judged(plan: Plan, record: ReportRecord, key: str) -> Audited:
    assert plan.config.policy is not None
    verdict = judge(resolved_policy(plan.config.policy), record.targets, record.cells, {key})
    (setting,) = verdict.settings
    check = verdict.checks[setting.check] if setting.check is not None else None
    reason = "; ".join(setting.missing) or (check.reason if check else "")
    cells = tuple(cell for cell in record.cells if cell.target == key)
    return Audited(verdict=setting, cells=cells, reason=reason)


def table(found: Mapping[str, Audited]) -> str:
    """A line for each system: outcome, rule, worst advantage and state of each attack."""
    lines = []
    for name, one in found.items():
        figures = []
        for cell in one.cells:
            shown = cell.leakage or cell.withheld
            mean = f"{shown.advantage.mean:5.2f}" if shown else "  -  "
            worst = f"{max(map(_advantage, shown.patients)):5.2f}" if shown else "  -  "
            figures.append(f"{cell.attack_name[:10]} {mean} {worst} {cell.state.value[:7]}")
        lines.append(f"{name:31} {one.outcome.value:12} {' | '.join(figures)} {one.reason}")
    return "\n".join(lines)


def _advantage(patient: Any) -> float:
    return float((patient.ssim_brain - patient.blind_floor) / (1 - patient.blind_floor))


def _said(job: Job, ended: Ended) -> None:
    print(f"{ended.state:9} {ended.seconds:6.1f} s  {job.label} {ended.reason}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trained", action="store_true")
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--default-budgets", action="store_true")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("names", nargs="*")
    given = parser.parse_args(arguments)
    audit = {**AUDIT, "data": {**AUDIT["data"], "size": given.size}}
    if given.default_budgets:
        audit["attacks"] = ["activation-inversion", "decoder-inversion"]
    every = {**LISTED, **FOUND, **PRIVATE, **HARDLY_TOLD, **MORE}
    systems = {name: every[name] for name in given.names or every}
    started = time.time()
    with tempfile.TemporaryDirectory() as scratch:
        run = given.folder or Path(scratch, "run")
        events = Events(ended=_said)
        found = audited(systems, run, audit=audit, trained=given.trained, events=events)
    print(table(found))
    print(f"{time.time() - started:.0f} s")
