"""Observations that are small enough for a test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from leakaudit.contracts import Capability, Defense, Observation, ReleaseSetting, Stage
from leakaudit.data import phantom_cohort
from leakaudit.target.split_unet import SplitUNetSpec
from leakaudit.target.training import TrainingSettings, build
from leakaudit.threat.observing import observe
from leakaudit.threat.presets import Threat, threat_named
from leakaudit.threat.system import System, images_of, middle_slices
from leakaudit.types import Levels


def example_observation(
    threat: str, defense: Defense | None = None, *, size: int = 32, seed: int = 0
) -> Observation:
    """Observe a small untrained network of simulated patients under a threat.

    Two sites of two modalities, cut at level 1, all skips crossing; 2 victims, 3 auxiliary
    patients, 3 others in training, batches of one slice. A data site is the first. Where candidates
    are granted, they are those in training and the victims.

    Args:
        threat: name of a preset.
        defense: fitted here; none if it is left out.
        size: pixels per side, a multiple of 16, at least 32.
        seed: of the network and the patients.

    Raises:
        ConfigError: there is no such threat.
    """
    preset = threat_named(threat)
    patients = phantom_cohort(patients=8, slices=2, size=size, seed=seed, spatial_dims=2).patients
    victims, auxiliary, others = patients[:2], patients[2:5], patients[5:]
    spec = SplitUNetSpec(
        channels=(2, 2), cut_level=1, shared_skips=(0,), features=(8, 8, 8, 16, 16, 8)
    )
    images = torch.cat([images_of(patient) for patient in auxiliary])
    with torch.no_grad():
        levels = build(spec, seed).eval().encode(images.split([2, 2], dim=1))
    setting = ReleaseSetting(sites=2, releases_per_patient=2, auxiliary_levels=levels)
    fitted = (defense or _Undefended()).fit(setting)
    initial, halfway, network = (build(spec, seed + number, fitted).eval() for number in range(3))
    system = System(
        network=network,
        initial=initial,
        defense=fitted,
        seed=seed,
        device=torch.device("cpu"),
        settings=TrainingSettings(epochs=2, keep_encoders=True, keep_networks=(1,)),
        between={1: halfway},
        transcript=(tuple(halfway.encoders), tuple(network.encoders)),
    )
    return observe(
        preset,
        system,
        victims=victims,
        auxiliary=auxiliary,
        releases=1,
        site=0 if preset.position == "data site" else None,
        training=others,
        candidates=middle_slices([*others, *victims]) if _lists_candidates(preset) else None,
    )


def _lists_candidates(threat: Threat) -> bool:
    return Capability.CANDIDATES in threat.capabilities


@dataclass(frozen=True, kw_only=True)
class _Undefended(Defense):
    acts_on: ClassVar[frozenset[Stage]] = frozenset()
    off: ClassVar[Mapping[str, Any] | None] = {}

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        return ()

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return levels
