"""`leakaudit report`: write the report of a run again, without running anything."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from leakaudit.cli.arguments import PolicyFile, RunFolder, TemplatesFolder, report_folder
from leakaudit.cli.commands.gate import judged_by_file, print_verdict
from leakaudit.cli.printing.messages import say
from leakaudit.cli.printing.replaced import warn_custom_templates
from leakaudit.cli.printing.sharing import share_report
from leakaudit.errors import UsageError
from leakaudit.report import read_gallery, read_manifest, read_report, write_report
from leakaudit.report.text.words import verify_hint


class Profile(StrEnum):
    """For whom a report is."""

    INTERNAL = "internal"
    SHARE = "share"


For = Annotated[
    Profile,
    typer.Option(
        help="internal renders RUN's own report again; share writes another with pseudonyms, "
        "without images, paths, hosts and users."
    ),
]
ShareFolder = Annotated[
    Path | None,
    typer.Option("--out", metavar="FOLDER", help="Where the shared report goes: RUN/share."),
]


def report(
    run: RunFolder,
    policy: PolicyFile = None,
    templates: TemplatesFolder = None,
    profile: For = Profile.INTERNAL,
    out: ShareFolder = None,
) -> int:
    """Render the report of RUN again, pictures too, judged by another policy if given."""
    folder = report_folder(run)
    if out is not None and profile is not Profile.SHARE:
        raise UsageError("--out is where a shared report goes; add --profile share")
    if policy is not None and profile is Profile.SHARE:
        raise UsageError(
            f"--policy judges the run's own report, which --profile share hands on as it is; first "
            f"`leakaudit report {run} --policy {policy}`, then `leakaudit report {run} --profile "
            "share`"
        )
    record = read_report(folder)
    if profile is Profile.SHARE:
        page = share_report(record, folder, out, templates)
        print_verdict(record)
        print(page)
        warn_custom_templates(read_manifest(page.parent), page)
        return 0
    manifest = read_manifest(folder)
    gallery = read_gallery(folder) if record.images != "none" else None
    if record.images != "none" and gallery is None:
        say(
            f"{run}: the version that wrote this report kept no pictures beside it; "
            "it is rendered without them"
        )
    named = record.audit.get("report") or {}
    if templates is None and isinstance(named, dict) and named.get("templates"):
        say(f"{run}: the audit names templates of its own; add --templates FOLDER to use them")
    if manifest is None:
        say(
            f"{run}: no manifest.json, so nothing says that report.json is as it was written; "
            f"{verify_hint(run)}"
        )
    if policy is not None:
        record = judged_by_file(run, record, policy)
    vouched = manifest.run if manifest else None
    made_of = manifest.made_of if manifest else ""
    page = write_report(record, folder, gallery, run=vouched, templates=templates, made_of=made_of)
    print_verdict(record)
    print(page)
    warn_custom_templates(read_manifest(page.parent), page)
    return 0
