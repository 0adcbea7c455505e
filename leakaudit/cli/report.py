"""`leakaudit report`: write the report of a run again, without running anything."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leakaudit.errors import StoreError
from leakaudit.report import read_report, write_report

RunFolder = Annotated[Path, typer.Argument(help="A run folder, such as runs/quick, or its report.")]


def report(run: RunFolder) -> int:
    """Render report.html and cells.csv of RUN again from its report.json."""
    folder = report_folder(run)
    record = read_report(folder)
    if record.images == "full":
        raise StoreError(
            f"{run}: this report shows images, which report.json does not hold; run the audit "
            "again, which redoes nothing but the report"
        )
    print(write_report(record, folder))
    return 0


def report_folder(run: Path) -> Path:
    """Where the report.json of a run is: named by the run, its report folder or a file in it.

    Raises:
        StoreError: there is none.
    """
    folders = [run.parent] if run.is_file() else [run / "report", run]
    folder = next((one for one in folders if (one / "report.json").is_file()), None)
    if folder is None:
        raise StoreError(f"{run}: no report.json here; give the folder of a run that has ended")
    return folder
