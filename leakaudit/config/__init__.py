"""The sections of an audit file, their defaults and what they refuse.

In: plain values, as YAML gives them.  Out: a frozen `AuditConfig`, or an error that names the key.
"""

from leakaudit.config.audit import AuditConfig, DataConfig, ReferenceConfig, ReportConfig
from leakaudit.config.plugins import DefenseSetting, PluginUse, ask_ahead, expand, expand_stack
from leakaudit.config.policy import PolicyConfig, resolved_policy
from leakaudit.config.proposed import judged_targets, require_proposed
from leakaudit.config.target import TargetConfig
from leakaudit.registry import ARCHITECTURE

__all__ = [
    "ARCHITECTURE",
    "AuditConfig",
    "DataConfig",
    "DefenseSetting",
    "PluginUse",
    "PolicyConfig",
    "ReferenceConfig",
    "ReportConfig",
    "TargetConfig",
    "ask_ahead",
    "expand",
    "expand_stack",
    "judged_targets",
    "require_proposed",
    "resolved_policy",
]
