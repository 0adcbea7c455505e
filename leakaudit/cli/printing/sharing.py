"""`leakaudit report --profile share`: the version of a report that may leave the house."""

from __future__ import annotations

import getpass
import os
import platform
import pwd
import socket
from contextlib import suppress
from pathlib import Path

from leakaudit.cli.printing.messages import say
from leakaudit.errors import StoreError, UsageError
from leakaudit.records import ReportRecord
from leakaudit.records.manifest import MANIFEST_NAME, SHARE_FOLDER, SHARE_KEY, SIGNATURE_NAME
from leakaudit.report import read_manifest, read_report, shared, write_report
from leakaudit.report.share.share_key import share_key


def share_report(
    record: ReportRecord, report: Path, out: Path | None, templates: Path | None = None
) -> Path:
    """Write the shared version of a report.

    Args:
        record: what to report.
        report: the folder that holds the report.
        out: where to; None for ``share`` in the run folder.
        templates: a folder whose templates come before the program's.

    Returns:
        Path of the page.

    Raises:
        UsageError: the report is a shared one, or in no run folder.
        StoreError: the folder holds anything else, or cannot be written.
        SharingError: something that identifies would be left.
    """
    run = report.parent
    folder = run / SHARE_FOLDER if out is None else out
    if record.profile == "share":
        raise UsageError(f"{report}: this report is a shared one already; hand it on as it is")
    if report.name != "report":
        raise UsageError(
            f"{report}: expected the report of a run, whose folder keeps the key of the "
            "pseudonyms; a copied report is shared from its run"
        )
    _require_free(folder)
    clean = shared(record, share_key(run), _names_of_machine())
    manifest = read_manifest(report)
    entry = manifest.files.get("report.json") if manifest else None
    made_of = entry.sha256 if entry else ""
    page = write_report(clean, folder, templates=templates, made_of=made_of)
    say(f"{run / SHARE_KEY} makes the pseudonyms; do not hand it on")
    return page


def _names_of_machine() -> set[str]:
    """Return the names of this machine and its user."""
    names = {os.environ.get(name, "") for name in ("USER", "LOGNAME", "USERNAME", "SUDO_USER")}
    names |= {socket.gethostname(), platform.node(), os.environ.get("HOSTNAME", "")}
    with suppress(OSError, KeyError):
        names.add(getpass.getuser())
    with suppress(KeyError):
        entry = pwd.getpwuid(os.getuid())
        names |= {entry.pw_name, entry.pw_gecos.partition(",")[0]}
    return names


def _require_free(folder: Path) -> None:
    """Refuse a folder with anything in it but an earlier shared report."""
    try:
        present = {path.name for path in folder.iterdir()} if folder.exists() else set()
    except OSError as error:
        raise StoreError(f"{folder}: cannot be read ({error.strerror})") from error
    if not present:
        return
    manifest = read_manifest(folder)
    known = {MANIFEST_NAME, SIGNATURE_NAME, *(manifest.files if manifest else ())}
    other = sorted(present - known)
    if other:
        raise StoreError(
            f"{folder}: expected no folder, an empty one or an earlier shared report, since all of "
            f"it would be handed on; it holds {other[0]!r}"
        )
    if read_report(folder).profile != "share":
        raise StoreError(f"{folder}: holds a report that is not for sharing; name another folder")
