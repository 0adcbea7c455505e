"""`leakaudit table`: a run's worst cases, or all its cells, as a Markdown table."""

from __future__ import annotations

from typing import Annotated

import typer

from leakaudit.cli.arguments import RunFolder, report_folder
from leakaudit.report import cells_table, read_report, worst_table

Cells = Annotated[bool, typer.Option("--cells", help="Every attack, not the worst ones alone.")]


def table(run: RunFolder, cells: Cells = False) -> int:
    """Print what the worst attack on each setting of RUN recovers, as a Markdown table."""
    record = read_report(report_folder(run))
    print(cells_table(record) if cells else worst_table(record), end="")
    return 0
