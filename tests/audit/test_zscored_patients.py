"""Real patients whose scans were z-scored end as the originals do."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from leakaudit.audit.jobs.processes import Events
from leakaudit.audit.planning.audited import plan_audit
from leakaudit.audit.runner import run_audit
from leakaudit.audit.storage.run_folder import RunStore
from leakaudit.config import AuditConfig
from leakaudit.records import Outcome, ReportRecord
from tests.data.test_intensities import z_scored


def audited(folder: Path, run: Path) -> ReportRecord:
    """A small audit of the undefended network and of one behind dp-gaussian."""
    audit: dict[str, Any] = {
        "name": "z-scored",
        "data": {"kind": "folder", "path": str(folder), "size": 48},
        "target": {
            "cut_level": 1,
            "features": [8, 8, 8, 8, 8, 8],
            "training": {"epochs": 1, "batch_size": 8, "learning_rate": 0.003},
        },
        "defenses": ["identity", {"dp-gaussian": {"epsilon": 0.1}}],
        "attacks": [{"activation-inversion": {"iterations": 40}}],
        "threats": ["curious-server-with-encoder"],
        "policy": {
            "owner": "tests",
            "date": "2026-11-30",
            "thresholds": [{"ssim": 0.45, "rationale": "a limit between both systems"}],
        },
        "budgets": {"workers": 1},
    }
    store = RunStore(run)
    store.prepare()
    plan = plan_audit(AuditConfig.model_validate(audit), cache=run.parent / "cache")
    return run_audit(plan, store, Events())


@pytest.mark.slow
def test_z_scored_patients_get_the_verdict_of_the_originals(
    real_patients: Path, tmp_path: Path
) -> None:
    copies = tmp_path / "copies"
    shutil.copytree(real_patients, copies)
    for file in sorted((copies / "imagesTr").iterdir()):
        image = nib.load(file)
        stored = np.asarray(image.dataobj, np.float64)
        changed = np.stack([z_scored(stored[..., m]) for m in range(stored.shape[-1])], axis=-1)
        header = image.header.copy()
        header.set_data_dtype(np.float32)
        nib.save(nib.Nifti1Image(changed, image.affine, header), file)
    originals, recovered = audited(real_patients, tmp_path / "one"), audited(copies, tmp_path / "z")
    assert {one.kind for one in recovered.data.cautions} >= {"z-scored"}
    for record in (originals, recovered):
        assert record.verdict is not None
    assert originals.verdict is not None
    assert recovered.verdict is not None
    assert originals.verdict.settings[0].outcome is Outcome.FAIL
    for one, other in zip(originals.verdict.settings, recovered.verdict.settings, strict=True):
        assert other.outcome is one.outcome
    for cell, again in zip(originals.cells, recovered.cells, strict=True):
        if cell.leakage is not None:
            assert again.leakage is not None
            assert again.leakage.ssim_brain.mean == pytest.approx(
                cell.leakage.ssim_brain.mean, abs=0.02
            )
