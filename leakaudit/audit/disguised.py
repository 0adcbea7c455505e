"""Attacks on an undefended system behind every disguise: which attack reads which.

An ordinary audit of simulated patients, with a cell more for every disguise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from leakaudit.asking import kind_of, usable_attacks
from leakaudit.audit.jobs.processes import Events
from leakaudit.audit.planning.audited import plan_audit
from leakaudit.audit.planning.matrix import can_be_disguised
from leakaudit.audit.planning.plans import CellPlan, Matrix
from leakaudit.audit.results.controls import shown_at_work
from leakaudit.audit.runner import run_audit
from leakaudit.audit.storage.run_folder import RunStore
from leakaudit.config import AuditConfig
from leakaudit.contracts import having
from leakaudit.errors import ConfigError
from leakaudit.records import CellRecord, Figures, Matching
from leakaudit.records.readings import UNDISGUISED, Reading, Readings
from leakaudit.threat.disguises.base import Disguise
from leakaudit.threat.disguises.composed import disguises
from leakaudit.threat.presets import PRESETS


def adaptive_attacks() -> tuple[str, ...]:
    """Installed attacks that read releases, and no gradients, and claim to answer to a defense."""
    kinds, _ = usable_attacks()
    adaptive = having("adaptive")
    return tuple(
        name
        for name, kind in kinds.items()
        if can_be_disguised(kind.requires) and kind.requires & adaptive and _threat_of(name)
    )


def readings(
    attacks: Mapping[str, Mapping[str, Any]],
    store: RunStore,
    *,
    size: int,
    patients: int,
    seed: int,
    events: Events,
    only: Sequence[str] | None = None,
) -> Readings:
    """Try attacks behind disguises; what is done stays in the run folder.

    Args:
        attacks: by plug-in name, with their parameters.
        store: the run folder; the caller holds its lock.
        size: pixels per side, a multiple of 16.
        patients: how many there are; a quarter of them is attacked.
        seed: of the patients, the network and the disguises.
        events: who wants to hear of progress.
        only: names of disguises; all of them if None.

    Raises:
        ConfigError: an attack reads no releases, or gradients too, or there is no such disguise.
    """
    chosen = disguises(seed)
    unknown = sorted(set(only or ()) - set(chosen))
    if unknown:
        raise ConfigError(f"no disguise {unknown[0]!r}; there are {', '.join(chosen)}")
    chosen = {name: each for name, each in chosen.items() if only is None or name in only}
    plan = plan_audit(_audit(attacks, size, patients, seed))
    plain = [cell for cell in plan.matrix.cells if cell.disguise is None and not cell.missing]
    undisguised = [cell.attack_name for cell in plain if not cell.disguise_control]
    if undisguised:
        raise ConfigError(
            f"{undisguised[0]} cannot be tried: a disguise changes releases, and no gradients, and "
            "an attack must read the former alone"
        )
    cells = {
        (cell.attack_name, name): _by_itself(cell, each)
        for cell in plain
        for name, each in {UNDISGUISED: None, **chosen}.items()
    }
    matrix = Matrix(targets=plan.matrix.targets, cells=tuple(cells.values()))
    record = run_audit(replace(plan, matrix=matrix), store, events)
    ended = {cell.cell: cell for cell in record.cells}
    return Readings(
        size=size,
        patients=len(plan.folds[0].victims),
        seed=seed,
        readings=tuple(
            _reading(attack, name, ended[cell.key]) for (attack, name), cell in cells.items()
        ),
    )


def _audit(
    attacks: Mapping[str, Mapping[str, Any]], size: int, patients: int, seed: int
) -> AuditConfig:
    threats: dict[str, list[str]] = {}
    for name in attacks:
        threats.setdefault(_threat_of(name) or "curious-server", []).append(name)
    return AuditConfig.model_validate(
        {
            "name": "disguises",
            "data": {"size": size, "phantom": {"patients": patients, "slices": 4, "seed": seed}},
            "target": {
                "cut_level": 1,
                "features": [16, 16, 16, 16, 16, 16],
                "training": {"epochs": 4, "batch_size": 8, "learning_rate": 0.003},
            },
            "attacks": [{name: dict(parameters)} for name, parameters in attacks.items()],
            "threats": threats,
            "seeds": [seed],
        }
    )


def _threat_of(attack: str) -> str | None:
    """The first preset that grants an attack what it requires."""
    requires = kind_of(attack).requires
    fits = (name for name, threat in PRESETS.items() if requires <= threat.capabilities)
    return next(fits, None)


def _by_itself(cell: CellPlan, disguise: Disguise | None) -> CellPlan:
    """The cell, disguised if it is to be, and held to no control under a disguise."""
    if disguise is None:
        return replace(cell, disguise_control="")
    key = hashlib.sha256(f"{cell.key}{disguise!r}".encode()).hexdigest()[:32]
    return replace(cell, disguise=disguise, control_only=True, disguise_control="", key=key)


def _reading(attack: str, disguise: str, cell: CellRecord) -> Reading:
    figures = cell.figures or cell.set_aside
    scores, floor = figures.by_patient() if figures else ((), ())
    return Reading(
        attack=attack,
        disguise=disguise,
        score=sum(scores) / len(scores) if scores else None,
        floor=sum(floor) / len(floor) if floor else None,
        advantage=_advantage(figures),
        reads=bool(shown_at_work(cell).passed),
    )


def _advantage(figures: Figures | None) -> float | None:
    """None without figures, and of who is who, where no picture is beside a guess."""
    if figures is None or isinstance(figures, Matching):
        return None
    return figures.advantage.mean
