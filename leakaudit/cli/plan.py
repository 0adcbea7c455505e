"""`leakaudit plan`: what a run would do, without training anything."""

from __future__ import annotations

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
    print(
        f"patients: {len(made.cohort.patients)} ({made.cohort.name}): {len(splits.train)} train, "
        f"{len(splits.validation)} validation, {len(splits.auxiliary)} auxiliary, "
        f"{len(splits.victims)} victims"
    )
    print(f"\ntrainings: {len(matrix.targets)}")
    for target in matrix.targets:
        print(f"  {target.label}{' (positive control)' if target.control_only else ''}")
    print(f"\ncells: {len(matrix.cells)}")
    for cell in matrix.cells:
        kind = " (positive control)" if cell.control_only else ""
        if cell.missing:
            kind = f" (unsupported: {cell.threat.name} lacks {', '.join(sorted(cell.missing))})"
        print(f"  {cell.label} under {cell.threat.name}{kind}")
    minutes = estimate_minutes(made)
    print(
        f"\nestimate: about {minutes:.0f} minutes, from one training step and one release timed "
        "here; attacks are estimated by their iterations"
    )
    return 0
