"""Where an audit comes from and where its run goes, the same for every command."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from leakaudit.audit_file import parse_audit, read_audit, read_policy
from leakaudit.cli.embedded import quick_audit_text
from leakaudit.config import AuditConfig

AuditFile = Annotated[
    Path | None, typer.Argument(help="Audit file (YAML). Without one: the embedded quick audit.")
]
DataFolder = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="FOLDER",
        help="Patients to use instead of the audit file's. LEAKAUDIT_DATA does so where these are "
        "of kind folder.",
    ),
]
RunsFolder = Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where runs are kept.")]
DEFAULT_RUNS = Path("runs")
Cached = Annotated[
    bool,
    typer.Option(
        "--cache/--no-cache",
        help="Keep prepared patients in OUT/.cache, readable by you alone, and use what is there.",
    ),
]


def read_config(audit: Path | None, data: str | None, policy: Path | None = None) -> AuditConfig:
    """The audit a command was given.

    Raises:
        ConfigError: with file, line and nearest valid name.
    """
    judged_by = read_policy(policy) if policy is not None else None
    if audit is None:
        text = quick_audit_text().encode()
        return parse_audit(
            text, "the embedded audit", folder=Path.cwd(), data=data, policy=judged_by
        )
    usual = os.environ.get("LEAKAUDIT_DATA")
    return read_audit(audit, data=data, usual_data=usual, policy=judged_by)


def cache_folder(out: Path, *, is_wanted: bool = True) -> Path | None:
    """Where prepared patients are kept between runs; None if they are not."""
    return out / ".cache" if is_wanted else None
