"""`leakaudit report --profile share`: a real run, shared by the installed command."""

from __future__ import annotations

import json
import re
import shutil
import socket
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from leakaudit.report import read_manifest, read_report, render_html, write_report
from tests.report.sample import sample_gallery, sample_report
from tests.report.test_sharing import assert_nowhere, renamed, with_text

pytestmark = pytest.mark.slow  # every test starts whole processes

POLICY = """
owner: Data protection officer
date: 2026-01-31
thresholds:
- ssim: 0.01
  n_min: 1
  rationale: a reason
"""
Leakaudit = Callable[..., subprocess.CompletedProcess[str]]
FILES = ["cells.csv", "citations.bib", "junit.xml", "manifest.json", "report.html", "report.json"]


def sentence(done: subprocess.CompletedProcess[str], code: int) -> str:
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    return done.stderr.strip()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder of which only the report is there."""
    write_report(sample_report(), tmp_path / "runs" / "mine" / "report")
    return tmp_path / "runs" / "mine"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_real_run_is_shared_without_its_patients_paths_and_machine(
    finished_run: Path, leakaudit: Leakaudit, tmp_path: Path
) -> None:
    shutil.copytree(finished_run / "runs" / "tiny", tmp_path / "tiny")
    before = contents(tmp_path / "tiny" / "report")
    done = leakaudit("report", "tiny", "--profile", "share", cwd=tmp_path, COLUMNS="80")
    assert (done.returncode, done.stdout) == (0, "tiny/share/report.html\n")
    assert done.stderr == "leakaudit: tiny/share.key makes the pseudonyms; do not hand it on\n"
    assert contents(tmp_path / "tiny" / "report") == before
    folder = tmp_path / "tiny" / "share"
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE((tmp_path / "tiny" / "share.key").stat().st_mode) == 0o600

    record = read_report(tmp_path / "tiny" / "report")
    shared = read_report(folder)
    split = record.data.split
    patients = (*split.train, *split.validation, *split.auxiliary, *split.victims)
    assert len(patients) == 12
    assert_nowhere(folder, (*patients, str(tmp_path), str(finished_run)))
    host = socket.gethostname()
    if len(host) >= 6:
        assert_nowhere(folder, (host,))
    assert (shared.profile, shared.images) == ("share", "none")
    assert shared.name == record.name
    assert [one.state for one in shared.cells] == [one.state for one in record.cells]
    assert [one.reason for one in shared.cells] == [one.reason for one in record.cells]
    assert [one.notes for one in shared.cells] == [one.notes for one in record.cells]
    volatile = [one.volatile for one in shared.cells] + [one.volatile for one in shared.targets]
    assert all(set(one) <= {"seconds"} for one in volatile)
    for named in ("tiny", "tiny/share"):
        checked = leakaudit("verify", named, cwd=tmp_path)
        assert (checked.returncode, checked.stdout[:6]) == (0, "whole:"), checked.stdout
    (folder / "cells.csv").write_bytes(b"changed")
    changed = leakaudit("verify", "tiny", cwd=tmp_path)
    assert changed.returncode == 4
    assert "share/cells.csv" in changed.stdout + changed.stderr
    table = leakaudit("table", "tiny/share", cwd=tmp_path)
    assert table.stdout == leakaudit("table", "tiny", cwd=tmp_path).stdout


def test_sharing_again_gives_the_same_bytes_and_another_run_other_pseudonyms(
    run: Path, leakaudit: Leakaudit
) -> None:
    assert leakaudit("report", "mine", "--profile=share", cwd=run.parent).returncode == 0
    first = contents(run / "share")
    assert leakaudit("report", "mine", "--profile=share", cwd=run.parent).returncode == 0
    assert contents(run / "share") == first
    done = leakaudit(
        "report", "mine/report/report.json", "--profile=share", "--out", "out", cwd=run.parent
    )
    assert done.stdout == "out/report.html\n"
    assert contents(run.parent / "out") == first
    assert leakaudit("report", "out", cwd=run.parent).returncode == 0
    assert contents(run.parent / "out") == first

    write_report(sample_report(), run.parent / "other" / "report")
    assert leakaudit("report", "other", "--profile=share", cwd=run.parent).returncode == 0
    one, two = (read_report(run.parent / name / "share").data.split for name in ("mine", "other"))
    assert not set(one.train) & set(two.train)


def test_the_user_the_host_and_the_folders_of_the_machine_are_removed(
    tmp_path: Path, leakaudit: Leakaudit
) -> None:
    home = tmp_path / "home" / "zquast"
    home.mkdir(parents=True)
    text = f"zquast on quasthost7: {home}/x y/z.py and {tmp_path}/runs, of Zoë Quast; "
    record = with_text(renamed({"sample-03": "Zoë Quast"}), "reason", text)
    record = record.model_copy(update={"name": "of-zquast"})
    write_report(record, tmp_path / "runs" / "mine" / "report")
    done = leakaudit(
        *("report", "runs/mine", "--profile", "share"),
        cwd=tmp_path,
        HOME=str(home),
        USER="zquast",
        HOSTNAME="quasthost7.example.org",
    )
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "runs" / "mine" / "share"
    assert_nowhere(folder, ("zquast", "quasthost7", str(tmp_path), "Zoë", "Quast"))
    assert read_report(folder).cells[0].reason == "[not shared]"


def test_a_run_with_images_is_shared_without(tmp_path: Path, leakaudit: Leakaudit) -> None:
    write_report(sample_report(images="full"), tmp_path / "mine" / "report", sample_gallery())
    assert b"<img" in (tmp_path / "mine" / "report" / "report.html").read_bytes()
    assert leakaudit("report", "mine", "--profile", "share", cwd=tmp_path).returncode == 0
    page = (tmp_path / "mine" / "share" / "report.html").read_bytes()
    assert b"<img" not in page
    kept = re.compile(r"data:image/[^\"]+")  # those of the program's own simulated patient
    assert set(kept.findall(page.decode())) == set(kept.findall(render_html(sample_report())))


def test_what_can_not_be_shared_is_refused(run: Path, leakaudit: Leakaudit) -> None:
    def refused(*arguments: str, code: int) -> str:
        return sentence(leakaudit("report", *arguments, cwd=run), code)

    assert "add --profile share" in refused(".", "--out", "x", code=2)
    assert not (run / "x").exists()
    for out, words in (
        ("report", "holds a report that is not for sharing; name another folder"),
        (".", "it holds 'report'"),
    ):
        assert words in refused(".", "--profile", "share", "--out", out, code=4)
    (run / "full").mkdir()
    (run / "full" / "scan.nii.gz").touch()
    told = refused(".", "--profile", "share", "--out", "full", code=4)
    assert "expected no folder, an empty one or an earlier shared report" in told
    (run / "file").touch()
    assert "Not a directory" in refused(".", "--profile", "share", "--out", "file", code=4)
    assert not (run / "share.key").exists()
    (run / "share.key").write_text("lost")
    assert "expected 64 hexadecimal digits" in refused(".", "--profile", "share", code=4)
    assert not (run / "share").exists()
    (run / "share.key").unlink()
    assert leakaudit("report", ".", "--profile", "share", cwd=run).returncode == 0
    told = refused("share", "--profile", "share", code=2)
    assert "this report is a shared one already; hand it on as it is" in told
    assert leakaudit("report", ".", "--profile", "public", cwd=run).returncode == 2


def test_a_policy_judges_the_run_before_it_is_shared(
    finished_run: Path, leakaudit: Leakaudit, tmp_path: Path
) -> None:
    run = tmp_path / "mine"
    shutil.copytree(finished_run / "runs" / "tiny", run)
    (tmp_path / "p.yaml").write_text(POLICY)
    asked = ("report", "mine", "--profile", "share", "--policy", "p.yaml")
    told = sentence(leakaudit(*asked, cwd=tmp_path), 2)
    assert "first `leakaudit report mine --policy p.yaml`, then" in told
    assert not (run / "share").exists()
    assert not (run / "share.key").exists()
    judged = leakaudit("report", "mine", "--policy", "p.yaml", cwd=tmp_path)
    assert (judged.returncode, judged.stdout[:6]) == (0, "FAIL: "), judged.stderr
    shared = leakaudit("report", "mine", "--profile", "share", cwd=tmp_path)
    assert (shared.returncode, shared.stdout[:6]) == (0, "FAIL: "), shared.stderr
    made, own = read_manifest(run / "share"), read_manifest(run / "report")
    assert made is not None
    assert own is not None
    assert made.made_of == own.files["report.json"].sha256
    verdicts = [read_report(run / name).verdict for name in ("report", "share")]
    assert verdicts[0] is not None
    assert verdicts[1] is not None
    for one, two in zip(*(each.policy.thresholds for each in verdicts if each), strict=True):
        assert two == one.model_copy(update={"owner": "[not shared]", "rationale": "[not shared]"})


def test_a_report_that_was_changed_is_not_shared(run: Path, leakaudit: Leakaudit) -> None:
    path = run / "report" / "report.json"
    path.write_text(json.dumps(json.loads(path.read_text())))
    assert "differs" in sentence(leakaudit("report", ".", "--profile", "share", cwd=run), 4)
    assert not (run / "share").exists()
