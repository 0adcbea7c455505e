"""Compares two audits of one system. No torch.

In: two reports.  Out: a `Comparison`.  Settings and cells are matched by what they are, figures are
paired by patient.
"""

from __future__ import annotations

from leakaudit.comparison.caveats import caveat_sentences
from leakaudit.comparison.comparing import compare_reports
from leakaudit.comparison.records import (
    CellRow,
    Change,
    Comparison,
    Delta,
    Outcome,
    Reading,
    SettingRow,
)
from leakaudit.comparison.text import comparison_text

__all__ = [
    "CellRow",
    "Change",
    "Comparison",
    "Delta",
    "Outcome",
    "Reading",
    "SettingRow",
    "caveat_sentences",
    "compare_reports",
    "comparison_text",
]
