"""What the author of an attack or a defence imports, and nothing else."""

from leakaudit.contracts import (
    Attack,
    Attempt,
    AuxiliaryPatients,
    Capability,
    Citation,
    Defense,
    Evidence,
    GradientMessages,
    GradientRelease,
    HeadMessages,
    Observation,
    PrivacyGuarantee,
    Progress,
    Reconstruction,
    Recovers,
    ReleaseSetting,
    SystemLayout,
    require_between,
)
from leakaudit.errors import CellError, ConfigError, LeakauditError, NotGranted
from leakaudit.privacy.accounting import sensitivity
from leakaudit.privacy.gaussian import noise_multiplier
from leakaudit.randomness import laplace_like, normal_like, uniform_like
from leakaudit.types import Images, Levels, Masks, SiteLevels

__all__ = [
    "Attack",
    "Attempt",
    "AuxiliaryPatients",
    "Capability",
    "CellError",
    "Citation",
    "ConfigError",
    "Defense",
    "Evidence",
    "GradientMessages",
    "GradientRelease",
    "HeadMessages",
    "Images",
    "LeakauditError",
    "Levels",
    "Masks",
    "NotGranted",
    "Observation",
    "PrivacyGuarantee",
    "Progress",
    "Reconstruction",
    "Recovers",
    "ReleaseSetting",
    "SiteLevels",
    "SystemLayout",
    "laplace_like",
    "noise_multiplier",
    "normal_like",
    "require_between",
    "sensitivity",
    "uniform_like",
]
