"""Fixtures that every part of the tests may use."""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.commands import WarmCommands

# Test processes run side by side: a second thread in each makes small networks ten times slower.
torch.set_num_threads(1)

Audit = dict[str, Any]
Leakaudit = Callable[..., subprocess.CompletedProcess[str]]
MadeOnce = Callable[[str, Callable[[Path], None]], Path]


# The files that take longest: a process of xdist that began one of them last would end long after
# the other. Their order here is that of their CPU seconds.
LONGEST = (
    *("planted/test_planted.py", "audit/test_runs.py", "plugins/test_more_observed.py"),
    *("plugins/test_activation_attacks.py", "plugins/test_gradient_attacks.py"),
    *("report/test_figures_browser.py", "report/test_print.py", "audit/test_zscored_patients.py"),
    *("plugins/test_attacks.py", "cli/test_cli.py", "audit/test_executors.py"),
    *("report/test_browser.py", "audit/test_defended_runs.py", "plugins/test_digits.py"),
    *("privacy/test_mechanism.py", "audit/test_isolation.py", "audit/test_folded_runs.py"),
)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import no test file of which every test is left out: importing all takes half a minute."""
    if collection_path.suffix != ".py":
        return None
    text = collection_path.read_text()
    asked = config.option.markexpr
    whole_file_is_slow = re.search(r"^pytestmark = (\[[^\]]*)?pytest\.mark\.slow", text, re.M)
    no_test_is_slow = "pytest.mark.slow" not in text
    if (asked == "not slow" and whole_file_is_slow) or (asked == "slow" and no_test_is_slow):
        return True
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest files first; the order within a file stays."""
    places = {name: place for place, name in enumerate(LONGEST)}

    def place(item: pytest.Item) -> int:
        return places.get("/".join(item.path.parts[-2:]), len(places))

    items.sort(key=place)


@pytest.fixture(scope="session")
def real_patients() -> Path:
    """Folder of the real patients (MSD layout), from LEAKAUDIT_TEST_DATA or beside the checkout.

    They may be read, never copied into the repository (see PROVENANCE.md in that folder).
    """
    named = os.environ.get("LEAKAUDIT_TEST_DATA")
    beside = Path(__file__).resolve().parents[2] / "shared" / "data" / "brats_slabs"
    folder = Path(named) if named else beside
    if not (folder / "dataset.json").is_file():
        pytest.skip(f"no real patients in {folder}; set LEAKAUDIT_TEST_DATA to a folder of them")
    return folder


@pytest.fixture(scope="session")
def tiny_audit() -> Audit:
    """An audit with every kind of cell that runs in seconds; change a copy."""
    return {
        "name": "tiny",
        "data": {"size": 32, "phantom": {"patients": 12, "slices": 2, "seed": 0}},
        "target": {
            "cut_level": 0,
            "features": [8, 8, 8, 16, 16, 8],
            "training": {"epochs": 8, "batch_size": 8, "learning_rate": 0.002},
        },
        "defenses": [{"gaussian-noise": {"std": 1.0}}],
        "attacks": [
            {"activation-inversion": {"iterations": 10}},
            {"decoder-inversion": {"steps": 5, "width": 8}},
            {"gradient-inversion": {"iterations": 2}},
        ],
        "threats": {
            "curious-server": ["activation-inversion", "decoder-inversion"],
            "curious-server-with-encoder": ["activation-inversion"],
            "aggregator": ["gradient-inversion"],
        },
        "budgets": {"workers": 1},
    }


@pytest.fixture(scope="session")
def write_audit() -> Callable[[Path, Audit], Path]:
    """Write an audit file; JSON is YAML."""

    def write(path: Path, audit: Audit) -> Path:
        path.write_text(json.dumps(audit, indent=1))
        return path

    return write


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """What a `leakaudit` of the tests inherits: no terminal of ours, no data of ours."""
    kept = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")}
    kept.pop("LEAKAUDIT_DATA", None)
    return kept


@pytest.fixture(scope="session")
def program() -> Path:
    """The installed command."""
    return Path(sys.executable).parent / "leakaudit"


@pytest.fixture(scope="session")
def leakaudit(environment: dict[str, str], program: Path) -> Iterator[Leakaudit]:
    """Run the installed command: ``leakaudit("plan", file, cwd=folder, COLUMNS="80")``."""
    commands = WarmCommands(program)

    def run(*arguments: str | Path, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
        return commands.run(arguments, cwd=cwd, environment={**environment, **more})

    yield run
    commands.close()


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> MadeOnce:
    """Fill a folder once for all test processes: ``made_once(name, fill)``; copy what it holds."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def folder_of(name: str, fill: Callable[[Path], None]) -> Path:
        folder = shared / name
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / "made").exists():
                folder.mkdir()
                fill(folder)
                (folder / "made").touch()
        return folder

    return folder_of


@pytest.fixture(scope="session")
def finished_run(
    made_once: MadeOnce,
    tiny_audit: Audit,
    write_audit: Callable[[Path, Audit], Path],
    leakaudit: Leakaudit,
) -> Path:
    """A folder with ``tiny.yaml``, its run under ``runs/tiny``, and what it printed; copy it."""

    def fill(folder: Path) -> None:
        write_audit(folder / "tiny.yaml", tiny_audit)
        done = leakaudit("run", "tiny.yaml", cwd=folder)
        assert done.returncode == 0, done.stderr
        (folder / "stdout.txt").write_text(done.stdout)
        (folder / "stderr.txt").write_text(done.stderr)

    return made_once("finished", fill)
