"""A run folder, or a report folder alone, checked as a whole."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import final

from leakaudit.errors import StoreError
from leakaudit.integrity.faults import Fault
from leakaudit.integrity.folders import NotWhatItShouldBeError, OpenFolder
from leakaudit.integrity.listed import Findings, check_file, check_listed, read_small
from leakaudit.integrity.results import KINDS, check_results
from leakaudit.integrity.signature import SignatureRefused, SignedBy, Signers, check_signature
from leakaudit.records import ReportRecord, State
from leakaudit.records.manifest import (
    MANIFEST_NAME,
    PICTURES_NAME,
    SHARE_FOLDER,
    SHARE_KEY,
    SIGNATURE_NAME,
    ReportManifest,
    RunPart,
    parse_report_manifest,
)

_REPORT = "report"
_LOG = "events.jsonl"
_LOCK = ".lock"
_LARGEST_SIGNATURE = 100_000
_LARGEST_REPORT = 1_000_000_000
_REPORT_FILES = (MANIFEST_NAME, "report.json", "report.html")


@final
@dataclass(frozen=True)
class Place:
    """The place of a check.

    Args:
        folder: of a run, or of a report alone.
        is_run: which of the two.
    """

    folder: Path
    is_run: bool


@final
@dataclass(frozen=True)
class CheckedReport:
    """The outcome of a check of one report folder.

    Args:
        manifest: its manifest; None if it is missing or broken.
        signed: whether a file of a signature lies beside the manifest.
        signer: who signed; None where no signature was asked for, or it is among the faults.
    """

    manifest: ReportManifest | None = None
    signed: bool = False
    signer: SignedBy | None = None


@final
@dataclass(frozen=True, kw_only=True)
class Checked:
    """The outcome of a check.

    Args:
        faults: everything that is not as it was written.
        files: how many files have the hash that a manifest names, manifests included.
        manifest: the report's; None if it is missing or broken.
        others: whole results in the run folder that the report does not rest on.
        unvouched: files and folders that no hash covers.
        signed: whether a file of a signature lies beside the manifest.
        signer: who signed; None where no signature was asked for, or it is among the faults.
        shared: the shared version of the report in the run folder; None without one.
    """

    faults: tuple[Fault, ...]
    files: int
    manifest: ReportManifest | None
    others: tuple[str, ...]
    unvouched: tuple[str, ...]
    signed: bool
    signer: SignedBy | None
    shared: CheckedReport | None = None


def locate(path: Path) -> Place:
    """The run or report that a path names.

    Args:
        path: a run folder, a report folder, or a file of a report.

    Raises:
        StoreError: it is none of these.
    """
    path = path.absolute()
    if os.path.isdir(path):
        folder = path
        if _has(folder, _REPORT, *KINDS):
            return Place(folder, is_run=True)
    else:
        # A link to a page elsewhere says nothing about that page: its own folder is checked.
        folder = path.parent
    if folder == path or path.name in _REPORT_FILES or _has(folder, path.name):
        if folder.name == _REPORT and _has(folder.parent, *KINDS):
            return Place(folder.parent, is_run=True)
        if _has(folder, *_REPORT_FILES):
            return Place(folder, is_run=False)
    raise StoreError(
        f"{path}: expected the folder of a run, the folder of a report or a file in it, and there "
        "is no report here"
    )


def check(place: Place, signers: Signers | None = None) -> Checked:
    """Check every file; all faults are found, not the first alone.

    Args:
        place: what to check.
        signers: who may have signed; None to leave a signature unchecked.

    Raises:
        StoreError: the folder cannot be opened, or an audit is running in it.
        SignatureError: signatures cannot be checked on this machine.
    """
    findings = Findings()
    others: list[str] = []
    shared = None
    try:
        with OpenFolder.at(place.folder) as root:
            if not place.is_run:
                report = _check_report(root, "", findings, signers)
            else:
                _refuse_while_running(root, place.folder)
                report = _check_report_of_run(root, findings, signers)
                run = report.manifest.run if report.manifest else None
                shared = _check_root(root, report.manifest, findings, signers)
                named = {"targets": run.targets, "cells": run.cells} if run else {}
                if run is not None:
                    _check_rests_on(root, run, findings)
                for kind in KINDS:
                    others += check_results(root, kind, named.get(kind, {}), findings)
                if report.manifest and run is None:
                    findings.fault(
                        "broken",
                        f"{_REPORT}/{MANIFEST_NAME}",
                        "it names no results, so nothing ties this run to its report",
                    )
    except OSError as error:
        raise StoreError(f"{place.folder}: cannot be read ({error.strerror})") from error
    return Checked(
        faults=tuple(findings.faults),
        files=findings.files,
        manifest=report.manifest,
        others=tuple(others),
        unvouched=tuple(findings.unvouched),
        signed=report.signed,
        signer=report.signer,
        shared=shared,
    )


def _check_report_of_run(
    root: OpenFolder, findings: Findings, signers: Signers | None
) -> CheckedReport:
    def inside() -> CheckedReport:
        with root.folder(_REPORT) as folder:
            return _check_report(folder, f"{_REPORT}/", findings, signers)

    missing = "the run has no report; without one nothing vouches for its results"
    return findings.attempt(_REPORT, inside, missing=missing) or CheckedReport()


def _check_report(
    folder: OpenFolder, below: str, findings: Findings, signers: Signers | None
) -> CheckedReport:
    where = f"{below}{MANIFEST_NAME}"
    data = read_small(folder, MANIFEST_NAME, where, findings)
    manifest = None
    if data is not None:
        try:
            manifest = parse_report_manifest(data)
        except ValueError as error:
            findings.fault("broken", where, f"{error}; no file of the report can be checked")
    if manifest is not None:
        findings.files += 1
        own = (MANIFEST_NAME, SIGNATURE_NAME, *([PICTURES_NAME] if manifest.pictures else []))
        check_listed(folder, below, manifest.files, findings, besides=own)
        if manifest.pictures:
            _check_pictures(folder, f"{below}{PICTURES_NAME}", manifest, findings)
    signed = SIGNATURE_NAME in folder.names()
    signer = _check_signer(folder, f"{below}{SIGNATURE_NAME}", data, findings, signers)
    return CheckedReport(manifest, signed, signer)


def _check_pictures(
    folder: OpenFolder, where: str, manifest: ReportManifest, findings: Findings
) -> None:
    def inside() -> None:
        with folder.folder(PICTURES_NAME) as pictures:
            check_listed(pictures, f"{where}/", manifest.pictures, findings)

    findings.attempt(where, inside, missing="the manifest names its pictures, and it is not there")


def _check_signer(
    folder: OpenFolder,
    where: str,
    manifest: bytes | None,
    findings: Findings,
    signers: Signers | None,
) -> SignedBy | None:
    if signers is None and SIGNATURE_NAME not in folder.names():
        return None
    signature = findings.attempt(
        where,
        lambda: folder.read(SIGNATURE_NAME, _LARGEST_SIGNATURE),
        missing="this report is not signed",
    )
    if signers is None or signature is None or manifest is None:
        return None
    try:
        return check_signature(manifest, signature, signers)
    except SignatureRefused as error:
        findings.fault("signature", where, str(error))
    return None


def _check_root(
    root: OpenFolder,
    report: ReportManifest | None,
    findings: Findings,
    signers: Signers | None,
) -> CheckedReport | None:
    """Check the run folder itself, and return the outcome for the shared version in it."""
    shared = None
    run = report.run if report else None
    listed = run.files if run else {}
    for name, expected in listed.items():
        check_file(root, name, name, expected, findings)
    for name in root.names():
        if name in listed or name in (_REPORT, *KINDS):
            continue
        if name == SHARE_FOLDER:
            shared = _check_shared(root, report, findings, signers)
        elif name in (_LOG, _LOCK, SHARE_KEY) or (run is None and name == "audit.yaml"):
            found = root.kind(name)
            if found == "file":
                findings.unvouched.append(name)
            else:
                findings.fault("refused", name, str(NotWhatItShouldBeError("file", found)))
        else:
            findings.unknown(root, name, name)
    return shared


def _check_rests_on(root: OpenFolder, run: RunPart, findings: Findings) -> None:
    """Whether the manifest names a result for everything that report.json shows as measured."""

    def inside() -> bytes:
        with root.folder(_REPORT) as folder:
            return folder.read("report.json", _LARGEST_REPORT)

    where = f"{_REPORT}/report.json"
    data = findings.attempt(where, inside, missing="the run has no report.json")
    try:
        record = ReportRecord.model_validate_json(data) if data is not None else None
    except ValueError:
        if not any(fault.where == where for fault in findings.faults):
            findings.fault("broken", where, "it is not a report of this version")
        return
    if record is None:
        return
    measured = (State.OK, State.CONTROL_FAILED)
    lost = [f"cells/{key}" for one in record.cells for key in one.results_in(*measured)]
    lost += [f"targets/{key}" for one in record.targets for key in one.results_in(*measured)]
    named = {f"cells/{key}" for key in run.cells} | {f"targets/{key}" for key in run.targets}
    for name in lost:
        if name not in named:
            findings.fault("broken", name, "the report shows it, and its manifest names no result")


def _check_shared(
    root: OpenFolder,
    report: ReportManifest | None,
    findings: Findings,
    signers: Signers | None,
) -> CheckedReport | None:
    """The shared version of the report, by its own manifest, and whether it is of this report.

    It need not be signed where the report is.
    """

    def inside() -> CheckedReport:
        with root.folder(SHARE_FOLDER) as folder:
            asked = signers if SIGNATURE_NAME in folder.names() else None
            return _check_report(folder, f"{SHARE_FOLDER}/", findings, asked)

    shared = findings.attempt(SHARE_FOLDER, inside, missing="it was there a moment ago")
    own = report.files.get("report.json") if report else None
    made_of = shared.manifest.made_of if shared and shared.manifest else None
    if made_of is not None and own is not None and made_of != own.sha256:
        findings.fault(
            "changed",
            f"{SHARE_FOLDER}/{MANIFEST_NAME}",
            "it was made of another report.json than the one beside it; share the report again",
        )
    return shared


def _refuse_while_running(root: OpenFolder, path: Path) -> None:
    """A run that goes on changes what is checked."""
    with suppress(OSError, NotWhatItShouldBeError), root.file(_LOCK) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreError(f"{path}: an audit is running here; wait for its end") from error


def _has(folder: Path, *names: str) -> bool:
    """Whether something of one of these names is there, be it a broken link."""
    return any(os.path.lexists(folder / name) for name in names)
