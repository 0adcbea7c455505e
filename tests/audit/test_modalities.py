"""How much of each modality an attack recovered, beside what a guess gets of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from leakaudit.audit.scoring.images import ImageScorer
from leakaudit.contracts import Reconstruction
from leakaudit.records import Leakage
from tests.tiny import tiny_patients

VICTIMS, AUXILIARY = tiny_patients(3, seed=8), tiny_patients(3, seed=7)
TRUTH = np.stack([patient.images[patient.middle] for patient in VICTIMS])
NAMES = tuple(f"modality {number}" for number in range(TRUTH.shape[1]))


def scored(images: np.ndarray, scorer: ImageScorer) -> Leakage:
    return scorer.figures(
        Reconstruction(
            images=torch.from_numpy(images.copy()),
            objective_first=1.0,
            objective_last=0.5,
            iterations=1,
        )
    )["leakage"]


def test_a_modality_that_was_copied_stands_out() -> None:
    images = np.zeros_like(TRUTH)
    images[:, 1] = TRUTH[:, 1]
    found = scored(images, ImageScorer(VICTIMS, AUXILIARY, VICTIMS, names=NAMES))
    assert tuple(found.by_modality) == tuple(found.blind_by_modality) == NAMES
    means = [score.mean for score in found.by_modality.values()]
    assert means[1] == pytest.approx(1)
    assert max(means[:1] + means[2:]) < 0.9
    assert np.mean(means) == pytest.approx(found.ssim_brain.mean)
    assert np.mean(list(found.blind_by_modality.values())) == pytest.approx(found.blind_floor)
    assert found.by_modality[NAMES[0]].n == len(VICTIMS)


def test_of_chosen_modalities_each_keeps_its_name() -> None:
    chosen = [1, 0]
    scorer = ImageScorer(VICTIMS, AUXILIARY, VICTIMS, modalities=chosen, names=("b", "a"))
    found = scored(np.stack([TRUTH[:, 1], 0 * TRUTH[:, 0]], axis=1), scorer)
    assert found.by_modality["b"].mean == pytest.approx(1)
    assert found.by_modality["a"].mean < 0.9


def test_what_was_written_before_is_read_without() -> None:
    found = scored(TRUTH, ImageScorer(VICTIMS, AUXILIARY, VICTIMS))
    assert not found.by_modality
    assert not found.blind_by_modality
    before = found.model_dump(exclude={"by_modality", "blind_by_modality"})
    assert Leakage.model_validate(before) == found
