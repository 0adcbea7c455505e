"""`leakaudit gate`: the verdict of a finished run as an exit code, for CI."""

from __future__ import annotations

from pathlib import Path

from leakaudit.audit.storage.run_folder import AUDIT_FILE
from leakaudit.cli.arguments import PolicyFile, RunFolder, report_folder
from leakaudit.cli.printing.messages import print_line
from leakaudit.errors import StoreError, UsageError
from leakaudit.records import ReportRecord
from leakaudit.report import read_manifest, read_report, verdict_view
from leakaudit.report.text.verdicts import again_words, counts_words
from leakaudit.report.text.words import verify_hint


def gate(run: RunFolder, policy: PolicyFile = None) -> int:
    """Print RUN's verdict; exit 0 for PASS, 1 for FAIL, 3 for INCONCLUSIVE, 4 without a report.

    With --policy it is the verdict of that policy, and RUN's report stays as it is.
    """
    folder = report_folder(run)
    if read_manifest(folder) is None:
        raise StoreError(
            f"{folder}: no manifest.json, so nothing says that this report is the one that was "
            f"written; {verify_hint(run)}"
        )
    record = read_report(folder)
    if policy is not None:
        record = judged_by_file(run, record, policy)
    if record.verdict is None:
        raise UsageError(
            f"{run}: this run has no policy, so there is no verdict; write one and judge the run "
            f"by `leakaudit gate {run} --policy FILE`"
        )
    print_verdict(record)
    own = folder.parent / AUDIT_FILE
    if record.verdict.own is not None and policy is None and own.is_file():
        print_line(
            f"`leakaudit report {run} --policy {own}` judges the report by the audit's own policy "
            "again"
        )
    return record.verdict.exit_code


def judged_by_file(run: Path, record: ReportRecord, policy: Path) -> ReportRecord:
    """The record of a finished run with the verdict of the policy in a file.

    Args:
        run: the run's folder, for messages.
        record: its report.
        policy: the file.

    Raises:
        ConfigError: the policy cannot be read, or proposes what the audit did not try.
        UsageError: the report is a shared one.
    """
    from leakaudit.audit.results.judged import judged_by  # it needs torch, rendering does not
    from leakaudit.audit_file import read_policy

    if record.profile == "share":
        raise UsageError(
            f"{run}: a shared report is not judged anew, since the policy's text would "
            "stay in it; judge the run, then share it again"
        )
    return judged_by(record, read_policy(policy))


def print_verdict(record: ReportRecord) -> None:
    """The verdict and what decided, setting by setting; nothing without a policy."""
    view = verdict_view(record)
    if view is None:
        return
    verdict = view.verdict
    print_line(f"{verdict.outcome.value}: {view.rule}")
    if verdict.judged_again:
        print_line(f"  {again_words(verdict)}")
    if len(view.settings) > 1:
        print_line(f"  of the settings up for use: {counts_words(verdict)}")
    for one in view.settings:
        print_line(f"  {one.verdict.outcome.value}  {one.name} ({one.where})")
        for line in one.lines:
            print_line(f"    {line}")
    print_line(f"limits set by: {verdict.policy.owner}, {verdict.policy.date}")
    if record.data.simulated:
        print_line("simulated patients: it says nothing about real ones")
