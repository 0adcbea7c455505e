"""A run in folds: over all patients, killed and resumed, and never over the folds that survived."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leakaudit.audit.jobs.processes import Ended
from leakaudit.audit.planning.audited import plan_audit
from leakaudit.audit.results.assemble import assemble
from leakaudit.audit.results.pictures import RunPictures
from leakaudit.audit.storage.run_folder import RunStore
from leakaudit.audit_file import read_audit
from leakaudit.data import brain_mask
from leakaudit.measure.fidelity import ssim_brain
from leakaudit.records import State
from leakaudit.records.verdict import Outcome
from leakaudit.report import read_gallery, read_report

pytestmark = pytest.mark.slow  # every test needs a whole run

Audit = dict[str, Any]
Leakaudit = Callable[..., subprocess.CompletedProcess[str]]
TINY = Path("runs") / "tiny"
PATIENTS = 12


@pytest.fixture(scope="module")
def folded(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_audit: Audit,
    write_audit: Callable[[Path, Audit], Path],
    leakaudit: Leakaudit,
) -> Path:
    """A folder with a finished run in two folds, as quick as it can be."""
    folder = tmp_path_factory.mktemp("folded")
    audit = {
        **tiny_audit,
        "data": {**tiny_audit["data"], "folds": 2},
        "defenses": [],
        "attacks": [{"activation-inversion": {"iterations": 10}}],
        "threats": ["curious-server-with-encoder"],
        "images": "full",
        "policy": {
            "owner": "somebody",
            "date": "2026-01-01",
            "n_min": PATIENTS,
            "thresholds": [{"ssim": 0.99, "rationale": "anything goes"}],
        },
    }
    audit["target"] = {**tiny_audit["target"], "training": {"epochs": 2, "batch_size": 8}}
    write_audit(folder / "tiny.yaml", audit)
    done = leakaudit("run", "tiny.yaml", cwd=folder)
    assert done.returncode == 0, done.stderr + done.stdout
    return folder


def intervals(value: Any) -> Iterator[int]:
    """The number of patients of every interval in a record."""
    if isinstance(value, dict):
        if {"mean", "low", "high", "n"} <= value.keys() or "top1" in value:
            yield value["n"]
        for each in value.values():
            yield from intervals(each)
    elif isinstance(value, list):
        for each in value:
            yield from intervals(each)


def test_every_interval_is_over_all_patients_and_every_result_is_vouched_for(
    folded: Path, leakaudit: Leakaudit
) -> None:
    run = folded / TINY
    record = read_report(run / "report")
    (cell,) = [one for one in record.cells if not one.control_only]
    assert cell.leakage is not None
    attacked = [name for one in cell.folds for name in one.patients]
    assert sorted(attacked) == [one.patient for one in cell.leakage.patients]
    payload = json.loads((run / "report" / "report.json").read_text())
    counts = [
        n
        for one in payload["cells"]
        for n in intervals({key: value for key, value in one.items() if "control" not in key})
    ]
    assert {*counts, *intervals(payload["targets"])} == {PATIENTS}
    assert record.verdict is not None
    assert record.verdict.outcome is Outcome.PASS
    assert {check.n for check in record.verdict.checks} == {PATIENTS}
    assert record.data.victims == PATIENTS
    kept = {path.name for kind in ("cells", "targets") for path in (run / kind).iterdir()}
    assert kept == {
        *(key for one in record.cells for key in one.results),
        *(key for one in record.targets for key in one.results),
    }
    whole = leakaudit("verify", run, cwd=folded)
    assert f"the report and {len(kept)} results" in whole.stderr + whole.stdout
    assert whole.returncode == 0


def test_each_patient_is_shown_as_its_fold_recovered_it(folded: Path) -> None:
    plan, store = plan_audit(read_audit(folded / "tiny.yaml")), RunStore(folded / TINY)
    record = read_report(store.report)
    pictures = RunPictures(plan, store)
    (cell,) = [one for one in record.cells if not one.control_only]
    assert cell.leakage is not None
    for one in cell.leakage.patients:
        planes = pictures.planes(*_asked(cell.result_of(one.patient), one.patient))
        truth, shown, guess = (
            np.stack([getattr(plane, which) for plane in planes])[None].astype(np.float32)
            for which in ("original", "reconstruction", "guess")
        )
        brain = brain_mask(truth)
        assert ssim_brain(shown, truth, brain)[0] == pytest.approx(one.ssim_brain, abs=1e-6)
        assert ssim_brain(guess, truth, brain)[0] == pytest.approx(one.blind_floor, abs=1e-6)
    gallery = read_gallery(store.report)
    assert gallery is not None
    assert gallery.index.missing == ()


def _asked(result: tuple[str, str], patient: str) -> tuple[str, str, str]:
    return result[0], patient, result[1]


def test_a_run_killed_between_folds_goes_on(
    folded: Path,
    tmp_path: Path,
    killed_run: Callable[[Path, Callable[[Path], bool]], None],
    leakaudit: Leakaudit,
    result_of: Callable[[Path], Any],
    stamps: Callable[[Path], dict[str, int]],
) -> None:
    shutil.copy(folded / "tiny.yaml", tmp_path)
    run = tmp_path / TINY
    killed_run(tmp_path, lambda run: any(run.glob("cells/[!.]*/manifest.json")))
    before = stamps(run)
    assert 3 <= len(before) < len(stamps(folded / TINY))
    assert leakaudit("run", "tiny.yaml", cwd=tmp_path).returncode == 0
    assert result_of(run) == result_of(folded / TINY)
    after = stamps(run)
    assert {key: after[key] for key in before} == before


def test_a_leak_of_one_fold_stays_where_another_timed_out_and_the_verdict_is_open(
    folded: Path, tmp_path: Path
) -> None:
    shutil.copytree(folded / TINY, tmp_path / "run")
    plan, store = plan_audit(read_audit(folded / "tiny.yaml")), RunStore(tmp_path / "run")
    _, second = next(cells for cells in plan.matrix.attacks if not cells[0].control_only)
    shutil.rmtree(store.folder("cells", second.key))
    ended = {second.key: Ended(State.TIMED_OUT, "took longer than 60 s", 60.0)}
    record = assemble(plan.config, plan.matrix, plan.cohort, plan.folds, store, ended)
    (cell,) = [one for one in record.cells if not one.control_only]
    assert (cell.state, cell.withheld) == (State.OK, None)
    assert cell.leakage is not None
    assert [doubt.kind for doubt in cell.doubts] == ["folds"]
    assert "fold 2: timed-out (took longer than 60 s)" in cell.doubts[0].words
    assert [one.state for one in cell.folds] == [State.OK, State.TIMED_OUT]
    assert record.verdict is not None
    assert record.verdict.outcome is Outcome.INCONCLUSIVE
