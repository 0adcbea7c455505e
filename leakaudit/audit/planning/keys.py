"""Keys of results: the SHA-256 of all that determines one.

That is resolved parameters, plug-in distribution, version and code, core code, data fingerprint,
split, seed and metric version. Equal keys are the same work, done once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from math import isinf
from typing import Any

from leakaudit.asking import attack_code
from leakaudit.audit.planning.plans import CellPlan, TargetPlan
from leakaudit.config import AuditConfig
from leakaudit.data import Splits
from leakaudit.records import METRIC_VERSION
from leakaudit.registry import core_code, load
from leakaudit.target.training import choose_device

_LIBRARIES = ("torch", "monai", "scikit-image", "numpy", "scipy")


def context_of(config: AuditConfig, fingerprint: str, splits: Splits) -> dict[str, Any]:
    """Collect all that determines a fold's results: data, roles, measures, code, libraries, device.

    Args:
        config: the audit.
        fingerprint: of the patients.
        splits: who plays which part.
    """
    return {
        "data": fingerprint,
        "splits": asdict(splits),
        "metric": METRIC_VERSION,
        "core": core_code(),
        **{name: version(name) for name in _LIBRARIES},
        "device": choose_device(config.device).type,
    }


def target_key(plan: TargetPlan, context: Mapping[str, Any]) -> str:
    """The key of a training: 32 hexadecimal digits."""
    plugins = [load("defense", name) for name in plan.defense_name.split("+")]
    return _digest(
        {
            **context,
            "kind": plan.kind,
            "sites": plan.sites,
            "spec": asdict(plan.spec),
            "defense": [plan.defense_name, _finite(_fields(plan.defense))],
            "defense_code": [[each.distribution, each.version, each.code] for each in plugins],
            "settings": asdict(plan.settings),
            "seed": plan.seed,
            "releases": plan.releases,
        }
    )


def cell_key(plan: CellPlan) -> str:
    """The key of an attack on a network, whose own key it holds: 32 hexadecimal digits."""
    return _digest(
        {
            "target": plan.target.key,
            "attack": [plan.attack_name, _finite(dict(plan.attack.configuration))],
            "attack_code": attack_code(plan.attack),
            "threat": [plan.threat.name, sorted(plan.threat.capabilities)],
            "site": plan.site,
            "releases": plan.releases,
            "gradient_batch": plan.gradient_batch,
            "gradient_checkpoints": plan.gradient_checkpoints,
            "round_steps": plan.round_steps,
            "segmenter": plan.segmenter.key if plan.segmenter else None,
            "disguise": repr(plan.disguise),
        }
    )


def _fields(plugin: Any) -> dict[str, Any]:
    return asdict(plugin)


def _finite(value: Any) -> Any:
    """Replace infinity by text, since JSON has no number for it."""
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return str(value) if isinstance(value, float) and isinf(value) else value


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
