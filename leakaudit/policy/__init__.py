"""A user's policy held against the records of an audit; no torch."""

from leakaudit.policy.judging import judge

__all__ = ["judge"]
