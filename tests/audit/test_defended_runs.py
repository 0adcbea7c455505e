"""Whole audits of defenses that act on the training, on what returns, or on nothing at all."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leakaudit.records import CellRecord, ReportRecord, State, TargetRecord, written
from tests.configured import a_defense
from tests.conftest import Audit, Leakaudit

pytestmark = pytest.mark.slow
ALONE = "DpSgd(epsilon=8.0, delta=1e-05, clip=0.01"


@pytest.fixture(scope="module")
def defended(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_audit: Audit,
    write_audit: Callable[..., Path],
    leakaudit: Leakaudit,
) -> tuple[Path, Any]:
    folder = tmp_path_factory.mktemp("defended")
    audit = {
        **copy.deepcopy(tiny_audit),
        "defenses": [
            {"top-k": {"keep": 0.9999999}},  # of so few values, all
            {"cut-gradient-noise": {"std": 1.0}},
            {"dp-sgd": {"clip": 0.01}},
            [{"dp-sgd": {}}, {"dp-gaussian": {"scope": "training"}}],
            [{"nopeek": {"weight": 1.0}}, "dp-gaussian"],
            [{"architecture": {"bottleneck": 2}}, {"gaussian-noise": {"relative": True}}],
        ],
        "attacks": [
            {"decoder-inversion": {"steps": 20, "width": 8, "batch_size": 4}},
            {"gradient-inversion": {"iterations": 2}},
        ],
        "threats": {
            "curious-server": ["decoder-inversion"],
            "aggregator": ["gradient-inversion"],
        },
    }
    audit["target"]["sites"] = [["T1w", "FLAIR"]]
    audit["target"]["training"]["epochs"] = 2  # seven trainings; none is asserted to teach much
    write_audit(folder / "tiny.yaml", audit)
    done = leakaudit("run", "tiny.yaml", cwd=folder)
    return folder / "runs" / audit["name"], done


@pytest.fixture(scope="module")
def report(defended: tuple[Path, Any]) -> ReportRecord:
    text = (defended[0] / "report" / "report.json").read_text()
    return ReportRecord.model_validate(json.loads(text))


def target_of(report: ReportRecord, name: str) -> TargetRecord:
    (found,) = (
        one
        for one in report.targets
        if written(one.defense).startswith(name) and not one.control_only
    )
    return found


def cells_of(report: ReportRecord, name: str) -> list[CellRecord]:
    return [one for one in report.cells if one.target == target_of(report, name).target]


def test_a_defense_that_changed_nothing_fails_its_cells_alone(
    defended: tuple[Path, Any], report: ReportRecord
) -> None:
    assert defended[1].returncode == 3, defended[1].stderr
    idle = cells_of(report, "TopK")
    assert {cell.state for cell in idle} == {State.FAILED}
    assert all("changed no release" in cell.reason for cell in idle)
    assert all(cell.leakage is None for cell in idle)
    failed = {cell.target for cell in report.cells if cell.state is State.FAILED}
    assert failed == {target_of(report, "TopK").target}


def test_every_part_was_seen_in_training_and_at_inference(report: ReportRecord) -> None:
    stack = target_of(report, "Nopeek")
    seen = {(effect.defense.name, effect.phase): effect for effect in stack.effects}
    assert set(seen) == {
        (part, phase) for part in ("Nopeek", "DpGaussian") for phase in ("training", "inference")
    }
    assert seen["Nopeek", "training"].penalty is not None
    noise = seen["DpGaussian", "inference"]
    assert noise.noise_std is not None
    assert noise.noise_std > 10
    assert 0 <= (noise.bounded_share or 0) <= 1
    returned = {effect.phase: effect for effect in target_of(report, "CutGradient").effects}
    assert returned["training"].returned_change == pytest.approx(1.0, rel=0.1)
    private = {effect.phase: effect for effect in target_of(report, ALONE).effects}
    assert private["training"].records_clipped == 1
    assert private["training"].update_noise_std is not None


def test_the_claims_of_the_whole(report: ReportRecord) -> None:
    alone, both = target_of(report, ALONE), None
    for target in report.targets:
        if {"DpSgd", "DpGaussian"} == {one.name for one in target.defense}:
            both = target
    assert alone.guarantee is not None
    assert alone.guarantee.covers == "weights"
    assert both is not None
    assert both.guarantee is not None
    assert both.guarantee.covers == "training"
    assert both.guarantee.epsilon is not None
    assert both.guarantee.epsilon > 8.0
    for guarantee in (alone.guarantee, both.guarantee):
        assert not guarantee.claimed  # the noise of a run can be repeated
        assert "published seed" in guarantee.reason


def test_the_report_says_what_a_claim_leaves_open_and_what_was_seen(
    defended: tuple[Path, Any],
) -> None:
    page = (defended[0] / "report" / "report.html").read_text()
    assert "It says nothing about the activations" in page
    assert "Measured under this very defense" in page
    assert "What it was seen to do" in page
    assert "patients&#39; gradients" in page or "patients' gradients" in page
    assert "NoPeek and DP Gaussian" in page


def test_an_architecture_of_its_own_stands_beside_the_others(
    defended: tuple[Path, Any], report: ReportRecord
) -> None:
    narrow = [one for one in report.targets if one.bottleneck == 2]
    # Beside the same network without a further defense, or one would get the other's credit.
    assert [one.defense for one in narrow] == [
        (),
        a_defense("GaussianNoise(std=1.0, relative=True)"),
    ]
    assert "channels 2" in defended[1].stdout
