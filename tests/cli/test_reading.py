"""Progress of reading on stderr: the first line before anything heavy is loaded."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from leakaudit.cli.printing.reading import ReadingLines, announce


def test_the_first_line_does_not_wait_for_torch(tmp_path: Path) -> None:
    audit = tmp_path / "audit.yaml"
    audit.write_text("data: {kind: folder, path: patients}")
    program = "import sys; from leakaudit.cli import _run; sys.exit(_run())"
    started = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-c", program, "plan", str(audit)],
        stderr=subprocess.PIPE, text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": ""},
    ) as process:  # fmt: skip
        assert process.stderr is not None
        line, waited = process.stderr.readline(), time.monotonic() - started
        process.kill()
    assert line == "leakaudit: loading PyTorch; then patients are read\n"
    # 0.5 s on an idle machine, of which the claim is 2; a busy one takes what it takes.
    assert waited < 20


@pytest.mark.parametrize(
    ("arguments", "is_said"),
    [(["plan", "audit.yaml"], True), (["run", "phantom.yaml"], False), (["run"], False),
     (["run", "phantom.yaml", "--data", "x"], True), (["plan", "--data=x"], True),
     (["plan", "absent.yaml"], False), (["plan", "audit.yaml", "--help"], False),
     (["report", "--data", "x"], False)],
)  # fmt: skip
def test_it_is_said_where_patients_are_read(
    arguments: list[str], is_said: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("audit.yaml").write_text("data: {kind: folder, path: patients}")
    Path("phantom.yaml").write_text("data: {kind: phantom}")
    announce(arguments[0], arguments[1:])
    assert bool(capsys.readouterr().err) is is_said


def test_patients_are_counted_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = iter([0.0, 1.0, 2.0, 3.0, 7.1, 7.2, 12.2])
    monkeypatch.setattr("leakaudit.cli.printing.reading.time.monotonic", lambda: next(now))
    lines = ReadingLines()
    lines("headers", 0, 484)
    lines("masks", 0, 484)
    for done in (0, 1, 36, 37, 483):
        lines("patients", done, 484)
    assert capsys.readouterr().err.splitlines() == [
        "leakaudit: reading the headers of 484 patients",
        "leakaudit: reading the masks of 484 patients",
        "leakaudit: reading patient 1 of 484",
        "leakaudit: reading patient 37 of 484",
        "leakaudit: reading patient 484 of 484",
    ]
