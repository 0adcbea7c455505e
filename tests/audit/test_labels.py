"""Labels of trainings and attacks name what differs, all of it and nothing else."""

from __future__ import annotations

from typing import Any

from leakaudit.audit.planning.labels import Labels
from tests.audit.test_matrix import matrix

NOISE = {"gaussian-noise": {"std": 1.0}}


def told(audit: dict[str, Any], **more: Any) -> tuple[list[str], list[str]]:
    made = matrix({**audit, **more})
    labels = Labels(made)
    targets = [labels.target(one) for one in made.targets]
    cells = [labels.cell(one) for one in made.cells if not one.missing]
    assert len(set(targets)) == len(targets)
    assert len(set(cells)) == len(cells)
    return targets, cells


def test_what_all_have_in_common_is_not_named(tiny_audit: dict[str, Any]) -> None:
    targets, cells = told(tiny_audit, defenses=[NOISE])
    assert targets == ["no defense", "gaussian-noise"]
    assert "activation-inversion on gaussian-noise" in cells
    assert "activation-inversion on no defense, disguised" in cells


def test_what_differs_is_named(tiny_audit: dict[str, Any]) -> None:
    target = {**tiny_audit["target"], "cut_level": [1, 2]}
    swept = [
        {"gaussian-noise": {"std": [1.0, 2.0]}},
        [{"architecture": {"withheld_skips": 1}}, NOISE],
    ]
    targets, cells = told(tiny_audit, target=target, defenses=swept, seeds=[0, 1])
    assert "gaussian-noise std=2.0, cut 1, seed 1" in targets
    assert "gaussian-noise std=1.0, cut 2, skips 1, seed 0" in targets
    assert "no defense, cut 1, skips none, seed 1" in targets
    assert "activation-inversion on gaussian-noise std=2.0, cut 1, seed 1" in cells


def test_references_and_parameters_of_attacks_are_named(tiny_audit: dict[str, Any]) -> None:
    more = {
        "references": {"cut_level": 0, "seeds": [0]},
        "attacks": [{"activation-inversion": {"iterations": [2, 3]}}],
        "threats": {"curious-server-with-encoder": ["activation-inversion"]},
        "gradient_batch": 1,
        "target": {**tiny_audit["target"], "cut_level": 0},
        "defenses": [],
    }
    targets, cells = told(tiny_audit, **more)
    assert targets[1:] == [
        "centralised T1w+T1gd+FLAIR+T2w",
        "single-site T1w+T1gd",
        "single-site FLAIR+T2w",
    ]
    assert "activation-inversion iterations=3 on no defense" in cells
