"""Arguments of commands that read a finished run; nothing here waits for torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leakaudit.audit.storage.run_folder import AUDIT_FILE
from leakaudit.errors import StoreError

RunFolder = Annotated[
    Path,
    typer.Argument(metavar="RUN", help="A run folder, such as runs/quick, or its report."),
]
PolicyFile = Annotated[
    Path | None,
    typer.Option(
        "--policy",
        metavar="FILE",
        help="Policy to judge by, instead of the audit file's; another audit file's, too.",
    ),
]

TemplatesFolder = Annotated[
    Path | None,
    typer.Option("--templates", metavar="FOLDER", help="Templates that come before the program's."),
]


def report_folder(run: Path) -> Path:
    """Where the report.json of a run is: named by the run, its report folder or a file in it.

    Raises:
        StoreError: there is none.
    """
    folders = [run.parent] if run.is_file() else [run / "report", run]
    folder = next((one for one in folders if (one / "report.json").is_file()), None)
    written = any((run / "report").glob("*"))
    if folder is None and not written and (run / AUDIT_FILE).is_file():
        raise StoreError(
            f"{run}: this run has not ended, so there is no report yet; `leakaudit run` with its "
            "audit file goes on"
        )
    if folder is None:
        raise StoreError(f"{run}: no report.json here; give the folder of a run that has ended")
    return folder
