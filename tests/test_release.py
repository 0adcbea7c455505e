"""The release command, run on a copy of this repository."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NEEDED = ("leakaudit", "attacks", "defenses", "reports", "tests/planted", ".ci", "pyproject.toml")
PAGES = ("README.md", "LICENSE", "CHANGELOG.md")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release") / "checkout"
    folder.mkdir()
    for name in (*NEEDED, *PAGES):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    (folder / ".gitignore").write_text("dist/\n__pycache__/\n")
    changelog = folder / "CHANGELOG.md"
    changelog.write_text(
        changelog.read_text().replace("### Added\n", "### Added\n\n- A line of this test.\n", 1)
    )
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "-c", "user.name=t", "-c", "user.email=t@t.t", "commit", "-qm", "start")
    return folder


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout


def release(folder: Path, version: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ".ci/release.py", version]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("0.2", "three numbers"),
        ("0.0.9", "not later than"),
        ("0.2.0", "has a section 0.2.0 already"),
    ],
)
def test_a_version_that_cannot_be_is_refused(checkout: Path, version: str, reason: str) -> None:
    done = release(checkout, version)
    assert done.returncode == 1
    assert reason in done.stderr
    assert git(checkout, "status", "--porcelain") == ""


def test_a_checkout_with_changes_is_refused(checkout: Path) -> None:
    extra = checkout / "extra.txt"
    extra.write_text("not committed")
    done = release(checkout, "9.0.0")
    extra.unlink()
    assert (done.returncode, "extra.txt" in done.stderr) == (1, True)


@pytest.mark.slow
def test_a_release_moves_the_lines_sets_the_version_and_builds(checkout: Path) -> None:
    done = release(checkout, "9.0.0")
    assert done.returncode == 0, done.stderr
    assert "git tag -a v9.0.0" in done.stdout
    assert sorted(path.name for path in (checkout / "dist").iterdir()) == [
        "leakaudit-9.0.0-py3-none-any.whl",
        "leakaudit-9.0.0.tar.gz",
    ]
    assert git(checkout, "status", "--porcelain").split() == [
        *("M", "CHANGELOG.md", "M", "pyproject.toml")
    ]
    _, unreleased, latest, *_ = re.split(
        r"^## ", (checkout / "CHANGELOG.md").read_text(), flags=re.M
    )
    assert unreleased == "Unreleased\n\n### Added\n\n### Changed\n\n### Fixed\n\n### Removed\n\n"
    assert re.match(r"9\.0\.0 - \d{4}-\d\d-\d\d\n\n### Added\n\n- A line of this test\.\n", latest)
    git(checkout, "checkout", "-q", ".")


def test_the_changelog_has_the_form_of_keep_a_changelog() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    versions = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)
    assert versions[0] == "Unreleased"
    assert all(re.fullmatch(r"\d+\.\d+\.\d+ - \d{4}-\d\d-\d\d", name) for name in versions[1:])
    groups = set(re.findall(r"^### (.+)$", text, flags=re.MULTILINE))
    assert groups <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    number = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), flags=re.M)
    assert number is not None
    assert versions[1].startswith(f"{number[1]} - ")
