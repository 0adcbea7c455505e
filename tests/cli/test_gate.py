"""A real run judged by three policies: exit code, report.json, page and junit.xml agree."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from jsonschema import Draft202012Validator

from leakaudit.report.files.schema import report_schema

pytestmark = pytest.mark.slow

Leakaudit = Callable[..., subprocess.CompletedProcess[str]]
POLICY = """
owner: Data protection officer
date: 2026-01-31
n_min: {n_min}
thresholds:
- ssim: {ssim}
  rationale: a reason
required: [activation-inversion]
"""


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "copied"
    shutil.copytree(finished_run / "runs" / "tiny", folder)
    return folder


@pytest.mark.parametrize(
    ("values", "outcome", "code"),
    [
        ({"ssim": 0.999, "n_min": 1}, "PASS", 0),
        ({"ssim": 0.01, "n_min": 1}, "FAIL", 1),
        ({"ssim": 0.999, "n_min": 1000}, "INCONCLUSIVE", 3),
    ],
)
def test_everything_that_states_the_verdict_states_the_same(
    leakaudit: Leakaudit, run: Path, values: dict[str, float], outcome: str, code: int
) -> None:
    policy = run.parent / "policy.yaml"
    policy.write_text(POLICY.format(**values))
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    asked = leakaudit("gate", run, "--policy", policy, cwd=run.parent)
    assert (asked.returncode, asked.stdout.partition(":")[0]) == (code, outcome)
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    rendered = leakaudit("report", run, "--policy", policy, cwd=run.parent)
    assert rendered.returncode == 0, rendered.stderr
    assert rendered.stdout.startswith(f"{outcome}: ")
    done = leakaudit("gate", run, cwd=run.parent, COLUMNS="80")
    assert done.returncode == code, done.stderr
    assert done.stdout.startswith(f"{outcome}: ")
    assert max(map(len, done.stdout.splitlines())) <= 80
    report = run / "report"
    record = json.loads((report / "report.json").read_text())
    Draft202012Validator(report_schema()).validate(record)
    assert record["verdict"]["outcome"] == outcome
    assert record["verdict"]["exit_code"] == code
    assert record["audit"]["policy"] is None  # the audit's own
    assert record["verdict"]["policy"]["thresholds"][0]["n_min"] == values["n_min"]
    assert (record["verdict"]["judged_again"], record["verdict"]["own"]) == (True, None)
    page = (report / "report.html").read_text()
    assert f"<strong>{outcome}</strong>" in page
    (verdict,) = ElementTree.parse(report / "junit.xml").findall(".//testcase[@name='verdict']")
    assert (len(verdict) == 0) is (outcome == "PASS")


def test_a_run_is_judged_by_its_own_policy(
    leakaudit: Leakaudit, finished_run: Path, run: Path
) -> None:
    policy = run.parent / "policy.yaml"
    policy.write_text(POLICY.format(ssim=0.01, n_min=1))
    out = run.parent / "runs"
    shutil.copytree(finished_run / "runs", out)
    audit = finished_run / "tiny.yaml"
    done = leakaudit("run", audit, "--policy", policy, "--out", out, cwd=run.parent)
    assert done.returncode == 1, done.stderr
    assert "FAIL: a measured figure exceeds a limit" in done.stdout
    assert leakaudit("gate", out / "tiny", cwd=run.parent).returncode == 1
    other = run.parent / "other.yaml"
    other.write_text(POLICY.format(ssim=0.999, n_min=1))
    report = out / "tiny" / "report"

    def judged(by: Path) -> tuple[dict[str, Any], str, str]:
        assert leakaudit("report", out / "tiny", "--policy", by, cwd=run.parent).returncode == 0
        record = json.loads((report / "report.json").read_text())
        assert record["audit"]["policy"]["thresholds"][0]["max"] == 0.01
        junit = (report / "junit.xml").read_text()
        return record["verdict"], (report / "report.html").read_text(), junit

    first = json.loads((report / "report.json").read_text())["verdict"]
    verdict, page, junit = judged(other)
    assert (verdict["outcome"], verdict["judged_again"], verdict["own"]) == ("PASS", True, "FAIL")
    assert page.count("Under the audit&#39;s own policy the verdict is FAIL.") == 3
    assert '<property name="verdict_by_own_policy" value="FAIL" />' in junit
    told = leakaudit("gate", out / "tiny", cwd=run.parent)
    assert told.returncode == 0
    assert "own policy the verdict is FAIL" in " ".join(told.stdout.split())
    assert f"--policy {out / 'tiny' / 'audit.yaml'}` judges the report" in " ".join(
        told.stdout.split()
    )
    shared = leakaudit("report", out / "tiny", "--profile", "share", cwd=run.parent)
    assert shared.returncode == 0, shared.stderr
    handed_on = json.loads((out / "tiny" / "share" / "report.json").read_text())
    assert handed_on["verdict"]["own"] == "FAIL"
    verdict, page, junit = judged(out / "tiny" / "audit.yaml")  # as gate says
    assert verdict == first
    assert (verdict["judged_again"], verdict["own"]) == (False, None)
    assert "Judged again" not in page
    assert "verdict_by_own_policy" not in junit


def test_a_gate_needs_a_policy_that_fits(leakaudit: Leakaudit, run: Path) -> None:
    done = leakaudit("gate", run, cwd=run.parent)
    assert done.returncode == 2
    assert "--policy FILE" in done.stderr
    policy = run.parent / "policy.yaml"
    policy.write_text(POLICY.format(ssim=0.5, n_min=1) + "proposed: [laplace-noise: {scale: 3.0}]")
    refused = leakaudit("report", run, "--policy", policy, cwd=run.parent)
    assert refused.returncode == 2
    assert "not under defenses" in refused.stderr
    assert leakaudit("gate", run, "--policy", policy, cwd=run.parent).stderr == refused.stderr
    assert leakaudit("gate", run / "nowhere", cwd=run.parent).returncode == 4
    shutil.rmtree(run / "report")
    unfinished = leakaudit("gate", run, cwd=run.parent)
    assert unfinished.returncode == 4
    assert "this run has not ended" in unfinished.stderr
