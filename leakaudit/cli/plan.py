"""`leakaudit plan`: what a run would do, without training anything."""

from __future__ import annotations

import shutil
import textwrap

from leakaudit.audit.estimate import estimate_minutes
from leakaudit.audit.runner import plan_audit
from leakaudit.cli.sources import (
    DEFAULT_RUNS,
    AuditFile,
    DataFolder,
    RunsFolder,
    cache_folder,
    read_config,
)


def plan(audit: AuditFile = None, data: DataFolder = None, out: RunsFolder = DEFAULT_RUNS) -> int:
    """Show the patients, trainings, cells and controls of an audit, and a rough estimate."""
    made = plan_audit(read_config(audit, data), cache=cache_folder(out))
    splits, matrix = made.splits, made.matrix
    _print(
        f"patients: {len(made.cohort.patients)} ({made.cohort.name}): {len(splits.train)} train, "
        f"{len(splits.validation)} validation, {len(splits.auxiliary)} auxiliary, "
        f"{len(splits.victims)} victims"
    )
    _print(f"\ntrainings: {len(matrix.targets)}")
    for target in matrix.targets:
        _print(f"  {target.label}{' (positive control)' if target.control_only else ''}")
    _print(f"\ncells: {len(matrix.cells)}")
    for cell in matrix.cells:
        kind = " (positive control)" if cell.control_only else ""
        if cell.missing:
            kind = f" (unsupported: {cell.threat.name} lacks {', '.join(sorted(cell.missing))})"
        _print(f"  {cell.label} under {cell.threat.name}{kind}")
    minutes = estimate_minutes(made)
    about = "less than a minute" if minutes < 1 else f"about {minutes:.0f} minutes"
    _print(
        f"\nestimate: {about}, from one training step and one release timed here; attacks are "
        "estimated by their iterations"
    )
    return 0


def _print(text: str) -> None:
    """Print a line, broken at the terminal's width; what follows a break stands further in."""
    width = shutil.get_terminal_size((100, 24)).columns
    body = text.lstrip("\n")
    indent = body[: len(body) - len(body.lstrip())]
    lines = textwrap.wrap(
        body, max(20, width), subsequent_indent=indent + "    ", break_on_hyphens=False
    )
    print("\n" * (len(text) - len(body)) + "\n".join(lines))
