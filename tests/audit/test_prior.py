"""The prior of a reconstruction bound is measured where a defense makes such a bound."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from leakaudit.audit.scoring.images import ImageScorer
from leakaudit.contracts import Reconstruction
from leakaudit.report import read_report
from tests.conftest import Audit
from tests.tiny import tiny_patients


def test_the_prior_is_all_patients_but_the_victims() -> None:
    everybody, auxiliary = tiny_patients(22, seed=1), tiny_patients(3, seed=2)
    victims = everybody[:4]
    truth = np.stack([patient.images[patient.middle] for patient in victims])
    half = truth.copy()
    half[:1] = 0
    found = Reconstruction(
        images=torch.from_numpy(half), objective_first=1.0, objective_last=0.5, iterations=1
    )
    for bounded in (False, True):
        scorer = ImageScorer(victims, auxiliary, everybody, bounded=bounded)
        success = scorer.figures(found)["leakage"].success
        assert (success is not None) == bounded
    assert success is not None
    assert (success.reached, success.n, success.others) == (3, 4, 22 - 4 + 3)
    # The mean of three auxiliary patients resembles these three, who count as well.
    assert (success.blind_name, success.blind_reached) == ("mean", 3)


@pytest.mark.slow
def test_a_run_measures_it_for_inference_victims_of_a_gaussian_mechanism_alone(
    leakaudit: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
    tiny_audit: Audit,
    write_audit: Callable[[Path, Audit], Path],
) -> None:
    audit = {
        **tiny_audit,
        "data": {"size": 32, "phantom": {"patients": 28, "slices": 2, "seed": 0}},
        "defenses": [{"dp-gaussian": {"epsilon": [8.0, "inf"]}}],
        "attacks": [
            {"activation-inversion": {"iterations": 2}},
            {"gradient-inversion": {"iterations": 2}},
        ],
        "threats": {
            "curious-server-with-encoder": ["activation-inversion"],
            "aggregator": ["gradient-inversion"],
        },
    }
    audit["target"] = {**tiny_audit["target"], "training": {"epochs": 1, "batch_size": 8}}
    write_audit(tmp_path / "tiny.yaml", audit)
    done = leakaudit("run", "tiny.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    record = read_report(tmp_path / "runs" / "tiny" / "report")
    measured = {
        (cell.defense[0].name, cell.defense[0].values["epsilon"], cell.victims)
        for cell in record.cells
        if (figures := cell.leakage or cell.withheld) is not None and figures.success is not None
    }
    assert measured == {("DpGaussian", 8.0, "inference")}
