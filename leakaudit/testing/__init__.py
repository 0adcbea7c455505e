"""The contracts that every plug-in is tested against, ours and a third party's.

In a test of your own: ``check_defense(MyDefense(strength=0.5))``. A check raises `AssertionError`
with one sentence that says what does not hold.
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
