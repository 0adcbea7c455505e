"""What is written down: plain data, no torch.

A missing figure is None beside a reason, never 0 and never NaN: every model refuses NaN and
infinity. What differs between two equal runs (times, process ids) stands under ``volatile`` only.
"""

from leakaudit.records.base import (
    METRIC_VERSION,
    SCHEMA_VERSION,
    UNDEFENDED,
    Citation,
    Interval,
    Record,
    State,
)
from leakaudit.records.cautions import Caution
from leakaudit.records.cells import CellRecord, Doubt, ReleasedTensor
from leakaudit.records.folds import FoldRecord
from leakaudit.records.leakage import (
    Control,
    Cost,
    Harm,
    Leakage,
    MaskLeakage,
    MaskScore,
    PatientScore,
    Reidentification,
    Success,
)
from leakaudit.records.report import (
    Counts,
    DataRecord,
    House,
    Person,
    PluginRecord,
    ReportRecord,
    SplitRecord,
    ThreatRecord,
    Untested,
    WorstCase,
)
from leakaudit.records.targets import (
    Effect,
    Guarantee,
    PatientDice,
    ReferenceComparison,
    TargetRecord,
    Utility,
)
from leakaudit.records.verdict import (
    AcceptedCaution,
    Check,
    Outcome,
    Policy,
    RequiredAttack,
    Rule,
    SettingVerdict,
    Threshold,
    Verdict,
)

__all__ = [
    "METRIC_VERSION",
    "SCHEMA_VERSION",
    "UNDEFENDED",
    "AcceptedCaution",
    "Caution",
    "CellRecord",
    "Check",
    "Citation",
    "Control",
    "Cost",
    "Counts",
    "DataRecord",
    "Doubt",
    "Effect",
    "FoldRecord",
    "Guarantee",
    "Harm",
    "House",
    "Interval",
    "Leakage",
    "MaskLeakage",
    "MaskScore",
    "Outcome",
    "PatientDice",
    "PatientScore",
    "Person",
    "PluginRecord",
    "Policy",
    "Record",
    "ReferenceComparison",
    "Reidentification",
    "ReleasedTensor",
    "ReportRecord",
    "RequiredAttack",
    "Rule",
    "SettingVerdict",
    "SplitRecord",
    "State",
    "Success",
    "TargetRecord",
    "ThreatRecord",
    "Threshold",
    "Untested",
    "Utility",
    "Verdict",
    "WorstCase",
]
