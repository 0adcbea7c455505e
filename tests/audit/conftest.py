"""Starting, killing and comparing whole runs."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


def values_of(tree: Any, place: str) -> Iterator[tuple[str, object]]:
    """Each value of a tree of records with its place, but for those under a key ``volatile``."""
    if isinstance(tree, (dict, list)) and tree:
        pairs = tree.items() if isinstance(tree, dict) else enumerate(tree)
        for key, value in pairs:
            if key != "volatile":
                yield from values_of(value, f"{place}/{key}")
    else:
        yield place, tree


@pytest.fixture(scope="session")
def rows_of() -> Callable[[Path], list[dict[str, str]]]:
    """The rows of a run's cells.csv but for times."""

    def read(run: Path) -> list[dict[str, str]]:
        with (run / "report" / "cells.csv").open(newline="") as file:
            return [
                {k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)
            ]

    return read


@pytest.fixture(scope="session")
def result_of(
    rows_of: Callable[[Path], list[dict[str, str]]],
) -> Callable[[Path], dict[str, object]]:
    """What two equal runs agree on: report.json and cells.csv, place by place, but for times."""

    def read(run: Path) -> dict[str, object]:
        record = json.loads((run / "report" / "report.json").read_text())
        return dict([*values_of(record, "report"), *values_of(rows_of(run), "cells")])

    return read


@pytest.fixture
def copied(finished_run: Path, tmp_path: Path) -> Path:
    """A copy of the finished run's folder, to be damaged."""
    folder = tmp_path / "copied"
    shutil.copytree(finished_run, folder)
    return folder


@pytest.fixture(scope="session")
def stamps() -> Callable[[Path], dict[str, int]]:
    """When each finished result of a run was written."""

    def read(run: Path) -> dict[str, int]:
        found = run.glob("[ct]*/[!.]*/manifest.json")
        return {path.parent.name: path.stat().st_mtime_ns for path in found}

    return read


@pytest.fixture
def killed_run(
    environment: dict[str, str], program: Path
) -> Callable[[Path, Callable[[Path], bool]], None]:
    """Start ``leakaudit run tiny.yaml`` in a folder; kill -9 it once its run folder is ready."""

    def start(folder: Path, ready: Callable[[Path], bool]) -> None:
        process = subprocess.Popen(
            [program, "run", "tiny.yaml"],
            cwd=folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + 120
        while not ready(folder / "runs" / "tiny"):
            assert process.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() < until
            time.sleep(0.002)
        process.kill()
        process.wait()
        assert not (folder / "runs" / "tiny" / "report" / "report.json").exists()

    return start
