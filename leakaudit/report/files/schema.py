"""The JSON Schema of report.json, one for each version of its layout."""

from __future__ import annotations

import json
from typing import Any

from leakaudit.records import SCHEMA_VERSION, ReportRecord

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def report_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of what `write_report` writes as report.json."""
    schema = ReportRecord.model_json_schema(mode="serialization")
    return {
        "$schema": DIALECT,
        "$id": f"urn:leakaudit:report:{SCHEMA_VERSION}",
        **schema,
        "title": "leakaudit report",
        "properties": {
            **schema["properties"],
            "schema_version": {"const": SCHEMA_VERSION, "type": "string"},
        },
    }


def schema_text() -> str:
    """The schema as it is shipped and printed."""
    return json.dumps(report_schema(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
