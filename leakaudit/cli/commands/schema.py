"""`leakaudit schema`: the JSON Schema of what leakaudit writes."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from leakaudit.report.files.schema import schema_text

Document = Annotated[Literal["report"], typer.Argument(help="report: of report.json.")]


def schema(document: Document = "report") -> int:
    """Print the JSON Schema (draft 2020-12) of report.json."""
    print(schema_text(), end="")
    return 0
