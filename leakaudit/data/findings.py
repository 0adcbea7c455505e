"""Collects doubts about single patients and words them for all patients at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import final

from leakaudit.records import Caution
from leakaudit.records.cautions import CautionKind


@final
@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something uncertain about one patient; equal words of several patients become one caution.

    Args:
        kind: as of `Caution`.
        grave: whether it could change a verdict.
        words: sentences that name no patient.
    """

    kind: CautionKind
    grave: bool
    words: str


def cautions_of(findings: Mapping[str, Iterable[Finding]]) -> tuple[Caution, ...]:
    """One caution for each different finding, with all its patients; grave ones first.

    Args:
        findings: by patient.
    """
    patients: dict[Finding, list[str]] = {}
    for patient, found in findings.items():
        for one in dict.fromkeys(found):
            patients.setdefault(one, []).append(patient)
    ordered = sorted(patients, key=lambda one: (not one.grave, one.kind, one.words))
    return tuple(
        Caution(kind=one.kind, grave=one.grave, words=one.words, patients=tuple(patients[one]))
        for one in ordered
    )
