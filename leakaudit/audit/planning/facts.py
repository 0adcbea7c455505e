"""Turns a plan into the fields of a record that are known before the work is done."""

from __future__ import annotations

from typing import Any

from leakaudit.audit.planning.plans import CellPlan, TargetPlan
from leakaudit.target.split_unet import parameter_count


def target_facts(plan: TargetPlan) -> dict[str, Any]:
    """Return the fields of a target's record that do not depend on how its training ends."""
    spec = plan.spec
    held = "+".join(modality for site in plan.sites for modality in site)
    return {
        "target": plan.key,
        "kind": plan.kind,
        "site": held if plan.kind == "single-site" else "",
        "sites": plan.sites,
        "cut_level": spec.cut_level,
        "shared_skips": spec.shared_skips,
        "bottleneck": spec.bottleneck,
        "features": spec.features,
        "parameters": parameter_count(spec),
        "defense": plan.defense.configured,
        "seed": plan.seed,
        "control_only": plan.control_only,
        "epochs": plan.settings.epochs,
    }


def cell_facts(plan: CellPlan) -> dict[str, Any]:
    """Return the fields of a cell's record that do not depend on how its attack ends."""
    return {
        "cell": plan.key,
        "target": plan.target.key,
        "cut_level": plan.target.spec.cut_level,
        "shared_skips": plan.target.spec.shared_skips,
        "bottleneck": plan.target.spec.bottleneck,
        "defense": plan.target.defense.configured,
        "attack": plan.attack.configured,
        "attack_name": plan.attack_name,
        "threat": plan.threat.name,
        "site": plan.held,
        "recovers": plan.attack.recovers,
        "tensor": plan.attack.reads(),
        "victims": plan.threat.victims,
        "releases": plan.releases,
        "gradient_batch": plan.gradient_batch,
        "gradient_checkpoints": plan.gradient_checkpoints,
        "round_steps": plan.round_steps,
        "seed": plan.target.seed,
        "control_only": plan.control_only,
        "disguise": plan.disguise.words if plan.disguise else "",
    }
