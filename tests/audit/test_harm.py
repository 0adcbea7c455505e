"""The tumour that a segmenter of other patients finds in what an attack recovered."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from leakaudit.audit.planning.matrix import build_matrix
from leakaudit.audit.scoring.images import ImageScorer
from leakaudit.config import AuditConfig
from leakaudit.contracts import Reconstruction
from leakaudit.data import Patient, split_patients
from tests.conftest import Audit
from tests.tiny import tiny_patients

AUXILIARY = tiny_patients(3, seed=7)


def bright(images: np.ndarray) -> np.ndarray:
    """A segmenter of phantoms whose tumour is the only thing brighter than 0.95."""
    return (images[:, 0] > 0.95).astype(np.int64)


def marked(count: int) -> list[Patient]:
    """Patients whose tumour is brighter than any tissue."""
    patients = []
    for patient in tiny_patients(count, seed=8):
        images = 0.9 * patient.images
        images[:, 0][patient.masks > 0] = 1.0
        patients.append(replace(patient, images=images.astype(np.float32)))
    return patients


def reconstruction(images: np.ndarray) -> Reconstruction:
    return Reconstruction(
        images=torch.from_numpy(images.copy()),
        objective_first=1.0,
        objective_last=0.5,
        iterations=1,
    )


def test_the_tumour_is_found_in_the_original_and_not_in_the_blind_guess() -> None:
    victims = marked(3)
    scorer = ImageScorer(victims, AUXILIARY, victims, segmenter=bright)
    truth = np.stack([patient.images[patient.middle] for patient in victims])
    perfect = scorer.figures(reconstruction(truth))["leakage"]
    assert perfect.harm is not None
    assert perfect.harm.reconstruction.mean == perfect.harm.original == pytest.approx(1)
    assert perfect.harm.blind == 0
    half = truth.copy()
    half[0] = 0  # nothing is recovered of the first victim
    found = scorer.figures(reconstruction(half))["leakage"]
    assert found.harm is not None
    assert [patient.tumour_dice for patient in found.patients] == [0, 1, 1]
    assert found.harm.reconstruction.mean == pytest.approx(2 / 3)
    assert found.harm.original == pytest.approx(1)


def test_a_slice_without_a_tumour_has_no_dice_and_is_not_counted() -> None:
    victims = marked(3)
    victims[0] = replace(victims[0], masks=np.zeros_like(victims[0].masks))
    scorer = ImageScorer(victims, AUXILIARY, victims, segmenter=bright)
    truth = np.stack([patient.images[patient.middle] for patient in victims])
    found = scorer.figures(reconstruction(truth))["leakage"]
    assert found.patients[0].tumour_dice is None
    assert found.harm is not None
    assert found.harm.reconstruction.n == 2


def test_without_a_segmenter_there_is_no_figure() -> None:
    victims = marked(2)
    truth = np.stack([patient.images[patient.middle] for patient in victims])
    found = ImageScorer(victims, AUXILIARY, victims).figures(reconstruction(truth))["leakage"]
    assert found.harm is None
    assert {patient.tumour_dice for patient in found.patients} == {None}


def test_only_victims_that_it_never_saw_meet_the_segmenter_and_it_is_trained_anyway(
    tiny_audit: Audit,
) -> None:
    splits = split_patients([str(number) for number in range(12)], 0)
    matrix = build_matrix(AuditConfig.model_validate(tiny_audit), "data", splits)
    trained = {target.key: target for target in matrix.targets}
    for cell in matrix.cells:
        if cell.threat.victims == "training":
            assert cell.segmenter is None
        elif not cell.missing:
            assert cell.segmenter is not None
            segmenter = trained[cell.segmenter.key]
            assert (segmenter.spec.cut_level, segmenter.defense_name) == (0, "identity")
            assert segmenter.seed == cell.target.seed
    assert {cell.threat.victims for cell in matrix.cells} == {"training", "inference"}
