"""Messages on stderr: broken on a terminal, and nothing in them that someone may want to copy."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.cli.terminal import on_terminal

pytestmark = pytest.mark.slow  # every test starts whole processes

LONG = "a" * 90


def on_a_terminal(
    program: Path,
    environment: dict[str, str],
    *arguments: str,
    cwd: Path,
    columns: int,
    **more: str,
) -> list[str]:
    """Lines that a command shows on a terminal of that many columns; stdout is none."""
    code, stdout, shown = on_terminal([program, *arguments], columns, {**environment, **more}, cwd)
    assert code
    assert stdout == b""
    return shown.splitlines()


@pytest.mark.parametrize(
    ("columns", "more", "width"),
    [(80, {}, 80), (120, {}, 120), (0, {}, 80), (120, {"COLUMNS": "60"}, 60)],
    ids=["80", "120", "unknown", "COLUMNS"],
)
def test_an_error_fits_the_terminal_and_is_one_line_elsewhere(
    program: Path,
    environment: dict[str, str],
    tmp_path: Path,
    columns: int,
    more: dict[str, str],
    width: int,
) -> None:
    asked = ("report", "r", "--profile", "share", "--policy", "p.yaml")
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "report.json").touch()
    seen = on_a_terminal(program, environment, *asked, cwd=tmp_path, columns=columns, **more)
    assert len(seen) > 1
    assert max(map(len, seen)) <= width
    assert seen[0].startswith("leakaudit: ")
    assert all(line.startswith("    ") and line[4] != " " for line in seen[1:])
    # Commands are copied as they are.
    assert any("`leakaudit report r --policy p.yaml`" in line for line in seen)
    piped = subprocess.run(
        [program, *asked], cwd=tmp_path, env={**environment, **more}, capture_output=True, text=True
    )
    assert piped.stderr.count("\n") == 1
    assert piped.stderr.split() == " ".join(seen).split()


@pytest.mark.parametrize("name", [LONG, f"{LONG[:30]}-{LONG[:30]}/{LONG[:60]}"])
def test_a_path_is_never_broken(
    program: Path, environment: dict[str, str], tmp_path: Path, name: str
) -> None:
    seen = on_a_terminal(program, environment, "report", name, cwd=tmp_path, columns=80)
    assert any(f"{name}:" in line.split() for line in seen)
    assert [line for line in seen if name not in line and len(line) > 80] == []


def test_a_path_with_spaces_is_not_broken_either(
    program: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    name = "a study of the whole department/in the year of the move/the third and last run"
    (tmp_path / name).mkdir(parents=True)
    seen = on_a_terminal(program, environment, "report", name, cwd=tmp_path, columns=80)
    assert any(f"{name}:" in line for line in seen)
    assert max(len(line) for line in seen if name not in line) <= 80


def test_a_hostile_name_stays_inert_on_a_terminal(
    program: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    name = "x\x1b[2J\nwhole: 5 files\u202e'`" + " y" * 60
    seen = on_a_terminal(program, environment, "report", name, cwd=tmp_path, columns=80)
    assert all(line.isprintable() for line in seen)
    assert not [line for line in seen if line.startswith("whole")]
    assert max(map(len, seen)) <= 80
