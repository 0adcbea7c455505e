"""`leakaudit verify`: what it prints and the codes it exits with, on a run that really ended."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leakaudit.report import read_manifest

pytestmark = pytest.mark.slow  # every test starts whole processes

Leakaudit = Callable[..., subprocess.CompletedProcess[str]]
UNSIGNED = (
    "Hashes without a checked signature find accidents; a person who changes a file on purpose"
)


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, in a folder of its own."""
    folder = tmp_path / "runs" / "tiny"
    shutil.copytree(finished_run / "runs" / "tiny", folder)
    return folder


def test_a_finished_run_is_whole(run: Path, leakaudit: Leakaudit, tmp_path: Path) -> None:
    files = sum(path.is_file() for path in run.rglob("*")) - 2
    for named in ("runs/tiny", "runs/tiny/", "runs/tiny/report", "runs/tiny/report/report.html"):
        done = leakaudit("verify", named, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        first, second, third, fourth = done.stdout.splitlines()
        assert first == f"whole: {files} files, the report and 10 results"
        assert second == "covered by no hash: .lock, events.jsonl"
        assert third == "signature: none"
        assert fourth.startswith(UNSIGNED)


def test_a_report_alone_says_that_the_results_are_not_here(
    run: Path, leakaudit: Leakaudit, tmp_path: Path
) -> None:
    shutil.copytree(run / "report", tmp_path / "mailed")
    done = leakaudit("verify", "mailed", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.splitlines()[:2] == [
        "whole: 6 files, the report alone",
        "not here to check: the 10 results of the run that the report rests on",
    ]


def test_the_same_run_again_and_a_report_drawn_again_are_whole(
    run: Path, finished_run: Path, leakaudit: Leakaudit, tmp_path: Path
) -> None:
    shutil.copy(finished_run / "tiny.yaml", tmp_path)
    written = (run / "report" / "manifest.json").read_bytes()
    assert leakaudit("report", "runs/tiny", cwd=tmp_path).returncode == 0
    assert (run / "report" / "manifest.json").read_bytes() == written
    before = read_manifest(run / "report")
    (run / "report" / ".report.html.a1b2c3d4").write_text("left by a kill")
    assert leakaudit("verify", "runs/tiny", cwd=tmp_path).returncode == 4
    assert leakaudit("run", "tiny.yaml", cwd=tmp_path).returncode == 0
    assert leakaudit("verify", "runs/tiny", cwd=tmp_path).returncode == 0
    after = read_manifest(run / "report")
    assert before is not None
    assert after is not None
    assert after.run == before.run


def test_two_equal_runs_differ_in_hashes_and_sizes_alone(
    run: Path, finished_run: Path, leakaudit: Leakaudit, tmp_path: Path
) -> None:
    def without_hashes(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: without_hashes(each) for key, each in value.items() if key != "size"}
        return "hash" if isinstance(value, str) and len(value) == 64 else value

    shutil.copy(finished_run / "tiny.yaml", tmp_path)
    assert leakaudit("run", "tiny.yaml", "--out", "again", cwd=tmp_path).returncode == 0
    first, second = (
        json.loads((folder / "report" / "manifest.json").read_bytes())
        for folder in (run, tmp_path / "again" / "tiny")
    )
    assert without_hashes(first) == without_hashes(second)
    assert first["run"]["files"] == second["run"]["files"]


def test_faults_are_listed_a_line_each(run: Path, leakaudit: Leakaudit, tmp_path: Path) -> None:
    (run / "report" / "cells.csv").unlink()
    (run / "report" / "report.html").write_text("another page")
    (run / "report" / "\x1b[31m\u202e</style>\nwhole: 5 files".replace("/", "")).touch()
    cell = sorted((run / "cells").iterdir())[0]
    (cell / "cell.json").unlink()
    done = leakaudit("verify", "runs/tiny", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (4, "")
    lines = done.stdout.splitlines()
    starts = ["missing: report/cells.csv: ", "changed: report/report.html: expected SHA-256 "]
    starts += ["unknown: 'report/[U+001B][U+005B]31m[U+202E]<style>[U+000A]whole: 5 files': a file"]
    starts += [f"missing: cells/{cell.name}/cell.json: ", "NOT whole: 4 faults; the hashes of "]
    assert all(line.startswith(start) for line, start in zip(lines, starts, strict=False))
    assert "whole: 5 files" not in lines
    narrow = leakaudit("verify", "runs/tiny", cwd=tmp_path, COLUMNS="80")
    assert max(map(len, narrow.stdout.splitlines())) <= 80
    assert " ".join(narrow.stdout.split()) == " ".join(done.stdout.split())


@pytest.fixture
def sign(tmp_path: Path) -> Callable[[str], None]:
    """Sign a file with the key of the one officer whom the file ``signers`` lists."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed")
    making = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", "KEY"]
    subprocess.run(making, check=True, cwd=tmp_path)
    key = (tmp_path / "KEY.pub").read_text()
    (tmp_path / "signers").write_text(f'officer@hospital.example namespaces="leakaudit" {key}')

    def signed(file: str) -> None:
        signing = ["ssh-keygen", "-q", "-Y", "sign", "-n", "leakaudit", "-f", "KEY", file]
        subprocess.run(signing, check=True, cwd=tmp_path, stdin=subprocess.DEVNULL)

    return signed


def test_a_signature_is_made_and_checked_as_the_documentation_says(
    run: Path, leakaudit: Leakaudit, sign: Callable[[str], None], tmp_path: Path
) -> None:
    manifest = "runs/tiny/report/manifest.json"
    sign(manifest)
    there = leakaudit("verify", "runs/tiny", cwd=tmp_path)
    assert there.returncode == 0
    assert "manifest.json.sig is there and was NOT checked; give --signers" in there.stdout
    done = leakaudit("verify", "runs/tiny", "--signers", "signers", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "signed: manifest.json by officer@hospital.example, ED25519 key SHA256:" in done.stdout
    assert UNSIGNED not in done.stdout
    asked = ("verify", "runs/tiny", "--signers", "signers", "--identity")
    assert leakaudit(*asked, "officer@hospital.example", cwd=tmp_path).returncode == 0
    other = leakaudit(*asked, "head@hospital.example", cwd=tmp_path)
    assert other.returncode == 4
    assert "does not list as 'head@hospital.example'" in other.stdout
    assert "signed: NO, see above" in other.stdout
    lines = other.stdout.splitlines()
    assert lines[-1] == "whole, but the signature does not hold"
    assert "the hashes of " in lines[1]
    assert "NOT whole" not in other.stdout
    page = run / "report" / "report.html"
    written = page.read_bytes()
    page.write_text("another page")
    both = leakaudit(*asked, "head@hospital.example", cwd=tmp_path)
    assert both.returncode == 4
    assert "NOT whole: 2 faults; the hashes of " in both.stdout
    assert "whole, but" not in both.stdout
    page.write_bytes(written)
    without = leakaudit(
        "verify", "runs/tiny", "--signers", "signers", cwd=tmp_path, PATH=str(tmp_path)
    )
    assert (without.returncode, without.stdout) == (4, "")
    assert "install OpenSSH 8.2 or newer" in without.stderr
    (tmp_path / manifest).with_suffix(".json.sig").unlink()
    unsigned = leakaudit("verify", "runs/tiny", "--signers", "signers", cwd=tmp_path)
    assert unsigned.returncode == 4
    assert unsigned.stdout.startswith("missing: report/manifest.json.sig: this report is not sig")
    assert unsigned.stdout.splitlines()[-1] == "whole, but it is not signed"


def test_a_shared_report_that_nobody_signed_is_said_to_be_so(
    run: Path, leakaudit: Leakaudit, sign: Callable[[str], None], tmp_path: Path
) -> None:
    asked = ("verify", "runs/tiny", "--signers", "signers")
    told = "share/manifest.json: not signed"
    sign("runs/tiny/report/manifest.json")
    assert "share/" not in leakaudit(*asked, cwd=tmp_path).stdout
    assert leakaudit("report", "runs/tiny", "--profile=share", cwd=tmp_path).returncode == 0
    sign("runs/tiny/share/manifest.json")
    both = leakaudit(*asked, cwd=tmp_path)
    assert both.returncode == 0
    assert "signed: share/manifest.json by officer@hospital.example" in both.stdout
    assert told not in both.stdout
    (run / "share" / "manifest.json.sig").unlink()
    for done in (leakaudit(*asked, cwd=tmp_path), leakaudit("verify", "runs/tiny", cwd=tmp_path)):
        assert (done.returncode, done.stderr) == (0, "")
        assert told in done.stdout.splitlines()


def test_wrong_use_is_told_in_a_sentence(leakaudit: Leakaudit, tmp_path: Path) -> None:
    done = leakaudit("verify", "nowhere", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (4, "")
    assert "nowhere: expected the folder of a run, the folder of a report" in done.stderr
    done = leakaudit("verify", ".", "--identity", "someone", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "give --signers FILE" in done.stderr


def test_verify_waits_for_no_torch_and_needs_no_network(
    run: Path, program: Path, tmp_path: Path
) -> None:
    code = (
        "import sys, leakaudit.cli.commands.verify; "
        "print([m for m in ('torch', 'monai', 'jinja2') if m in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert loaded.stdout == "[]\n", loaded.stderr
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-n", "true"]).returncode:
        pytest.skip("a namespace without network needs root and unshare(1)")
    alone = ["unshare", "-n", str(program), "verify", "runs/tiny"]
    assert subprocess.run(alone, cwd=tmp_path, capture_output=True).returncode == 0
