"""Templates of a user's own: the commands that render with them and the one that checks say so."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from leakaudit.records.manifest import ReportManifest
from leakaudit.report import read_manifest, write_report
from tests.report.sample import sample_report

pytestmark = pytest.mark.slow  # every test starts whole processes

Leakaudit = Callable[..., subprocess.CompletedProcess[str]]
TOLD = "rendered with replaced templates: reproducibility.html.j2, verdict.html.j2"


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    """Templates that state a verdict of their own, and do not say that they are replaced."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "verdict.html.j2").write_text("<p>PASS</p>")
    (folder / "reproducibility.html.j2").write_text("")
    return folder


def test_report_and_verify_name_the_replaced_templates(
    templates: Path, leakaudit: Leakaudit, tmp_path: Path
) -> None:
    write_report(sample_report(), tmp_path / "mine" / "report")
    done = leakaudit("report", "mine", "--templates", "theirs", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "mine/report/report.html\n")
    assert done.stderr.splitlines()[-1] == f"leakaudit: mine/report/report.html: {TOLD}"
    checked = leakaudit("verify", "mine/report", cwd=tmp_path)
    assert TOLD in checked.stdout.splitlines()
    plain = leakaudit("report", "mine", cwd=tmp_path)
    assert "replaced templates" not in plain.stderr
    assert "replaced" not in leakaudit("verify", "mine/report", cwd=tmp_path).stdout


def test_a_shared_report_says_so_in_its_folder_and_in_that_of_its_run(
    templates: Path, leakaudit: Leakaudit, tmp_path: Path
) -> None:
    run = tmp_path / "mine"
    write_report(sample_report(), run / "report")
    (run / "cells").mkdir()
    given = ("--profile", "share", "--templates", "theirs")
    done = leakaudit("report", "mine", *given, cwd=tmp_path)
    assert f"leakaudit: mine/share/report.html: {TOLD}" in done.stderr.splitlines()
    assert TOLD in leakaudit("verify", "mine/share", cwd=tmp_path).stdout.splitlines()
    assert f"share: {TOLD}" in leakaudit("verify", "mine", cwd=tmp_path).stdout.splitlines()


def test_names_in_a_manifest_are_inert(leakaudit: Leakaudit, tmp_path: Path) -> None:
    write_report(sample_report(), tmp_path / "mailed")
    found = read_manifest(tmp_path / "mailed")
    assert found is not None
    hostile = {"x\n\x1b[2Jwhole: 5 files\u202e": "0" * 64}
    changed: ReportManifest = found.model_copy(update={"templates": hostile})
    (tmp_path / "mailed" / "manifest.json").write_bytes(changed.to_bytes())
    (line,) = (
        one
        for one in leakaudit("verify", "mailed", cwd=tmp_path).stdout.splitlines()
        if "replaced" in one
    )
    assert line.endswith("templates: 'x[U+000A][U+001B][U+005B]2Jwhole: 5 files[U+202E]'")
