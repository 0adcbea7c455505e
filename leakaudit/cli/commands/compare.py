"""`leakaudit compare`: what changed between two audits of the same system."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from leakaudit.cli.arguments import report_folder
from leakaudit.cli.printing.messages import say
from leakaudit.comparison import caveat_sentences, compare_reports, comparison_text
from leakaudit.errors import ExitCode, UsageError
from leakaudit.records import ReportRecord
from leakaudit.report import read_report

First = Annotated[
    Path,
    typer.Argument(metavar="A", help="The earlier audit: a run folder, report or report.json."),
]
Second = Annotated[Path, typer.Argument(metavar="B", help="The later audit, likewise.")]
Json = Annotated[bool, typer.Option("--json", help="Print a machine-readable document.")]
Changes = Annotated[
    bool, typer.Option("--changes", help="Leave out the rows that show no difference.")
]
FailIfWorse = Annotated[
    bool,
    typer.Option(
        "--fail-if-worse",
        help="Exit 1 if some leakage is shown to be higher or some Dice lower, also by a "
        "defense that was changed; else 3 if a figure of A has none beside it in B.",
    ),
]


def compare(
    a: First,
    b: Second,
    as_json: Json = False,
    changes: Changes = False,
    fail_if_worse: FailIfWorse = False,
) -> int:
    """Print what changed from audit A to audit B: Dice of each setting, leakage of each cell."""
    found = compare_reports(_read(a), _read(b))
    if as_json:
        for caveat in caveat_sentences(found):
            say(f"warning: {caveat}")
        record = found.model_dump(mode="json")
        print(json.dumps(record, sort_keys=True, indent=1, allow_nan=False))
    else:
        print(comparison_text(found, (str(a), str(b)), only_changes=changes), end="")
    if fail_if_worse and found.is_worse:
        return ExitCode.FOUND
    return ExitCode.UNDECIDED if fail_if_worse and found.is_incomplete else ExitCode.DONE


def _read(place: Path) -> ReportRecord:
    if place.is_file() and place.name != "report.json":
        raise UsageError(
            f"{place}: expected a run folder, a report folder or a report.json, got another file; "
            "put it into a folder of its own as report.json"
        )
    return read_report(report_folder(place))
