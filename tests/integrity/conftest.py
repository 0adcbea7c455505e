"""A run folder with a report and results, made by what makes real ones; nothing is trained."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from leakaudit.audit.storage.run_folder import RunStore
from leakaudit.records import ReportRecord
from leakaudit.report import write_report
from tests.report.sample import sample_report


def small_report() -> ReportRecord:
    """Two trainings and two cells, each with a result in the run folder."""
    whole = sample_report()
    return sample_report(targets=whole.targets[:2], cells=whole.cells[:2], references=())


@pytest.fixture(scope="session")
def written_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run; copy it."""
    store = RunStore(tmp_path_factory.mktemp("runs") / "sample")
    store.prepare()
    record = small_report()
    (store.root / "audit.yaml").write_text("name: sample\n")
    with store.locked():
        store.log("run", jobs=4)
        for target in record.targets:
            with store.commit("targets", target.target) as folder:
                (folder / "target.json").write_text(target.model_dump_json())
                (folder / "weights.safetensors").write_bytes(bytes(range(256)))
        for cell in record.cells:
            with store.commit("cells", cell.cell) as folder:
                (folder / "cell.json").write_text(cell.model_dump_json())
        write_report(record, store.report, run=store.vouched(record))
    return store.root


@pytest.fixture
def run(written_run: Path, tmp_path: Path) -> Path:
    """A run folder of one's own."""
    folder = tmp_path / "sample"
    shutil.copytree(written_run, folder)
    return folder
