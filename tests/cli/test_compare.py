"""`leakaudit compare`: what it reads, prints and exits with."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from leakaudit.cli.commands.compare import compare
from leakaudit.errors import StoreError, UsageError
from leakaudit.records import ReportRecord
from leakaudit.report import write_report
from tests.comparison.changed import IDENTITY, NOISE, NOISY, RISE, failed, moved, one_cell, write
from tests.configured import a_defense
from tests.report.sample import sample_report

Leakaudit = Callable[..., subprocess.CompletedProcess[str]]

SAMPLE = sample_report()


def noised(defense: str, by: Sequence[float]) -> ReportRecord:
    """The sample whose noise is another defense, and recovered from better or worse."""
    found = moved(NOISE, by)
    targets = tuple(
        one.model_copy(update={"defense": a_defense(defense)})
        if one.target == "target-1-1"
        else one
        for one in found.targets
    )
    return found.model_copy(update={"targets": targets})


WEAKER = noised("GaussianNoise(std=0.5)", RISE)
STRONGER = noised("GaussianNoise(std=2.0)", [-one for one in RISE])
WORSE_AND_LOST = moved(IDENTITY, RISE).model_copy(
    update={
        "cells": tuple(
            one.model_copy(update=failed()) if one.cell == "cell-1-1-decoder-inversion" else one
            for one in moved(IDENTITY, RISE).cells
        )
    }
)


def numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [one for each in value.values() for one in numbers(each)]
    if isinstance(value, list):
        return [one for each in value for one in numbers(each)]
    return [value] if isinstance(value, float) else []


@pytest.mark.parametrize(
    ("a", "b", "plain", "gated"),
    [
        (SAMPLE, SAMPLE, 0, 0),
        (SAMPLE, moved(IDENTITY, NOISY), 0, 0),
        (SAMPLE, moved(IDENTITY, RISE), 0, 1),
        (moved(IDENTITY, RISE), SAMPLE, 0, 0),
        (SAMPLE, one_cell(IDENTITY, **failed()), 0, 3),
        (one_cell(IDENTITY, **failed()), SAMPLE, 0, 0),
        (one_cell(IDENTITY, **failed()), one_cell(IDENTITY, **failed()), 0, 0),
        (SAMPLE, one_cell(IDENTITY, releases=7), 0, 3),
        (SAMPLE, WORSE_AND_LOST, 0, 1),
        (SAMPLE, WEAKER, 0, 1),
        (SAMPLE, STRONGER, 0, 0),
        (SAMPLE, noised("LaplaceNoise(scale=2.0)", [0.0] * 5), 0, 3),
    ],
    ids=[
        *("equal", "not-shown", "worse", "better", "lost", "gained", "silent", "dropped", "both"),
        *("weaker-defense", "stronger-defense", "other-defense"),
    ],
)
def test_it_exits_with_what_was_asked_for(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    a: ReportRecord,
    b: ReportRecord,
    plain: int,
    gated: int,
) -> None:
    first, second = write(a, tmp_path / "a"), write(b, tmp_path / "b")
    assert compare(first, second) == plain
    assert compare(first, second, fail_if_worse=True) == gated
    assert "runs" not in capsys.readouterr().out


def test_the_document_has_what_was_changed_and_what_has_no_counterpart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = write(SAMPLE, tmp_path / "a")
    compare(first, write(WEAKER, tmp_path / "b"), as_json=True)
    (row,) = [one for one in json.loads(capsys.readouterr().out)["settings"] if one["changes"]]
    assert row["changes"] == [
        {"kind": "changed-defense", "field": "GaussianNoise std", "a": "1.0", "b": "0.5"}
    ]
    compare(first, write(noised("Other(x=1)", [0.0] * 5), tmp_path / "c"), as_json=True)
    document = json.loads(capsys.readouterr().out)
    (mine,), (theirs,) = document["settings_only_in_a"], document["settings_only_in_b"]
    assert mine["dice"] == theirs["dice"]
    assert mine["dice"]["mean"] == pytest.approx(0.694)
    assert [one["measure"] for one in theirs["strongest"]] == ["ssim_brain"]
    assert theirs["strongest"][0]["score"]["mean"] == pytest.approx(0.781)


def test_the_document_is_finite_and_says_what_the_text_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = write(SAMPLE, tmp_path / "a"), write(WORSE_AND_LOST, tmp_path / "b")
    assert compare(first, second, as_json=True) == 0
    printed = capsys.readouterr()

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    document = json.loads(printed.out, parse_constant=refuse)
    assert all(abs(one) < 1e6 for one in numbers(document))
    assert document["counts"]["worse"] == {"settings": 0, "cells": 1}
    assert document["counts"]["figure-lost"] == {"settings": 0, "cells": 1}
    (lost,) = [one for one in document["cells"] if one["outcome"] == "figure-lost"]
    assert lost["figures"] == []
    assert lost["reidentification"] is None
    assert (lost["state_a"], lost["state_b"]) == ("ok", "failed")
    assert "volatile" not in printed.out
    assert compare(first, second, as_json=True) == 0
    assert capsys.readouterr().out == printed.out


def test_warnings_stand_in_the_text_or_beside_the_document(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    newer = sample_report(versions={**SAMPLE.versions, "torch": "2.10.0\x1b[2J"})
    first, second = write(SAMPLE, tmp_path / "a"), write(newer, tmp_path / "b")
    compare(first, second)
    printed = capsys.readouterr()
    told = "another version: torch, 2.9.0 -> 2.10.0[U+001B][2J"
    assert printed.err == ""
    assert printed.out.splitlines().count(f"- {told}") == 1
    compare(first, second, as_json=True)
    printed = capsys.readouterr()
    assert printed.err == f"leakaudit: warning: {told}\n"
    assert json.loads(printed.out)["caveats"][0]["change"]["field"] == "torch"


def test_a_run_a_report_folder_and_its_file_are_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    write_report(SAMPLE, run / "report")
    places = [run, run / "report", run / "report" / "report.json"]
    for place in places:
        assert compare(run, place) == 0
        assert "No difference" in capsys.readouterr().out


def test_another_file_is_not_taken_for_the_report_beside_it(tmp_path: Path) -> None:
    folder = write(SAMPLE, tmp_path / "a")
    other = folder / "old.json"
    other.write_text("{}")
    with pytest.raises(UsageError, match=r"old\.json: expected a run folder"):
        compare(folder, other)
    with pytest.raises(StoreError, match=r"no report\.json here"):
        compare(folder, tmp_path / "nowhere")


@pytest.mark.slow
def test_the_command_compares_two_reports(leakaudit: Leakaudit, tmp_path: Path) -> None:
    write_report(SAMPLE, tmp_path / "a" / "report")
    write_report(WORSE_AND_LOST, tmp_path / "b" / "report")
    done = leakaudit("compare", "a", "b", cwd=tmp_path, COLUMNS="80")
    assert done.returncode == 0
    assert "1 cell of the same key" in " ".join(done.stdout.split())
    assert done.stderr == ""
    assert "Worse: of" in done.stdout
    assert max(map(len, (done.stdout + done.stderr).splitlines())) <= 80
    assert "\x1b" not in done.stdout
    gated = leakaudit("compare", "--fail-if-worse", "a", "b", cwd=tmp_path)
    assert gated.returncode == 1
    assert gated.stdout == done.stdout
    assert leakaudit("compare", "--fail-if-worse", "b", "a", cwd=tmp_path).returncode == 0
    document = leakaudit("compare", "a", "b", "--json", cwd=tmp_path)
    assert json.loads(document.stdout)["counts"]["worse"]["cells"] == 1
    assert "1 cell of the same key" in " ".join(document.stderr.split())


@pytest.mark.slow
def test_the_command_refuses_other_patients_in_one_line(
    leakaudit: Leakaudit, tmp_path: Path
) -> None:
    other = SAMPLE.data.model_copy(update={"fingerprint": "evil\x1b[2J\n\N{RIGHT-TO-LEFT MARK}"})
    write(SAMPLE, tmp_path / "a")
    write(sample_report(data=other), tmp_path / "b")
    done = leakaudit("compare", "a", "b", "--json", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.strip().isprintable()
    assert "data.fingerprint (5a3b" in done.stderr
    assert "evil" in done.stderr
    helped = leakaudit("compare", "--help", cwd=tmp_path, COLUMNS="80")
    assert "--fail-if-worse" in helped.stdout
    assert max(map(len, helped.stdout.splitlines())) <= 80


def test_it_waits_for_no_torch() -> None:
    code = (
        "import sys, leakaudit.cli.commands.compare; "
        "print([m for m in ('torch', 'monai', 'nilearn', 'skimage') if m in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert loaded.stdout == "[]\n", loaded.stderr
