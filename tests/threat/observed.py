"""What the tests of observations share: patients, and what a threat is shown of a system."""

from __future__ import annotations

from typing import Any

import torch

from leakaudit.contracts import Capability, Observation
from leakaudit.data import Patient
from leakaudit.threat.observing import observe
from leakaudit.threat.presets import PRESETS, threat_named
from leakaudit.threat.system import System, images_of, middle_slices
from leakaudit.types import SiteLevels
from leakaudit_defenses.gaussian_noise import GaussianNoise
from tests.tiny import tiny_patients

NOISE = GaussianNoise(std=0.3)


VICTIMS = tiny_patients(2, slices=3, seed=1)


AUXILIARY = tiny_patients(3, slices=2, seed=2)


COMPANIONS = tiny_patients(3, slices=2, seed=3)


COHORT = tiny_patients(2, slices=8, seed=3)


def observed(system: System, threat: str, *, releases: int = 1, **more: Any) -> Observation:
    return observe(
        threat_named(threat),
        system,
        victims=VICTIMS,
        auxiliary=AUXILIARY,
        releases=releases,
        **{
            "site": site_of(threat),
            "training": COHORT,
            "candidates": middle_slices([*COHORT, *VICTIMS]) if listed(threat) else None,
            **more,
        },
    )


def listed(threat: str) -> bool:
    return Capability.CANDIDATES in PRESETS[threat].capabilities


def site_of(threat: str) -> int | None:
    return 1 if PRESETS[threat].position == "data site" else None


def middle_images(patients: list[Patient]) -> torch.Tensor:
    return torch.cat([images_of(p)[p.middle : p.middle + 1] for p in patients])


def flat(levels: SiteLevels) -> list[torch.Tensor]:
    return [level for site in levels for level in site]
