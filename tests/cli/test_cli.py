"""The command line: what it prints, where, and the codes it exits with."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from leakaudit.audit_file import read_audit
from leakaudit.errors import ExitCode
from leakaudit.report import read_report, worst_table

pytestmark = pytest.mark.slow  # every test starts whole processes

Leakaudit = Callable[..., subprocess.CompletedProcess[str]]
WriteAudit = Callable[[Path, dict[str, Any]], Path]
NAMES = {
    "attacks": ["activation-inversion", "decoder-inversion", "gradient-inversion"],
    "defenses": ["activation-dropout", "dp-gaussian", "gaussian-noise", "identity"],
    "threats": ["aggregator", "aggregator-alone", "curious-server", "curious-server-with-encoder"],
}


def widest(text: str) -> int:
    return max(len(line) for line in text.splitlines())


def sentence(done: subprocess.CompletedProcess[str], code: int) -> str:
    """The one sentence on stderr of a command that failed as it should."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    progress = ("leakaudit: loading PyTorch;", "leakaudit: reading ")
    told = [line for line in done.stderr.split("\n") if not line.startswith(progress)]
    assert told[0].startswith("leakaudit: ")
    assert told[1:] == [""]
    assert "\x1b" not in done.stderr
    return told[0].strip()


def test_the_version_is_that_of_the_installed_package(leakaudit: Leakaudit, tmp_path: Path) -> None:
    assert leakaudit("--version", cwd=tmp_path).stdout == f"leakaudit {version('leakaudit')}\n"


def test_help_names_every_command_and_waits_for_no_torch(
    leakaudit: Leakaudit, tmp_path: Path
) -> None:
    done = leakaudit("--help", cwd=tmp_path, COLUMNS="80")
    assert done.returncode == 0
    assert done.stderr == ""
    assert widest(done.stdout) <= 80
    listing, _, codes = done.stdout.partition("Commands:")[2].partition("Exit codes:")
    listed = listing.split("\n")
    assert [line.split()[0] for line in listed if line.strip()] == [
        *("run", "plan", "report", "verify", "gate", "schema", "table"),
        *("compare", "list", "show", "init", "disguises", "dp"),
    ]
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    for exit_code in ExitCode:
        assert f"{exit_code.value} {exit_code.words}" in " ".join(codes.split())
        assert f"| {exit_code.value} | {exit_code.words} |" in readme
    code = "import sys, leakaudit.cli; print([m for m in ('torch', 'monai') if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert loaded.stdout == "[]\n"


def test_a_command_that_does_not_exist_is_a_usage_error(
    leakaudit: Leakaudit, tmp_path: Path
) -> None:
    done = leakaudit("rum", cwd=tmp_path)
    assert done.returncode == 2
    assert "no such command 'rum'; did you mean 'run'?" in done.stderr
    assert leakaudit(cwd=tmp_path).returncode == 2


def test_the_command_line_needs_no_network(tmp_path: Path, program: Path) -> None:
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-n", "true"]).returncode:
        pytest.skip("a namespace without network needs root and unshare(1)")
    done = subprocess.run(
        ["unshare", "-n", program, "list", "attacks"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0
    assert done.stderr == ""


@pytest.mark.parametrize("kind", NAMES)
def test_list_names_what_is_installed(leakaudit: Leakaudit, tmp_path: Path, kind: str) -> None:
    done = leakaudit("list", kind, cwd=tmp_path, COLUMNS="80", NO_COLOR="1")
    assert done.returncode == 0
    assert done.stderr == ""
    assert widest(done.stdout) <= 80
    assert "\x1b" not in done.stdout
    first = [line.split()[0] for line in done.stdout.splitlines()[1:] if line[0] != " "]
    assert first == sorted(first) or kind == "threats"
    assert set(NAMES[kind]) <= set(first)


def test_list_names_the_kinds_there_are(leakaudit: Leakaudit, tmp_path: Path) -> None:
    told = sentence(leakaudit("list", "attack", cwd=tmp_path), 2)
    assert "expected attacks, defenses or threats, got 'attack'; did you mean 'attacks'?" in told
    everything = leakaudit("list", cwd=tmp_path).stdout.split("\n\n")
    assert [part.split()[0] for part in everything] == list(NAMES)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "decoder-inversion",
            ["(attack, leakaudit ", "knows: activations", "after: He et al. 2019", "  steps: 150"],
        ),
        ("gaussian-noise", ["(defense, leakaudit ", "  std: "]),
        ("aggregator", ["(threat)", "victims: training", "holds:", "  weight-gradients: "]),
        (
            "weight-gradients",
            ["(capability)", "granted by: aggregator,", "needed by: cafe, deep-leakage, gradient-"],
        ),
        (
            "repeated-releases",
            ["granted by: curious-server", "needed by: no installed attack; one"],
        ),
    ],
)
def test_show_describes_what_it_is(
    leakaudit: Leakaudit, tmp_path: Path, name: str, words: list[str]
) -> None:
    done = leakaudit("show", name, cwd=tmp_path, COLUMNS="80")
    assert done.returncode == 0
    assert done.stdout.startswith(f"{name} (")
    assert all(word in done.stdout for word in words)
    assert widest(done.stdout) <= 80


def test_show_of_an_unknown_name_has_the_nearest(leakaudit: Leakaudit, tmp_path: Path) -> None:
    told = sentence(leakaudit("show", "gausian-noise", cwd=tmp_path), 2)
    assert "unknown name 'gausian-noise'; did you mean 'gaussian-noise'?" in told


@pytest.mark.parametrize("file", ["mine.yaml", "010.yaml", "no.yaml", "a b\u00fc..yaml", "-.yaml"])
def test_init_writes_a_file_that_parses(leakaudit: Leakaudit, tmp_path: Path, file: str) -> None:
    done = leakaudit("init", "--", file, cwd=tmp_path, COLUMNS="80")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert widest(done.stdout) <= 80
    audit = read_audit(tmp_path / file)
    if file == "010.yaml":
        assert audit.name == "010"
    assert audit.images == "none"
    assert audit.policy is not None
    text = (tmp_path / file).read_text()
    assert text.count("#") > 5
    assert "quick" not in text


def test_init_replaces_nothing_and_its_file_plans(leakaudit: Leakaudit, tmp_path: Path) -> None:
    assert leakaudit("init", "mine.yaml", cwd=tmp_path).returncode == 0
    before = (tmp_path / "mine.yaml").read_bytes()
    assert "exists already" in sentence(leakaudit("init", "mine.yaml", cwd=tmp_path), 4)
    assert (tmp_path / "mine.yaml").read_bytes() == before
    assert "cannot be written" in sentence(leakaudit("init", "no/mine.yaml", cwd=tmp_path), 4)
    done = leakaudit("plan", "mine.yaml", cwd=tmp_path, COLUMNS="80")
    assert done.returncode == 0, done.stderr
    assert widest(done.stdout) <= 80


def test_plan_shows_the_cells_and_trains_nothing(
    leakaudit: Leakaudit, tmp_path: Path, tiny_audit: dict[str, Any], write_audit: WriteAudit
) -> None:
    target = {**tiny_audit["target"], "cut_level": 1, "withheld_skips": [1]}
    audit = {**tiny_audit, "target": target}
    write_audit(tmp_path / "tiny.yaml", audit)
    done = leakaudit("plan", "tiny.yaml", cwd=tmp_path, COLUMNS="80")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert widest(done.stdout) <= 80
    text = " ".join(done.stdout.split())
    assert "12 (phantom): 5 train, 1 validation, 3 auxiliary, 3 victims" in text
    assert "trainings: 3" in text
    assert "under aggregator, batch 1, before training and after epoch 8" in text
    assert "train no defense (positive control)" in text
    assert text.count(" (control under a disguise: ") == 2
    assert "cells: 13" in text
    assert text.count("unsupported: curious-server lacks encoder-weights") == 2
    assert not (tmp_path / "runs" / "tiny").exists()


def test_run_prints_data_on_stdout_and_progress_on_stderr(finished_run: Path) -> None:
    out = (finished_run / "stdout.txt").read_text()
    err = (finished_run / "stderr.txt").read_text()
    assert out.rstrip().endswith("report: runs/tiny/report/report.html")
    assert "no defense" in out
    words = " ".join(out.split())
    assert "control-failed: positive control failed: on the undefended system cut at" in words
    assert "it needs 0.100 and an interval above 0" in words
    assert "not shown to work" not in words
    assert len(err.splitlines()) == 10
    counted = [line.split()[:2] for line in err.splitlines()]
    assert counted == [[f"{number}/10", "ok"] for number in range(1, 11)]
    assert "\x1b" not in out + err


def test_report_draws_the_same_page_again(
    finished_run: Path, leakaudit: Leakaudit, tmp_path: Path
) -> None:
    shutil.copytree(finished_run / "runs" / "tiny", tmp_path / "tiny")
    folder = tmp_path / "tiny" / "report"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    (folder / "report.html").write_text("lost")
    done = leakaudit("report", "tiny", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "tiny/report/report.html\n")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    table = leakaudit("table", "tiny", cwd=tmp_path)
    assert table.returncode == 0
    assert table.stdout == worst_table(read_report(folder))
    for named in ("tiny/report", "tiny/report/report.json"):
        done = leakaudit("report", named, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (0, "tiny/report/report.html\n")
    (folder / "report.json").write_bytes(before["report.json"].replace(b"0.", b"1.", 1))
    for command in ("report", "gate"):
        told = sentence(leakaudit(command, "tiny", cwd=tmp_path), 4)
        assert "report.json: differs from what manifest.json says was written; " in told
        assert "`leakaudit verify tiny/report` says what else" in told
    (folder / "manifest.json").write_text("{}")
    told = sentence(leakaudit("report", "tiny", cwd=tmp_path), 4)
    assert "expected the manifest of a report" in told
    assert "`leakaudit verify tiny/report`" in told
    (folder / "manifest.json").unlink()
    (folder / "report.json").write_bytes(before["report.json"])
    told = sentence(leakaudit("gate", "tiny", cwd=tmp_path), 4)
    assert "`leakaudit verify tiny` says what else" in told
    unvouched = leakaudit("report", "tiny", cwd=tmp_path)
    assert unvouched.returncode == 0
    assert "`leakaudit verify tiny`" in unvouched.stderr
    (folder / "report.json").unlink()
    told = sentence(leakaudit("report", "tiny", cwd=tmp_path), 4)
    assert told.endswith("tiny: no report.json here; give the folder of a run that has ended")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sedes": [1]}, "unknown key 'sedes'; did you mean 'seeds'?"),
        ({"attacks": ["decodr-inversion"]}, "'decodr-inversion'; did you mean 'decoder-inv"),
    ],
    ids=["key", "attack"],
)
def test_a_wrong_audit_file_ends_with_2(
    leakaudit: Leakaudit,
    tmp_path: Path,
    tiny_audit: dict[str, Any],
    write_audit: WriteAudit,
    change: dict[str, Any],
    words: str,
) -> None:
    audit = {**tiny_audit, "threats": ["curious-server"], **change}
    write_audit(tmp_path / "tiny.yaml", audit)
    told = sentence(leakaudit("run", "tiny.yaml", cwd=tmp_path), 2)
    assert told.startswith("leakaudit: tiny.yaml, line ")
    assert words in told
    assert not (tmp_path / "runs").exists()


def brats(folder: Path, patient: str) -> dict[str, Path]:
    """One small patient in the layout of BraTS 2023."""
    rng = np.random.default_rng(0)
    files = {}
    for kind in ("t1n", "t1c", "t2f", "t2w", "seg"):
        volume = rng.integers(1, 200, (32, 32, 3)).astype(np.int16)
        if kind == "seg":
            volume = np.zeros((32, 32, 3), np.int16)
            volume[10:20, 10:20] = 1
        files[kind] = folder / patient / f"{patient}-{kind}.nii.gz"
        files[kind].parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(volume, np.eye(4)), files[kind])
    return files


def truncate(files: dict[str, Path]) -> None:
    os.truncate(files["t1c"], 100)


def wrong_label(files: dict[str, Path]) -> None:
    nib.save(nib.Nifti1Image(np.full((32, 32, 3), 7, np.int16), np.eye(4)), files["seg"])


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (truncate, ["-t1c.nii.gz"]),
        (lambda files: files["t2w"].unlink(), ["modality T2w is missing"]),
        (wrong_label, ["-seg.nii.gz", "label values 7 are outside"]),
        (lambda files: shutil.rmtree(files["seg"].parents[1]), ["cannot be read"]),
    ],
    ids=["truncated", "modality missing", "label of 7", "folder missing"],
)
def test_bad_data_ends_with_4(
    leakaudit: Leakaudit,
    tmp_path: Path,
    tiny_audit: dict[str, Any],
    write_audit: WriteAudit,
    damage: Callable[[dict[str, Path]], object],
    words: list[str],
) -> None:
    damage([brats(tmp_path / "patients", f"BraTS-GLI-0000{n}-000") for n in range(5)][2])
    write_audit(tmp_path / "tiny.yaml", tiny_audit)
    done = leakaudit("run", "tiny.yaml", "--data", "patients", cwd=tmp_path)
    told = sentence(done, 4)
    assert all(word in told for word in words)
    assert ("BraTS-GLI-00002-000" in told) == (tmp_path / "patients").exists()


def test_a_run_folder_that_can_not_be_written_ends_with_4(
    leakaudit: Leakaudit, tmp_path: Path, tiny_audit: dict[str, Any], write_audit: WriteAudit
) -> None:
    write_audit(tmp_path / "tiny.yaml", tiny_audit)
    (tmp_path / "file").write_text("x")
    told = sentence(leakaudit("run", "tiny.yaml", "--out", "file", cwd=tmp_path), 4)
    assert "file/tiny: cannot be created" in told


def test_the_usual_data_folder_comes_from_the_environment(
    leakaudit: Leakaudit, tmp_path: Path, tiny_audit: dict[str, Any], write_audit: WriteAudit
) -> None:
    write_audit(tmp_path / "folder.yaml", {**tiny_audit, "data": {"kind": "folder", "size": 32}})
    usual = str(tmp_path / "nowhere")
    done = leakaudit("plan", "folder.yaml", cwd=tmp_path, LEAKAUDIT_DATA=usual)
    assert f"{usual}: the data folder cannot be read" in sentence(done, 4)


def test_ctrl_c_ends_with_130_and_the_same_command_goes_on(
    finished_run: Path,
    tmp_path: Path,
    program: Path,
    environment: dict[str, str],
) -> None:
    shutil.copy(finished_run / "tiny.yaml", tmp_path)
    run = tmp_path / "runs" / "tiny"
    process = subprocess.Popen(
        [program, "run", "tiny.yaml"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until = time.monotonic() + 120
    while not list(run.glob("targets/.*.training/checkpoint.safetensors")):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to the jobs as well
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert "interrupted: waiting for 1 running jobs" in err
    assert err.endswith("leakaudit: interrupted; the same command goes on from here\n")
    assert "Traceback" not in err
    assert [line.split()[:2] for line in err.splitlines() if "train" in line] == [["1/10", "ok"]]
    assert not (run / "report").exists()
    again = subprocess.run(
        [program, "run", "tiny.yaml"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert again.returncode == 0
    assert again.stderr.startswith("1 of 10 jobs were done before\n 2/10 ok")
    assert len(again.stderr.splitlines()) == 10
    # The jobs of this run imported what they need; those of the other were forked from a process
    # that had imported it.
    mine, forked = (
        json.loads((folder / "runs" / "tiny" / "report" / "report.json").read_text())["cells"]
        for folder in (tmp_path, finished_run)
    )
    assert [one["leakage"] for one in mine] == [one["leakage"] for one in forked]
