"""The results of an audit as plain data. No torch.

In: figures of one job.  Out: frozen records that are written as JSON and read back.  A missing
figure is None beside a reason, never 0 and never NaN: every model refuses NaN and infinity.  A
value that differs between two equal runs (a time, a process id) stands under ``volatile`` only.
"""

from leakaudit.records.base import METRIC_VERSION, SCHEMA_VERSION, Interval, Kind, Record, State
from leakaudit.records.cautions import Caution
from leakaudit.records.cells import CellRecord, Doubt, ReleasedTensor
from leakaudit.records.citations import Bibliography, Citation, papers_of
from leakaudit.records.configured import NO_DEFENSE, Configured, Plain, written
from leakaudit.records.folds import FoldRecord
from leakaudit.records.leakage import (
    Control,
    Cost,
    Figures,
    Harm,
    Leakage,
    MaskLeakage,
    MaskScore,
    Matched,
    Matching,
    MatchScore,
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
    ReleaseDigest,
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
    "NO_DEFENSE",
    "SCHEMA_VERSION",
    "AcceptedCaution",
    "Bibliography",
    "Caution",
    "CellRecord",
    "Check",
    "Citation",
    "Configured",
    "Control",
    "Cost",
    "Counts",
    "DataRecord",
    "Doubt",
    "Effect",
    "Figures",
    "FoldRecord",
    "Guarantee",
    "Harm",
    "House",
    "Interval",
    "Kind",
    "Leakage",
    "MaskLeakage",
    "MaskScore",
    "MatchScore",
    "Matched",
    "Matching",
    "Outcome",
    "PatientDice",
    "PatientScore",
    "Person",
    "Plain",
    "PluginRecord",
    "Policy",
    "Record",
    "ReferenceComparison",
    "Reidentification",
    "ReleaseDigest",
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
    "papers_of",
    "written",
]
