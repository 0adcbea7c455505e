"""`leakaudit verify`: whether the files of a run and its report are those that were written."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from leakaudit.cli.printing.messages import print_line
from leakaudit.cli.printing.replaced import replaced_words
from leakaudit.errors import ExitCode, UsageError
from leakaudit.integrity import Checked, CheckedReport, Fault, Place, Signers, check, locate, shown
from leakaudit.records.manifest import MANIFEST_NAME, SHARE_FOLDER, SIGNATURE_NAME

Checkable = Annotated[
    Path,
    typer.Argument(
        readable=False, help="A run folder, such as runs/quick, or a report's folder or page."
    ),
]
SignersFile = Annotated[
    Path | None,
    typer.Option(
        "--signers",
        metavar="FILE",
        readable=False,
        help="Who may sign, a line each, in the form of ssh-keygen's ALLOWED SIGNERS; checks the "
        "signature.",
    ),
]
Identity = Annotated[
    str | None,
    typer.Option("--identity", metavar="NAME", help="Who of FILE must have signed; else anyone."),
]


def verify(path: Checkable, signers: SignersFile = None, identity: Identity = None) -> int:
    """Check every hash of a run and its report, and with --signers who signed it; offline."""
    if identity is not None and signers is None:
        raise UsageError("--identity says who of a list must have signed; give --signers FILE")
    place = locate(path)
    checked = check(place, None if signers is None else Signers.read(signers, identity))
    for fault in checked.faults:
        _say(str(fault))
    _say_what_was_checked(checked, place)
    _say_what_was_replaced(checked)
    _say_who_signed(checked, signers)
    if _is_whole_but_for_signature(checked):
        _say(_whole_but(checked.faults))
    return ExitCode.DATA if checked.faults else ExitCode.DONE


def _is_whole_but_for_signature(checked: Checked) -> bool:
    return bool(checked.faults) and all(fault.of_signature for fault in checked.faults)


def _whole_but(faults: Sequence[Fault]) -> str:
    """Which signature was asked for and does not hold, where that is all."""
    own = [one for one in faults if not one.where.startswith(f"{SHARE_FOLDER}/")]
    if not own:
        return f"whole, but the signature of {SHARE_FOLDER}/{MANIFEST_NAME} does not hold"
    if own[0].kind == "missing":
        return "whole, but it is not signed"
    return "whole, but the signature does not hold"


def _say_what_was_checked(checked: Checked, place: Place) -> None:
    files = _counted(checked.files, "file")
    run = checked.manifest.run if checked.manifest else None
    results = _counted(len(run.targets) + len(run.cells), "result") if run else ""
    what = "the report alone" if not place.is_run else f"the report and {results or 'no results'}"
    if _is_whole_but_for_signature(checked):
        _say(f"the hashes of {files} fit: {what}")
    elif checked.faults:
        faults = _counted(len(checked.faults), "fault")
        _say(f"NOT whole: {faults}; the hashes of {files} fit")
    else:
        _say(f"whole: {files}, {what}")
    if not place.is_run:
        _say(
            f"not here to check: the {results} of the run that the report rests on"
            if results
            else "nothing further to check: the manifest names no run"
        )
    if checked.others:
        _say(
            f"not of this report: {_counted(len(checked.others), 'result')} of other audits, whole "
            f"by their own manifests, the first {shown(checked.others[0])}"
        )
    if checked.unvouched:
        _say(f"covered by no hash: {', '.join(map(shown, checked.unvouched))}")


def _say_what_was_replaced(checked: Checked) -> None:
    shared = checked.shared.manifest if checked.shared else None
    for manifest, what in ((checked.manifest, ""), (shared, f"{SHARE_FOLDER}: ")):
        if manifest is not None and manifest.templates:
            _say(what + replaced_words(manifest))


def _say_who_signed(checked: Checked, signers: Path | None) -> None:
    own = CheckedReport(checked.manifest, checked.signed, checked.signer)
    _say_signature(own, "", signers)
    if checked.shared is not None:
        if checked.shared.signed:
            _say_signature(checked.shared, f"{SHARE_FOLDER}/", signers)
        else:
            _say(f"{SHARE_FOLDER}/{MANIFEST_NAME}: not signed")
    if checked.signer is not None:
        _say("A signature says who vouches for these files, and not that the audit was done well.")
    else:
        _say(
            "Hashes without a checked signature find accidents; a person who changes a file "
            "on purpose can write its manifest anew."
        )


def _say_signature(report: CheckedReport, below: str, signers: Path | None) -> None:
    if report.signer is not None:
        names = ", ".join(map(shown, report.signer.names))
        listed = f"listed in {shown(str(signers))}"
        _say(f"signed: {below}{MANIFEST_NAME} by {names}, {report.signer.key}, {listed}")
    elif signers is not None:
        _say(f"signed: {below and f'{below}{MANIFEST_NAME} '}NO, see above")
    elif report.signed:
        _say(
            f"signature: {below}{SIGNATURE_NAME} is there and was NOT checked; give --signers FILE"
        )
    else:
        _say("signature: none")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _say(line: str) -> None:
    """A line for people, broken to the width of a terminal; whole where none is there to see."""
    if sys.stdout.isatty() or "COLUMNS" in os.environ:
        print_line(line)
    else:
        print(line)
