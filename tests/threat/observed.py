"""What the tests of observations share: patients, and what a threat is shown of a system."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import torch

from leakaudit.contracts import Capability, Observation
from leakaudit.data import Patient
from leakaudit.threat.observing import observe
from leakaudit.threat.presets import PRESETS, Threat, threat_named
from leakaudit.threat.system import System, images_of, middle_slices
from leakaudit.types import SiteLevels
from leakaudit_defenses.gaussian_noise import GaussianNoise
from tests.tiny import tiny_patients

NOISE = GaussianNoise(std=0.3)


VICTIMS = tiny_patients(2, slices=3, seed=1)


AUXILIARY = tiny_patients(3, slices=2, seed=2)


COMPANIONS = tiny_patients(3, slices=2, seed=3)


COHORT = tiny_patients(2, slices=8, seed=3)


def observed(
    system: System, threat: str | Threat, *, releases: int = 1, **more: Any
) -> Observation:
    preset = threat_named(threat) if isinstance(threat, str) else threat
    return observe(
        preset,
        system,
        victims=VICTIMS,
        auxiliary=AUXILIARY,
        releases=releases,
        **{
            "site": site_of(preset.name),
            "training": COHORT,
            "candidates": middle_slices([*COHORT, *VICTIMS]) if listed(preset.name) else None,
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


def tensors_in(value: Any, seen: set[int] | None = None) -> Iterator[torch.Tensor]:
    """Every tensor that can be reached by looking into what is held, closures included."""
    seen = set() if seen is None else seen
    if id(value) in seen:
        return
    seen.add(id(value))
    parts: list[Any] = []
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, torch.nn.Module):
        yield from value.state_dict().values()
    elif isinstance(value, dict):
        parts = list(value.values())
    elif isinstance(value, tuple | list):
        parts = list(value)
    elif is_dataclass(value):
        parts = [getattr(value, field.name) for field in fields(value)]
    else:
        parts = [cell.cell_contents for cell in getattr(value, "__closure__", None) or ()]
    for part in parts:
        yield from tensors_in(part, seen)
