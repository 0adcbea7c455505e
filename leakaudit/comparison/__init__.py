"""What changed between two audits of the same system: two reports in, a record out. No torch.

Settings and cells are matched by what they are; figures are paired by patient.
"""

from __future__ import annotations

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
from leakaudit.comparison.text import caveat_sentences, comparison_text

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
