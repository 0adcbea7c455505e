"""report.json against the schema that is printed for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from leakaudit.records import SCHEMA_VERSION, ReportRecord
from leakaudit.report import write_report
from leakaudit.report.files.schema import report_schema, schema_text
from tests.report.sample import members_leak_more, protected_report, sample_report
from tests.report.test_junit import judged


def written(record: ReportRecord, folder: Path) -> Any:
    write_report(record, folder)
    return json.loads((folder / "report.json").read_text())


@pytest.mark.parametrize(
    "record",
    [sample_report(), members_leak_more(), protected_report(), judged(0.5, "target-2-1")],
    ids=["sample", "members", "protected", "judged"],
)
def test_what_is_written_fits_the_schema(record: ReportRecord, tmp_path: Path) -> None:
    schema = report_schema()
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(written(record, tmp_path))


@pytest.mark.parametrize(
    "breach",
    [
        {"schema_version": "0"},
        {"more": 1},
        {"cells": [{}]},
        {"verdict": {"outcome": "MAYBE"}},
    ],
)
def test_what_is_no_report_does_not_fit(breach: dict[str, Any], tmp_path: Path) -> None:
    document = {**written(sample_report(), tmp_path), **breach}
    assert not Draft202012Validator(report_schema()).is_valid(document)


def test_the_schema_is_printed_alike_and_names_its_version() -> None:
    assert json.loads(schema_text()) == report_schema()
    assert report_schema()["$id"].endswith(f":{SCHEMA_VERSION}")
