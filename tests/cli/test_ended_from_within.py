"""A plug-in that ends the program: a real distribution, and the installed command."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow  # every test starts whole processes

Leakaudit = Callable[..., subprocess.CompletedProcess[str]]
QUITS = '''
import sys
from dataclasses import dataclass

from leakaudit.api import Defense

{at_import}

@dataclass(frozen=True, kw_only=True)
class Quits(Defense):
    """End the program."""

    def __post_init__(self):
        {when_made}

    def draw(self, levels, generator):
        return ()

    def apply(self, levels, drawn):
        return levels
'''


@pytest.fixture
def installed(tmp_path: Path) -> Callable[..., str]:
    """Install a defense ``quits``; what PYTHONPATH must be to find it."""

    def install(at_import: str = "", when_made: str = "pass") -> str:
        packages = tmp_path / "packages"
        information = packages / "quits-1.0.dist-info"
        information.mkdir(parents=True)
        (information / "METADATA").write_text("Metadata-Version: 2.1\nName: quits\nVersion: 1.0\n")
        (information / "entry_points.txt").write_text("[leakaudit.defenses]\nquits = quits:Quits\n")
        code = QUITS.format(at_import=at_import, when_made=when_made)
        (packages / "quits.py").write_text(code)
        return str(packages)

    return install


@pytest.fixture
def audit(
    tmp_path: Path, tiny_audit: dict[str, Any], write_audit: Callable[[Path, dict[str, Any]], Path]
) -> Path:
    """An audit of the defense."""
    return write_audit(tmp_path / "mine.yaml", {**tiny_audit, "defenses": ["quits"]})


@pytest.mark.parametrize("code", ["0", "None", "1", "3", "'PASS\\x1b[2J'"])
@pytest.mark.parametrize("where", ["at_import", "when_made"])
def test_a_plug_in_that_ends_the_program_is_an_internal_error(
    installed: Callable[..., str], audit: Path, leakaudit: Leakaudit, where: str, code: str
) -> None:
    path = installed(**{where: f"sys.exit({code})"})
    done = leakaudit("run", audit, cwd=audit.parent, PYTHONPATH=path)
    assert (done.returncode, done.stdout) == (70, "")
    told = done.stderr.splitlines()[-1]
    assert told.startswith("leakaudit: internal error: a plug-in or a library tried to end the")
    assert "SystemExit(" in told
    assert "packages/quits.py" in done.stderr  # who it was
    assert not (audit.parent / "runs").exists()


def test_it_ends_no_other_command_either(
    installed: Callable[..., str], audit: Path, leakaudit: Leakaudit
) -> None:
    path = installed(at_import="raise SystemExit(0)")
    for command in (("plan", audit), ("list", "defenses"), ("show", "quits")):
        assert leakaudit(*command, cwd=audit.parent, PYTHONPATH=path).returncode == 70


def test_the_program_keeps_its_own_codes_beside_such_a_plug_in(
    installed: Callable[..., str], audit: Path, leakaudit: Leakaudit, program: Path
) -> None:
    path = installed(at_import="raise SystemExit(0)")
    for arguments, code in (
        (("--version",), 0),
        (("--help",), 0),
        (("run", "--help"), 0),
        (("dp", "--help"), 0),
        ((), 2),
        (("run", "--nothing-like-it"), 2),
        (("run", "missing.yaml"), 2),
        (("verify", "nowhere"), 4),
        (("list", "threats"), 0),
    ):
        done = leakaudit(*arguments, cwd=audit.parent, PYTHONPATH=path)
        assert (done.returncode, "SystemExit" in done.stderr) == (code, False), done.stderr
