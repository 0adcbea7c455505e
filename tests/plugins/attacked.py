"""What the tests of attacks share: patients, observations and how a reconstruction is scored."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from leakaudit.contracts import Defense, Observation
from leakaudit.data import Patient, brain_mask
from leakaudit.measure.fidelity import ssim_brain
from leakaudit.target.split_unet import SplitUNetSpec
from leakaudit.threat.gradients import Companions
from leakaudit_defenses.identity import Identity
from tests.tiny import tiny_observation, tiny_patients, tiny_spec

VICTIMS = tiny_patients(2, slices=1, seed=1)


AUXILIARY = tiny_patients(3, slices=2, seed=2)


COMPANIONS = tiny_patients(3, slices=2, seed=3)


EASY = tiny_spec(cut_level=0, features=(16, 4, 4, 4, 4, 4))


def quietly(done: int, total: int) -> None:
    pass


def observation_for(
    threat: str,
    defense: Defense | None = None,
    spec: SplitUNetSpec | None = None,
    releases: int = 1,
    batch: int = 1,
) -> Observation:
    return tiny_observation(
        threat,
        defense or Identity(),
        spec,
        victims=VICTIMS,
        auxiliary=AUXILIARY,
        releases=releases,
        companions=Companions(batch=batch, patients=COMPANIONS),
    )


def truth(patients: list[Patient]) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.stack([patient.images[patient.middle] for patient in patients])


def score(images: torch.Tensor) -> float:
    """SSIM inside the brain, mean over the victims."""
    private = truth(VICTIMS)
    return float(ssim_brain(images.numpy(), private, brain_mask(private)).mean())
