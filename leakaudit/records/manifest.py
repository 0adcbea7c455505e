"""The manifests that say which files were written: of a report, and of one result of a run.

The manifest of a report names every file of it and the manifest of every result that it rests on,
which name theirs, so that a signature over this one file covers them all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field, ValidationError

from leakaudit.records.base import Record

MANIFEST_NAME = "manifest.json"
SIGNATURE_NAME = "manifest.json.sig"
PICTURES_NAME = "images"
SHARE_FOLDER = "share"
SHARE_KEY = "share.key"
MANIFEST_VERSION = 1

_SEAL = "seal"
_R = TypeVar("_R", bound=Record)


def _one_component(name: str) -> str:
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise ValueError("expected the name of a file or folder, without a path")
    return name


Name = Annotated[str, AfterValidator(_one_component)]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class FileEntry(Record):
    """The identity of a file.

    Args:
        sha256: of its content, in hex.
        size: in bytes.
    """

    sha256: Digest
    size: Annotated[int, Field(ge=0)]

    @classmethod
    def of(cls, data: bytes) -> FileEntry:
        """The entry of a file with this content."""
        return cls(sha256=hashlib.sha256(data).hexdigest(), size=len(data))


class RunPart(Record):
    """The base of a report: files of its run, and the results by the hash of their manifest.

    Args:
        files: files beside the report's folder, by name.
        targets: SHA-256 of the manifest of each finished training, by key.
        cells: the same of each finished attack.
    """

    files: dict[Name, FileEntry]
    targets: dict[Name, Digest]
    cells: dict[Name, Digest]


class ReportManifest(Record):
    """The manifest of a report.

    Args:
        version: of this layout.
        leakaudit: version of the program that wrote the report.
        report_schema: version of the layout of report.json.
        files: every other file of the report, by name.
        pictures: the same of the folder of its pictures.
        run: what the report rests on; None for one that no run wrote.
        made_of: SHA-256 of the report.json that a shared report was made of; empty for others.
        templates: SHA-256 of each file of the user's that stood in for one of the program's when
            the page was rendered, by the name of what it replaced.
    """

    version: int = MANIFEST_VERSION
    leakaudit: str
    report_schema: str
    files: Annotated[dict[Name, FileEntry], Field(min_length=1)]
    pictures: dict[Name, FileEntry] = Field(default_factory=dict)
    run: RunPart | None
    made_of: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")] = ""
    templates: dict[Name, Digest] = Field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """The file: JSON with a seal, the SHA-256 of all else in it, so that it shows damage."""
        return _sealed(self.model_dump(mode="json"))


class ResultManifest(Record):
    """The manifest of one result of a run.

    Args:
        key: of the result, which is the name of its folder as well.
        sha256: of every other file of the result, by name.
    """

    key: str
    sha256: Annotated[dict[Name, Digest], Field(min_length=1)]


def parse_report_manifest(data: bytes) -> ReportManifest:
    """Read the manifest of a report.

    Raises:
        ValueError: it is none, of another version, or changed since it was written; the message
            says which.
    """
    document = _document(data)
    version = document.get("version")
    if version is None:
        raise ValueError("it has no version: a leakaudit older than verify wrote it, or none did")
    if version != MANIFEST_VERSION:
        raise ValueError(
            f"it has version {ascii(version)[:40]}, expected {MANIFEST_VERSION}; check it with the "
            "leakaudit that wrote it"
        )
    rest = {key: value for key, value in document.items() if key != _SEAL}
    manifest = _validated(ReportManifest, rest)
    if _sealed(rest) != data:
        raise ValueError("its own seal does not fit: it was changed after it was written")
    return manifest


def parse_result_manifest(data: bytes) -> ResultManifest:
    """Read the manifest of a result of a run.

    Raises:
        ValueError: it is none; the message says why.
    """
    return _validated(ResultManifest, _document(data))


def _sealed(rest: Mapping[str, Any]) -> bytes:
    seal = hashlib.sha256(_canonical(rest)).hexdigest()
    return _canonical({**rest, _SEAL: seal})


def _canonical(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, sort_keys=True, indent=1, allow_nan=False) + "\n").encode()


def _document(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError("it is not JSON") from error
    if not isinstance(document, dict):
        raise ValueError("it is JSON, but not a manifest")
    return document


def _validated(kind: type[_R], document: Mapping[str, Any]) -> _R:
    try:
        return kind.model_validate(document, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"it is not a manifest: {first['msg']} at {where!a}") from error
