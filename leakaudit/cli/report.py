"""`leakaudit report`: write the report of a run again, without running anything."""

from __future__ import annotations

import sys
from pathlib import Path

from leakaudit.cli.arguments import PolicyFile, RunFolder, report_folder
from leakaudit.cli.gate import print_verdict
from leakaudit.records import ReportRecord
from leakaudit.report import read_gallery, read_manifest, read_report, write_report


def report(run: RunFolder, policy: PolicyFile = None) -> int:
    """Render the report of RUN again, pictures too, judged by another policy if given."""
    folder = report_folder(run)
    record = read_report(folder)
    manifest = read_manifest(folder)
    gallery = read_gallery(folder) if record.images != "none" else None
    if record.images != "none" and gallery is None:
        print(
            f"leakaudit: {run}: the version that wrote this report kept no pictures beside it; "
            "it is rendered without them",
            file=sys.stderr,
        )
    if policy is not None:
        record = _judged(record, policy)
    page = write_report(record, folder, gallery, run=manifest.run if manifest else None)
    print_verdict(record)
    print(page)
    return 0


def _judged(record: ReportRecord, policy: Path) -> ReportRecord:
    """The record with the verdict of another policy.

    Raises:
        ConfigError: the policy can not be read, or proposes what the audit did not try.
    """
    from leakaudit.audit.assemble import judged_by  # it needs torch, rendering does not
    from leakaudit.policy_file import read_policy

    return judged_by(record, read_policy(policy))
