"""Systems that several tests observe; no test changes them."""

from __future__ import annotations

import pytest

from leakaudit.threat.system import System
from leakaudit_defenses.identity import Identity
from tests.threat.observed import NOISE
from tests.tiny import tiny_system


@pytest.fixture(scope="module")
def undefended() -> System:
    return tiny_system(Identity())


@pytest.fixture(scope="module")
def noisy() -> System:
    return tiny_system(NOISE)
