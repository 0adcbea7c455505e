"""`leakaudit table`: a run's worst cases as a Markdown table."""

from __future__ import annotations

from leakaudit.cli.report import RunFolder, report_folder
from leakaudit.report import read_report, worst_table


def table(run: RunFolder) -> int:
    """Print what the worst attack on each setting of RUN recovers, as a Markdown table."""
    print(worst_table(read_report(report_folder(run))), end="")
    return 0
