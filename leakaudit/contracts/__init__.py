"""The promises between plug-ins and the core: declared here, filled elsewhere.

In: an `Observation` for an attack, the levels of a site for a defense.  Out: a `Reconstruction`,
and the levels that cross the cut.  Neither sees the truth, and neither knows the other.
"""

from leakaudit.capabilities import RELEASES, Capability, having
from leakaudit.contracts.attack import (
    Attack,
    Attempt,
    Progress,
    Reconstruction,
    attempted,
    run_here,
)
from leakaudit.contracts.attack_facts import (
    AttackFacts,
    AttackKind,
    AttackUse,
    Work,
    as_text,
    facts_from,
    kind_from,
    plain_value,
)
from leakaudit.contracts.defense import (
    NEIGHBORS,
    NOT_COVERED,
    PUBLISHED_SEED,
    Applied,
    Defense,
    Evidence,
    PrivacyGuarantee,
    ReleaseSetting,
    SiteLayout,
    Stage,
)
from leakaudit.contracts.fields import require_between
from leakaudit.contracts.measuring.hints import hints_hold
from leakaudit.contracts.measuring.lattice import wrapped
from leakaudit.contracts.measuring.measured import Measured, MeasuredLevel, expanded, measured
from leakaudit.contracts.messages import (
    AuxiliaryPatients,
    Exchange,
    GradientMessages,
    GradientQuery,
    GradientRelease,
    HeadMessages,
    HeadQuery,
    OwnGradientQuery,
    Query,
    Recovers,
    SystemLayout,
    TranscriptQuery,
    UpdateQuery,
)
from leakaudit.contracts.observation import Observation
from leakaudit.contracts.stack import Stack
from leakaudit.records import Citation, Plain

__all__ = [
    "NEIGHBORS",
    "NOT_COVERED",
    "PUBLISHED_SEED",
    "RELEASES",
    "Applied",
    "Attack",
    "AttackFacts",
    "AttackKind",
    "AttackUse",
    "Attempt",
    "AuxiliaryPatients",
    "Capability",
    "Citation",
    "Defense",
    "Evidence",
    "Exchange",
    "GradientMessages",
    "GradientQuery",
    "GradientRelease",
    "HeadMessages",
    "HeadQuery",
    "Measured",
    "MeasuredLevel",
    "Observation",
    "OwnGradientQuery",
    "Plain",
    "PrivacyGuarantee",
    "Progress",
    "Query",
    "Reconstruction",
    "Recovers",
    "ReleaseSetting",
    "SiteLayout",
    "Stack",
    "Stage",
    "SystemLayout",
    "TranscriptQuery",
    "UpdateQuery",
    "Work",
    "as_text",
    "attempted",
    "expanded",
    "facts_from",
    "having",
    "hints_hold",
    "kind_from",
    "measured",
    "plain_value",
    "require_between",
    "run_here",
    "wrapped",
]
