"""`leakaudit report`: write the report of a run again, without running anything."""

from __future__ import annotations

from pathlib import Path

from leakaudit.cli.arguments import PolicyFile, RunFolder, report_folder
from leakaudit.cli.gate import print_verdict
from leakaudit.errors import StoreError
from leakaudit.records import ReportRecord
from leakaudit.report import read_manifest, read_report, write_report


def report(run: RunFolder, policy: PolicyFile = None) -> int:
    """Render the report of RUN again from its report.json, judged by another policy if given."""
    folder = report_folder(run)
    record = read_report(folder)
    if policy is not None:
        record = _judged(record, policy)
    if record.images == "full":
        raise StoreError(
            f"{run}: this report shows images, which report.json does not hold; run the audit "
            "again, which redoes nothing but the report"
        )
    manifest = read_manifest(folder)
    page = write_report(record, folder, run=manifest.run if manifest else None)
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
