"""Originals, reconstructions and guesses that a report shows are those that were scored."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import save_file

from leakaudit.audit.planning.audited import Plan, plan_audit
from leakaudit.audit.results.pictures import Planes, RunPictures
from leakaudit.audit.scoring.images import ImageScorer
from leakaudit.audit.scoring.masks import MaskScorer
from leakaudit.audit.storage.run_folder import RunStore
from leakaudit.audit_file import read_audit
from leakaudit.contracts import Reconstruction
from leakaudit.data import brain_mask
from leakaudit.measure.fidelity import ssim_brain
from leakaudit.report import read_gallery, read_report
from tests.tiny import tiny_patients

Audit = dict[str, Any]
Leakaudit = Callable[..., subprocess.CompletedProcess[str]]
Write = Callable[[Path, Audit], Path]
TINY = Path("runs") / "tiny"


def planned(folder: Path, audit: Audit, write_audit: Write) -> tuple[Plan, RunStore]:
    plan = plan_audit(read_audit(write_audit(folder / "tiny.yaml", audit)))
    store = RunStore(folder / "run")
    store.prepare()
    return plan, store


def reconstruction(images: np.ndarray) -> Reconstruction:
    return Reconstruction(
        images=torch.tensor(images), objective_first=1.0, objective_last=0.5, iterations=1
    )


def stacked(planes: tuple[Planes, ...], which: str) -> np.ndarray:
    return np.stack([getattr(one, which) for one in planes])[None].astype(np.float32)


def test_a_volume_is_shown_by_its_middle_plane_and_a_stored_guess_comes_first(
    tmp_path: Path, tiny_audit: Audit, write_audit: Write
) -> None:
    data = {**tiny_audit["data"], "spatial_dims": 3}
    audit = {**tiny_audit, "data": data, "defenses": []}
    plan, store = planned(tmp_path, audit, write_audit)
    cell = next(cell for cell in plan.matrix.cells if cell.threat.victims == "inference")
    victim = plan.folds[0].victims[1]
    pictures = RunPictures(plan, store)
    assert pictures.planes(cell.key, victim, "mean") == ()  # no result: nothing to show
    assert pictures.planes("unknown", victim, "mean") == ()
    volumes = np.random.default_rng(0).random((3, 4, *plan.cohort.spatial), dtype=np.float32)
    with store.commit("cells", cell.key) as folder:
        save_file({"images": volumes}, folder / "reconstructions.safetensors")
    pictures = RunPictures(plan, store)
    middle = plan.cohort.spatial[0] // 2
    shown = pictures.planes(cell.key, victim, "mean")
    assert [one.channel for one in shown] == list(cell.recovered)
    patients = {patient.id: patient for patient in plan.cohort.patients}
    truth = patients[victim].images[patients[victim].middle]
    others = [patients[name] for name in plan.folds[0].auxiliary]
    for number, one in enumerate(shown):
        channel = plan.cohort.modalities.index(one.channel)
        assert (one.original == truth[channel, middle]).all()
        assert (one.reconstruction == volumes[1, number, middle]).all()
        mean = np.mean([each.images[each.middle][channel, middle] for each in others], axis=0)
        assert one.guess is not None
        assert np.allclose(one.guess, mean, atol=1e-6)
    assert [one.guess for one in pictures.planes(cell.key, victim, "own images alone")] == [
        None
    ] * 4
    with store.commit("cells", cell.key) as folder:
        kept = {"images": volumes, "guess": 1 - volumes}
        save_file(kept, folder / "reconstructions.safetensors")
    alone = RunPictures(plan, store).planes(cell.key, victim, "own images alone")
    assert (stacked(alone, "guess") == 1 - volumes[1, :, middle]).all()


def test_scorers_keep_the_guess_that_differs_from_victim_to_victim() -> None:
    victims, auxiliary = tiny_patients(3), tiny_patients(3, seed=5)
    truth = np.stack([one.images[one.middle] for one in victims])
    scorer = ImageScorer(victims, auxiliary, victims)
    scorer.raise_floor("own images alone", reconstruction(np.zeros_like(truth)))
    assert scorer.own_guess is None
    scorer.raise_floor("own images alone", reconstruction(truth))
    assert scorer.own_guess is not None
    assert (scorer.own_guess == truth).all()
    masks = np.stack([one.masks[one.middle][None] > 0 for one in victims]).astype(np.float32)
    of_masks = MaskScorer(victims, auxiliary)
    of_masks.raise_floor("own images alone", reconstruction(np.zeros_like(masks)))
    assert of_masks.own_guess is None
    of_masks.raise_floor("own images alone", reconstruction(masks))
    assert of_masks.own_guess is not None
    assert (of_masks.own_guess == masks).all()


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.slow
def test_a_run_shows_what_it_scored_and_keeps_what_it_shows(
    finished_run: Path,
    tmp_path: Path,
    tiny_audit: Audit,
    write_audit: Write,
    leakaudit: Leakaudit,
) -> None:
    shutil.copytree(finished_run / "runs", tmp_path / "runs")
    run, report = tmp_path / TINY, tmp_path / TINY / "report"

    def again(level: str) -> None:
        write_audit(tmp_path / "tiny.yaml", {**tiny_audit, "images": level})
        done = leakaudit("run", "tiny.yaml", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        jobs = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
        assert jobs[-1]["event"] == "run"  # nothing was done again but the report
        assert jobs[-1]["jobs"] == 0

    again("full")
    gallery = read_gallery(report)
    assert gallery is not None
    record = read_report(report)
    measured = [cell for cell in record.cells if cell.leakage and not cell.control_only]
    assert {one.cell for one in gallery.index.sets} == {cell.cell for cell in measured}
    pictures = RunPictures(plan_audit(read_audit(tmp_path / "tiny.yaml")), RunStore(run))
    for cell in measured:
        assert cell.leakage is not None
        for one in cell.leakage.patients:
            planes = pictures.planes(cell.cell, one.patient, cell.leakage.blind_floor_name)
            truth = stacked(planes, "original")
            brain = brain_mask(truth)
            for which, scored in (("reconstruction", one.ssim_brain), ("guess", one.blind_floor)):
                (found,) = ssim_brain(stacked(planes, which), truth, brain)
                assert found == pytest.approx(scored, abs=1e-6)
    assert all(
        quad.guess for one in gallery.index.sets for shown in one.shown for quad in shown.quads
    )

    before = contents(report)
    shutil.move(run / "cells", tmp_path / "cells")
    (report / "report.html").write_text("lost")
    done = leakaudit("report", "runs/tiny", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert contents(report) == before
    shutil.move(tmp_path / "cells", run / "cells")

    again("blurred")
    blurred = read_gallery(report)
    assert blurred is not None
    kept = {path.name for path in (report / "images").iterdir()}
    assert kept == {f"{name}.png" for name in blurred.pictures}
    sizes = {Image.open(io.BytesIO(data)).size for data in blurred.pictures.values()}
    assert sizes == {(16, 16)}

    again("none")
    assert not (report / "images").exists()
    assert "<img" not in (report / "report.html").read_text()


@pytest.mark.slow
def test_a_report_of_a_version_that_kept_no_pictures_is_still_rendered(
    finished_run: Path, tmp_path: Path, leakaudit: Leakaudit
) -> None:
    shutil.copytree(finished_run / TINY / "report", tmp_path / "report")
    path = tmp_path / "report" / "report.json"
    path.write_text(path.read_text().replace('"images": "none"', '"images": "full"'))
    (tmp_path / "report" / "manifest.json").unlink()
    done = leakaudit("report", "report", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "report/report.html\n")
    assert "kept no pictures beside it; it is rendered without them" in done.stderr
    page = (tmp_path / "report" / "report.html").read_text()
    assert "The pictures of this run are not at hand" in page
    assert "<img" not in page
