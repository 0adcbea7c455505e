"""Judges an audit by a policy. No torch.

In: a policy and the records of an audit.  Out: a verdict, with the rule and the attack that
decided.
"""

from leakaudit.policy.judging import judge

__all__ = ["judge"]
