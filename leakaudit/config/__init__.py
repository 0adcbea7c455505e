"""What an audit can be told: frozen sections, their defaults and what they refuse."""

from leakaudit.config.audit import AuditConfig, DataConfig, ReferenceConfig
from leakaudit.config.plugins import ARCHITECTURE, DefenseSetting, PluginUse, expand, expand_stack
from leakaudit.config.target import TargetConfig

__all__ = [
    "ARCHITECTURE",
    "AuditConfig",
    "DataConfig",
    "DefenseSetting",
    "PluginUse",
    "ReferenceConfig",
    "TargetConfig",
    "expand",
    "expand_stack",
]
