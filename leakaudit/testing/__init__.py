"""Tests that every plug-in must pass, ours and a third party's.

In: an attack or a defense, as in ``check_defense(MyDefense(strength=0.5))``.  Out: nothing, or an
`AssertionError` with one sentence that says which promise is broken.
"""

from leakaudit.testing.attacks import check_attack
from leakaudit.testing.defenses import check_defense
from leakaudit.testing.observations import example_observation
from leakaudit.threat.disguises.base import Disguise
from leakaudit.threat.disguises.composed import control_disguise, disguises

__all__ = [
    "Disguise",
    "check_attack",
    "check_defense",
    "control_disguise",
    "disguises",
    "example_observation",
]
