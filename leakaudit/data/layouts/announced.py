"""Reads the parts of a listing beside its training list: other patients, and their number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from leakaudit.data.layouts.sources import Found
from leakaudit.data.naming.labels import patients_in_words
from leakaudit.records import Caution


def for_validation(fields: Mapping[str, Any]) -> list[Any]:
    """MONAI's entries for validation, as far as they have a mask and are not training ones again.

    The audit draws its own parts, so a patient with a mask is a patient.

    Args:
        fields: the listing; its ``training`` is a list.
    """
    return [
        entry
        for entry in _listed(fields, "validation")
        if _has_label(entry) and entry not in fields["training"]
    ]


def with_what_is_announced(found: Found, fields: Mapping[str, Any]) -> Found:
    """Add a caution if patients with a mask are not read, or fewer are there than announced.

    Args:
        found: the patients that were listed.
        fields: the listing.
    """
    said = []
    labelled = sum(map(_has_label, _listed(fields, "test")))
    if labelled:
        said.append(
            "Left out, since dataset.json lists them for testing, although they have a mask: "
            f"{patients_in_words(labelled)}."
        )
    announced, count = fields.get("numTraining"), len(found.identifiers) - len(found.left_out)
    validation = len(for_validation(fields)) if "training" in fields else 0
    here = {count, count - validation, count + len(found.left_out)}
    if isinstance(announced, int) and announced not in here:
        said.append(
            f"dataset.json announces {patients_in_words(announced)} (numTraining), and {count} "
            f"{'is' if count == 1 else 'are'} there: look whether some are missing."
        )
    cautions = [Caution(kind="left-out", grave=False, words=words) for words in said]
    return replace(found, cautions=(*found.cautions, *cautions))


def _listed(fields: Mapping[str, Any], part: str) -> list[Any]:
    listed = fields.get(part)
    return listed if isinstance(listed, list) else []


def _has_label(entry: Any) -> bool:
    return isinstance(entry, dict) and bool(entry.get("label"))
