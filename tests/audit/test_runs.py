"""Whole audits in processes of their own: killed, resumed, damaged, attacked by bad plug-ins."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from leakaudit.audit.jobs.attack_network import run_cell
from leakaudit.audit.planning.audited import plan_audit
from leakaudit.audit.results.assemble import assemble
from leakaudit.audit.results.pictures import RunPictures
from leakaudit.audit.storage.patient_file import share
from leakaudit.audit.storage.run_folder import RunStore
from leakaudit.audit.storage.system import Task
from leakaudit.audit_file import read_audit
from leakaudit.errors import StoreError
from leakaudit.measure.masks import dice_masks
from leakaudit.records import CellRecord, ReportRecord, State, TargetRecord

pytestmark = pytest.mark.slow  # every test starts whole processes

Audit = dict[str, Any]
Leakaudit = Callable[..., subprocess.CompletedProcess[str]]
Result = Callable[[Path], dict[str, object]]
Rows = Callable[[Path], list[dict[str, str]]]
Stamps = Callable[[Path], dict[str, int]]
KilledRun = Callable[[Path, Callable[[Path], bool]], None]
TINY = Path("runs") / "tiny"


def report_of(run: Path) -> ReportRecord:
    return ReportRecord.model_validate_json((run / "report" / "report.json").read_bytes())


def events_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]


def test_a_small_audit_runs_from_end_to_end(finished_run: Path) -> None:
    run = finished_run / TINY
    report = report_of(run)
    assert len(report.cells) == 10  # two of them are controls under a disguise
    states = {(c.attack_name, c.threat): set[State]() for c in report.cells}
    for cell in report.cells:
        states[cell.attack_name, cell.threat].add(cell.state)
    assert states["activation-inversion", "curious-server-with-encoder"] == {State.OK}
    assert states["activation-inversion", "curious-server"] == {State.UNSUPPORTED}
    ran = {cell.isolation for cell in report.cells if cell.state is not State.UNSUPPORTED}
    assert ran in ({"namespaces"}, {"process"})
    for cell in report.cells:
        figures = cell.leakage or cell.withheld
        if figures is not None:
            assert (figures.harm is not None) == (cell.victims == "inference")
    assert {path.name for path in (run / "report").iterdir()} == {
        "report.html",
        "report.json",
        "cells.csv",
        "citations.bib",
        "junit.xml",
        "manifest.json",
    }
    assert not list(run.glob("*/.*"))  # nothing half-written stays
    modes = {path.stat().st_mode & 0o777 for path in run.rglob("*") if path.parent != run}
    assert modes == {0o600, 0o700}


def test_the_report_has_the_figures_of_the_records(finished_run: Path, rows_of: Rows) -> None:
    run = finished_run / TINY
    report, rows = report_of(run), rows_of(run)
    for cell, row in zip(report.cells, rows, strict=True):
        assert row["cell"] == cell.cell
        assert row["state"] == cell.state
        if cell.state is State.UNSUPPORTED:
            assert not (run / "cells" / cell.cell).exists()
            continue
        left = json.loads((run / "cells" / cell.cell / "cell.json").read_text())
        assert not left.keys() & {"state", "reason"}  # settled in the report alone
        stored = CellRecord.model_validate({**left, "state": State.OK})
        assert (cell.leakage or cell.withheld) == (stored.leakage or stored.withheld)
        assert cell.negative_control == stored.negative_control
        if cell.leakage is not None:
            assert float(row["ssim_brain"]) == pytest.approx(cell.leakage.ssim_brain.mean, abs=1e-9)
    for target in report.targets:
        stored_target = TargetRecord.model_validate_json(
            (run / "targets" / target.target / "target.json").read_bytes()
        )
        assert target == stored_target
    worst = {case.target: case for case in report.worst}
    for target in report.targets:
        reached = [
            c.leakage.ssim_brain.mean
            for c in report.cells
            if c.target == target.target and c.leakage and not c.control_only
        ]
        case = worst[target.target]
        assert case.ssim_brain is not None
        assert case.ssim_brain.mean == max(reached)
        assert case.dice == (target.utility.mean if target.utility else None)


def test_only_an_ok_cell_has_a_leakage_figure(finished_run: Path, rows_of: Rows) -> None:
    run = finished_run / TINY
    for cell, row in zip(report_of(run).cells, rows_of(run), strict=True):
        assert (cell.leakage is not None) == (cell.state is State.OK)
        figures = [row[name] for name in ("ssim_brain", "advantage", "reid_top1")]
        assert all(figures) if cell.state is State.OK else not any(figures)
        assert bool(cell.reason) == (cell.state is not State.OK)
        if cell.withheld is not None:
            assert cell.state is State.CONTROL_FAILED


def test_the_same_command_again_redoes_nothing(
    copied: Path, leakaudit: Leakaudit, stamps: Stamps, result_of: Result
) -> None:
    before, result = stamps(copied / TINY), result_of(copied / TINY)
    assert len(before) == 10
    again = leakaudit("run", "tiny.yaml", cwd=copied)
    assert again.returncode == 0
    assert stamps(copied / TINY) == before
    assert result_of(copied / TINY) == result
    assert again.stdout == (copied / "stdout.txt").read_text()
    events = events_of(copied / TINY)
    assert [event["jobs"] for event in events if event["event"] == "run"] == [10, 0]
    assert sum(event["event"] == "job" for event in events) == 10


def test_damaged_results_are_found_and_redone(
    copied: Path, leakaudit: Leakaudit, stamps: Stamps, result_of: Result
) -> None:
    run = copied / TINY
    before, result = stamps(run), result_of(run)
    cells = sorted((run / "cells").iterdir())
    target = sorted((run / "targets").iterdir())[0]
    os.truncate(cells[0] / "reconstructions.safetensors", 50)
    (cells[1] / "cell.json").unlink()
    aside = run / "aside"
    for old, new in ((cells[2], aside), (cells[3], cells[2]), (aside, cells[3])):
        old.rename(new)
    weights = bytearray((target / "weights.safetensors").read_bytes())
    weights[-100] ^= 1
    (target / "weights.safetensors").write_bytes(weights)
    assert leakaudit("run", "tiny.yaml", cwd=copied).returncode == 0
    assert result_of(run) == result
    after = stamps(run)
    redone = {key for key in before if after[key] != before[key]}
    assert redone == {target.name, *(cell.name for cell in cells[:4])}


def test_a_cell_never_uses_weights_that_changed_after_the_run_began(copied: Path) -> None:
    plan = plan_audit(read_audit(copied / "tiny.yaml"), cache=copied / "runs" / ".cache")
    store = RunStore(copied / TINY)
    cell = next(cell for cell in plan.matrix.cells if not cell.missing)
    task = Task(
        root=store.root,
        patients=share(plan.cohort, store.root),
        splits=plan.folds[0],
        device="cpu",
        target=cell.target,
        cell=cell,
    )
    weights = store.folder("targets", cell.target.key) / "weights.safetensors"
    flipped = bytearray(weights.read_bytes())
    flipped[-100] ^= 1
    weights.write_bytes(flipped)
    before = (store.folder("cells", cell.key) / "manifest.json").stat().st_mtime_ns
    with pytest.raises(StoreError, match=r"changed since it was written; run again to redo it"):
        run_cell(task, lambda done, total: None)
    assert (store.folder("cells", cell.key) / "manifest.json").stat().st_mtime_ns == before
    record = assemble(plan.config, plan.matrix, plan.cohort, plan.folds, store, {})
    (target,) = [one for one in record.targets if one.target == cell.target.key]
    assert target.state is State.FAILED
    assert "changed or deleted after it was written" in target.reason


def test_a_run_killed_while_training_goes_on_from_its_checkpoint(
    finished_run: Path,
    tmp_path: Path,
    killed_run: KilledRun,
    leakaudit: Leakaudit,
    result_of: Result,
    tiny_audit: Audit,
) -> None:
    shutil.copy(finished_run / "tiny.yaml", tmp_path)
    killed_run(tmp_path, lambda run: any(run.glob("targets/.*.training/checkpoint.safetensors")))
    (checkpoint,) = (tmp_path / TINY).glob("targets/.*.training/checkpoint.safetensors")
    with safe_open(checkpoint, framework="np") as file:
        epochs = len(json.loads(file.metadata()["history"]))
    assert 1 <= epochs < tiny_audit["target"]["training"]["epochs"]
    assert leakaudit("run", "tiny.yaml", cwd=tmp_path).returncode == 0
    assert result_of(tmp_path / TINY) == result_of(finished_run / TINY)
    assert not checkpoint.exists()


def test_a_run_killed_after_a_cell_keeps_what_is_done(
    finished_run: Path,
    tmp_path: Path,
    killed_run: KilledRun,
    leakaudit: Leakaudit,
    result_of: Result,
    stamps: Stamps,
) -> None:
    shutil.copy(finished_run / "tiny.yaml", tmp_path)
    run = tmp_path / TINY
    killed_run(tmp_path, lambda run: any(run.glob("cells/[!.]*/manifest.json")))
    before = stamps(run)
    assert 3 <= len(before) < 10
    assert leakaudit("run", "tiny.yaml", cwd=tmp_path).returncode == 0
    assert result_of(run) == result_of(finished_run / TINY)
    after = stamps(run)
    assert {key: after[key] for key in before} == before
    ran = [event["jobs"] for event in events_of(run) if event["event"] == "run"]
    assert ran == [10, 10 - len(before)]


BAD_PLUGIN = '''
import os
from dataclasses import dataclass
from typing import final
import torch
from leakaudit.api import Attack, Capability, Reconstruction


@final
@dataclass(frozen=True, kw_only=True)
class Bad(Attack):
    """End in every bad way."""
    how: str = "raise"
    requires = frozenset({Capability.ACTIVATIONS})

    def run(self, observation, *, generator, progress):
        shape = observation.layout.image_shape
        if self.how == "raise":
            raise RuntimeError("broken on purpose")
        if self.how == "exit":
            os._exit(0)
        images = torch.full(shape, torch.nan if self.how == "nan" else 0.5)
        if self.how == "shape":
            images = images[1:]
        if self.how == "seed":
            torch.manual_seed(0)
        if self.how == "type":
            torch.set_default_dtype(torch.float64)
        last = {"no objective": float("nan"), "no descent": 1.0}.get(self.how, 0.5)
        return Reconstruction(
            images=images, objective_first=1.0, objective_last=last, iterations=1
        )
'''
BAD_ENDS = {
    "raise": "RuntimeError: broken on purpose",
    "exit": "its process ended early with exit code 0",
    "nan": "values that are not finite",
    "shape": "the attack returned shape",
    "no objective": "the attack's own objective went from 1.0 to nan",
    "seed": "attack bad changed torch's random state, which it must leave alone",
    "type": "attack bad changed torch's default type, which it must leave alone",
}


def test_a_third_party_attack_that_goes_wrong_fails_its_cells_alone(
    tmp_path: Path, tiny_audit: Audit, write_audit: Callable[..., Path], leakaudit: Leakaudit
) -> None:
    site = tmp_path / "site"
    info = site / "bad_attack-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bad-attack\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[leakaudit.attacks]\nbad = bad_attack:Bad\n")
    (site / "bad_attack.py").write_text(BAD_PLUGIN)
    audit = {
        **tiny_audit,
        "defenses": [],
        "attacks": [
            {"bad": {"how": [*BAD_ENDS, "no descent"]}},
            {"activation-inversion": {"iterations": 10}},
        ],
        "threats": ["curious-server-with-encoder"],
    }
    write_audit(tmp_path / "tiny.yaml", audit)
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    done = leakaudit("run", "tiny.yaml", cwd=tmp_path, PYTHONPATH=path)
    assert done.returncode == 3, done.stderr
    cells = {str(c.attack): c for c in report_of(tmp_path / TINY).cells}
    good = cells.pop("ActivationInversion(iterations=10)", None) or next(
        cells.pop(name) for name in list(cells) if name.startswith("Activation")
    )
    assert good.state is State.OK
    assert {c.leakage for c in cells.values()} == {None}
    for how, reason in BAD_ENDS.items():
        cell = cells.pop(f"Bad(how={how!r})")
        assert cell.state is State.FAILED
        assert reason in cell.reason
        assert reason in done.stderr
    (flat,) = cells.values()
    assert flat.state is State.CONTROL_FAILED
    assert "its own objective did not fall" in flat.reason


def test_training_teaches_the_network_to_segment(
    tmp_path: Path, tiny_audit: Audit, write_audit: Callable[..., Path], leakaudit: Leakaudit
) -> None:
    audit = {
        **tiny_audit,
        "data": {"size": 48, "phantom": {"patients": 20, "slices": 6, "seed": 0}},
        "target": {
            "cut_level": 0,
            "features": [8, 8, 16, 16, 32, 8],
            "training": {"epochs": 10, "batch_size": 4, "learning_rate": 0.005},
        },
        "defenses": [],
        "attacks": [{"activation-inversion": {"iterations": 10}}],
        "threats": ["curious-server-with-encoder"],
    }
    write_audit(tmp_path / "tiny.yaml", audit)
    done = leakaudit("run", "tiny.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (target,) = report_of(tmp_path / TINY).targets
    assert target.utility is not None
    assert target.untrained_dice is not None
    assert target.utility.mean.mean >= 0.4
    assert target.utility.mean.mean >= target.untrained_dice + 0.2


def test_a_whole_training_is_kept_and_attacked_where_the_threat_sees_it(
    tmp_path: Path, tiny_audit: Audit, write_audit: Callable[..., Path], leakaudit: Leakaudit
) -> None:
    audit = {
        **copy.deepcopy(tiny_audit),
        "gradient_checkpoints": [0, 2, 3],
        "attacks": [
            {"transcript-inversion": {"steps": 60, "width": 16, "batch_size": 4}},
            {"cafe": {"iterations": 60}},
        ],
        "threats": {
            "curious-server-in-training": ["transcript-inversion"],
            "server-and-aggregator": ["cafe"],
        },
    }
    audit["target"]["training"]["epochs"] = 3
    write_audit(tmp_path / "tiny.yaml", audit)
    done = leakaudit("run", "tiny.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = tmp_path / TINY
    report = report_of(run)
    for target in report.targets:
        names = {path.name for path in (run / "targets" / target.target).iterdir()}
        assert {"epoch_0001.safetensors", "epoch_0002.safetensors"} < names
    asked = [cell for cell in report.cells if not cell.control_only]
    cells = {cell.attack_name: cell for cell in asked if not cell.defense}
    assert {cell.state for cell in cells.values()} == {State.OK}, report.cells
    assert {cell.victims for cell in cells.values()} == {"training"}
    transcript, cafe = cells["transcript-inversion"], cells["cafe"]
    assert "Read 3 releases, one an epoch, in 3 groups." in transcript.notes
    assert any("checkpoints' candidates" in note for note in cafe.notes)
    assert (transcript.gradient_checkpoints, cafe.gradient_checkpoints) == ((), (0, 2, 3))
    for cell in (transcript, cafe):
        assert cell.leakage is not None
        assert cell.leakage.ssim_brain.mean > cell.leakage.blind_floor + 0.1


def test_a_bottleneck_is_attacked_beside_the_plain_target(
    tmp_path: Path, tiny_audit: Audit, write_audit: Callable[..., Path], leakaudit: Leakaudit
) -> None:
    learned = {"steps": 10, "width": 8, "batch_size": 2}
    audit = {
        **tiny_audit,
        "defenses": [],
        "attacks": [
            {"decoder-inversion": learned},
            {"activation-inversion": {"iterations": 10}},
            {"pseudo-client-inversion": learned},
            {"unsplit": {"rounds": 2, "weight_steps": 2, "image_steps": 2}},
            {"feature-space-hijacking": {"decoder_steps": 5, "steps": 5}},
        ],
        "threats": {
            "curious-server": ["decoder-inversion", "pseudo-client-inversion", "unsplit"],
            "curious-server-with-encoder": ["activation-inversion"],
            "malicious-server": ["feature-space-hijacking"],
        },
    }
    one_site = {**tiny_audit["target"], "sites": [["T1w", "FLAIR"]]}
    audit["target"] = {**one_site, "cut_level": 1, "bottleneck": [None, 2]}
    write_audit(tmp_path / "tiny.yaml", audit)
    done = leakaudit("run", "tiny.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = report_of(tmp_path / TINY)
    asked = [cell for cell in report.cells if not cell.control_only]
    assert len(asked) == 2 * 5
    assert {cell.bottleneck for cell in asked} == {None, 2}
    # So short an attack may fail its control, but every one must have run.
    assert {cell.state for cell in asked} <= {State.OK, State.CONTROL_FAILED}, [
        cell.reason for cell in asked
    ]
    disguised = [cell for cell in report.cells if cell.disguise]
    assert {cell.attack_name for cell in disguised} == {
        *("decoder-inversion", "activation-inversion", "pseudo-client-inversion", "unsplit")
    }
    assert all(cell.control_only and cell.bottleneck is None for cell in disguised)
    plain, narrow = report.targets
    assert narrow.parameters > plain.parameters
    assert "channels 2" in done.stdout
    assert "channels 2" in leakaudit("table", str(tmp_path / TINY), cwd=tmp_path).stdout


def test_every_site_is_tried_and_masks_are_scored_by_dice(
    tmp_path: Path, tiny_audit: Audit, write_audit: Callable[..., Path], leakaudit: Leakaudit
) -> None:
    learned = {"steps": 60, "width": 16, "batch_size": 4}
    audit = {
        **tiny_audit,
        "defenses": [],
        "images": "full",
        "attacks": [
            {"mask-inference": learned},
            {"head-mask-inference": learned},
            {"other-site-inversion": {**learned, "steps": 5}},
            {"feature-space-hijacking": {"decoder_steps": 5, "steps": 5}},
            "release-matching",
        ],
        "threats": {
            "curious-site": ["mask-inference", "other-site-inversion"],
            "curious-server-with-candidates": ["release-matching"],
            "u-shaped-server": ["head-mask-inference"],
            "malicious-server": ["feature-space-hijacking"],
        },
    }
    write_audit(tmp_path / "tiny.yaml", audit)
    done = leakaudit("run", "tiny.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = tmp_path / TINY
    report = report_of(run)
    where = {(cell.attack_name, cell.site) for cell in report.cells}
    sites = ("T1w+T1gd", "FLAIR+T2w")
    assert where == {
        *(("mask-inference", site) for site in sites),
        *(("other-site-inversion", site) for site in sites),
        ("head-mask-inference", ""),
        ("feature-space-hijacking", ""),
        ("release-matching", ""),
    }
    (who,) = (one for one in report.cells if one.matching and not one.control_only)
    assert who.matching is not None
    assert who.matching.top1 == 1.0
    assert who.matching.gallery == 9  # 12 patients, 3 of them the adversary's own
    assert who.matching.other_pass is not None
    assert who.matching.other_pass.top1 == 1.0
    assert who.matching.other_slice is not None
    assert who.cost is not None
    assert who.cost.queries == 2 * who.matching.gallery  # nothing is random
    assert who.positive_control is not None
    assert who.positive_control.passed
    assert who.disguise_control is not None
    assert who.disguise_control.passed
    stored = load_file(run / "cells" / who.cell / "reconstructions.safetensors")
    assert list(stored) == ["scores"]
    assert stored["scores"].shape == (3, 9)
    assert (
        RunPictures(plan_audit(read_audit(tmp_path / "tiny.yaml")), RunStore(run)).planes(
            who.cell, who.matching.patients[0].patient, ""
        )
        == ()
    )
    masks = [cell for cell in report.cells if cell.recovers == "masks"]
    for cell in masks:
        figures = cell.mask_leakage or cell.withheld_masks
        assert figures is not None
        assert cell.leakage is None
        assert cell.withheld is None
        assert figures.dice.n + figures.without_tumour == 3
        assert figures.blind_floor >= 0
    assert any(cell.mask_leakage for cell in masks)
    plan = plan_audit(read_audit(tmp_path / "tiny.yaml"))
    pictures = RunPictures(plan, RunStore(run))
    for cell in masks:
        figures = cell.mask_leakage or cell.withheld_masks
        assert figures is not None
        stored = load_file(run / "cells" / cell.cell / "reconstructions.safetensors")
        assert ("guess" in stored) == (figures.blind_floor_name.startswith("own "))
        for one in figures.patients:
            (drawn,) = pictures.planes(cell.cell, one.patient, figures.blind_floor_name)
            assert drawn.guess is not None
            truth = drawn.original[None] > 0
            assert dice_masks(drawn.reconstruction[None] > 0, truth) == one.dice
            assert dice_masks(drawn.guess[None] > 0, truth) == one.blind_floor
    for cell in report.cells:
        if cell.recovers == "other-site images":
            shown = cell.leakage or cell.withheld
            assert shown is not None
            stored = load_file(run / "cells" / cell.cell / "reconstructions.safetensors")
            assert stored["images"].shape == (3, 2, 32, 32)
            (others,) = {site for site in sites if site != cell.site}
            assert set(shown.by_modality) == set(others.split("+"))
    (of_masks,) = [case for case in report.worst if case.recovers == "masks"]
    assert of_masks.ssim_brain is None
    assert of_masks.mask_dice is not None
    assert not of_masks.pareto or of_masks.dice is not None
    page = (run / "report" / "report.html").read_text()
    assert "Dice of the mask" in page
    assert "tumour mask" in page
    assert "Of the tumour masks of training patients" in page
    table = leakaudit("table", "--cells", str(run), cwd=tmp_path).stdout
    assert "| masks |" in table
    assert "mask-inference by curious-site with" in table
    assert "head-mask-inference by u-shaped-server" in table
    assert "their masks (Dice)" in done.stdout
    assert "| identities |" in table
    assert "who they are (share)" in done.stdout
    assert "Singling out without a picture" in page
