"""The results of a run against the report's manifest and against their own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Literal

from leakaudit.integrity.faults import shown
from leakaudit.integrity.folders import OpenFolder
from leakaudit.integrity.listed import Findings, check_listed, read_small
from leakaudit.records.manifest import MANIFEST_NAME, parse_result_manifest

Kind = Literal["targets", "cells"]
KINDS: tuple[Kind, ...] = ("targets", "cells")


def check_results(
    root: OpenFolder, kind: Kind, vouched: Mapping[str, str], findings: Findings
) -> tuple[str, ...]:
    """Compare all results of one kind.

    Args:
        root: the run folder.
        kind: which results.
        vouched: SHA-256 of the manifest of each result that the report rests on, by key.
        findings: where faults go.

    Returns:
        Paths of the results that are whole by their own manifest, and that the report does not
        name.
    """

    def inside() -> list[str]:
        with root.folder(kind) as folder:
            present = folder.names()
            for key, digest in vouched.items():
                _check_result(folder, kind, key, digest, findings)
            others = [name for name in present if name not in vouched]
            return [name for name in others if _is_whole(folder, kind, name, findings)]

    if kind not in root.names() and not vouched:
        return ()
    what = f"the report rests on the results in it ({len(vouched)})"
    found = findings.attempt(kind, inside, missing=what)
    return tuple(f"{kind}/{name}" for name in found or ())


def _is_whole(folder: OpenFolder, kind: Kind, name: str, findings: Findings) -> bool:
    """Whether something that the report does not name is a whole result."""
    where = f"{kind}/{name}"
    what = findings.attempt(where, lambda: folder.kind(name), missing="it was there a moment ago")
    if what == "folder" and name.startswith(".") and name.endswith(".training"):
        findings.unvouched.append(where)
        return False
    if what == "file":
        findings.unknown(folder, name, where)
        return False
    apart = Findings()  # what no report rests on is not counted with what one does
    _check_result(folder, kind, name, None, apart)
    findings.faults += apart.faults
    return not apart.faults


def _check_result(
    folder: OpenFolder, kind: Kind, key: str, expected: str | None, findings: Findings
) -> None:
    where = f"{kind}/{key}"

    def inside() -> None:
        with folder.folder(key) as result:
            _check_opened(result, where, key, expected, findings)

    findings.attempt(where, inside, missing="the report rests on this result, and it is not there")


def _check_opened(
    result: OpenFolder, where: str, key: str, expected: str | None, findings: Findings
) -> None:
    path = f"{where}/{MANIFEST_NAME}"
    data = read_small(result, MANIFEST_NAME, path, findings)
    if data is None:
        return
    try:
        manifest = parse_result_manifest(data)
    except ValueError as error:
        findings.fault("broken", path, str(error))
        return
    if manifest.key != key:
        findings.fault("swapped", where, f"it holds the result {shown(manifest.key)}")
    elif expected is not None and hashlib.sha256(data).hexdigest() != expected:
        findings.fault("changed", path, "it is not the manifest that the report names")
    else:
        findings.files += 1
    check_listed(result, f"{where}/", manifest.sha256, findings, besides=(MANIFEST_NAME,))
