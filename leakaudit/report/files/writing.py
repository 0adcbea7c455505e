"""A report on disk: written whole or not at all, readable by its owner alone."""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from pathlib import Path

from pydantic import ValidationError

from leakaudit.errors import StoreError
from leakaudit.files import write_atomically
from leakaudit.records import SCHEMA_VERSION, ReportRecord
from leakaudit.records.manifest import (
    MANIFEST_NAME,
    PICTURES_NAME,
    FileEntry,
    ReportManifest,
    RunPart,
    parse_report_manifest,
)
from leakaudit.report.files.csv_table import cells_csv
from leakaudit.report.files.junit import junit_xml
from leakaudit.report.page.citations import bibtex
from leakaudit.report.page.page import page_of
from leakaudit.report.page.templates import Templates
from leakaudit.report.pictures.gallery import Gallery
from leakaudit.report.pictures.kept import (
    INDEX_NAME,
    index_bytes,
    is_kept,
    kept_gallery,
    picture_files,
    prepare_folder,
    remove_others,
)
from leakaudit.report.text.words import verify_hint
from leakaudit.visible import spelled_out

JSON_NAME = "report.json"
CSV_NAME = "cells.csv"
HTML_NAME = "report.html"
BIBTEX_NAME = "citations.bib"
JUNIT_NAME = "junit.xml"
_HALVES = re.compile("[\ud800-\udfff]")


def write_report(
    record: ReportRecord,
    folder: Path,
    gallery: Gallery | None = None,
    run: RunPart | None = None,
    templates: Path | None = None,
    made_of: str = "",
) -> Path:
    """Write report.json, report.html, the files for machines and, last, manifest.json.

    Pictures are written beside them, with an index, and those of an earlier report are removed.

    Args:
        record: what to report.
        folder: where to; made if it is missing, mode 0700.
        gallery: pictures, shown and kept only if the record allows images.
        run: what the report rests on, for its manifest; None if no run writes it.
        templates: a folder whose templates come before the program's.
        made_of: SHA-256 of the report.json that a shared report was made of.

    Returns:
        Path of report.html.

    Raises:
        StoreError: a file cannot be written, or the record holds a NaN.
        UsageError: a template of the user's cannot be filled in.
    """
    record = _writable(record)
    used = Templates(templates)
    document = _json(record.model_dump(mode="json"), folder / JSON_NAME)
    contents = {
        JSON_NAME: document,
        CSV_NAME: cells_csv(record).encode(),
        HTML_NAME: page_of(record, gallery, used, FileEntry.of(document).sha256).encode(),
        BIBTEX_NAME: bibtex(record).encode(),
        JUNIT_NAME: junit_xml(record).encode(),
    }
    pictures: dict[str, bytes] = {}
    if gallery is not None and record.images != "none":
        contents[INDEX_NAME] = index_bytes(gallery)
        pictures = picture_files(gallery)
    manifest = ReportManifest(
        leakaudit=version("leakaudit"),
        report_schema=record.schema_version,
        files={name: FileEntry.of(data) for name, data in contents.items()},
        pictures={name: FileEntry.of(data) for name, data in pictures.items()},
        run=run,
        made_of=made_of,
        templates=used.digests,
    )
    contents |= {f"{PICTURES_NAME}/{name}": data for name, data in pictures.items()}
    contents[MANIFEST_NAME] = manifest.to_bytes()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise StoreError(f"{folder}: the report folder cannot be made: {error.strerror}") from error
    if gallery is not None and record.images != "none":
        prepare_folder(folder)
    for name, data in contents.items():
        if not is_kept(folder / name, data):
            write_atomically(folder / name, data)
    remove_others(folder, contents)
    return folder / HTML_NAME


def read_report(folder: Path) -> ReportRecord:
    """Read report.json back.

    Raises:
        StoreError: it is missing, changed since it was written, of another schema version, or
            no report.
    """
    path = folder / JSON_NAME
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path}: expected a report to read: {error.strerror}") from error
    manifest = read_manifest(folder)
    if manifest is not None and manifest.files.get(JSON_NAME) != FileEntry.of(data):
        raise StoreError(
            f"{path}: differs from what {MANIFEST_NAME} says was written; {verify_hint(folder)}"
        )
    _require_version(data, path)
    try:
        record = ReportRecord.model_validate_json(data)
    except ValidationError as error:
        raise StoreError(
            f"{path}: expected a report of schema version {SCHEMA_VERSION}, got "
            f"{error.error_count()} wrong entries, the first at "
            f"{'.'.join(str(part) for part in error.errors()[0]['loc']) or 'the top'}"
        ) from error
    return record


def _require_version(data: bytes, path: Path) -> None:
    """Refuse another layout before any of its entries is called wrong."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return  # the validation says what it is
    written = document.get("schema_version") if isinstance(document, dict) else None
    if isinstance(written, str) and written != SCHEMA_VERSION:
        raise StoreError(
            f"{path}: expected schema version {SCHEMA_VERSION}, got {ascii(written[:40])[1:-1]}; "
            "read it with the version of leakaudit that wrote it"
        )


def read_gallery(folder: Path) -> Gallery | None:
    """The pictures of a report; None if it has none, or is of a version that did not keep them.

    Raises:
        StoreError: a file is missing or differs from what was written.
    """
    return kept_gallery(folder, read_manifest(folder))


def read_manifest(folder: Path) -> ReportManifest | None:
    """Read the manifest of a report; None if there is none.

    Raises:
        StoreError: it cannot be read, is none, or changed since it was written.
    """
    path = folder / MANIFEST_NAME
    try:
        return parse_report_manifest(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise StoreError(
            f"{path}: expected the manifest of a report, but {error}; {verify_hint(folder)}"
        ) from error


def _writable(record: ReportRecord) -> ReportRecord:
    """The record with halves of characters spelled out, as ``[U+DCFC]``.

    The name of a file in an older encoding holds some, and no JSON with them can be read back.
    """
    text = json.dumps(record.model_dump(mode="json"), ensure_ascii=False)
    if _HALVES.search(text) is None:
        return record
    whole = _HALVES.sub(lambda half: spelled_out(half[0]), text)
    return ReportRecord.model_validate_json(whole)


def _json(value: object, path: Path) -> bytes:
    try:
        text = json.dumps(value, sort_keys=True, indent=1, allow_nan=False)
    except ValueError as error:
        raise StoreError(f"{path}: expected finite numbers, got NaN or infinity") from error
    return (text + "\n").encode()
