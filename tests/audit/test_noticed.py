"""Small changes of the code that earlier tests did not notice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from leakaudit import registry
from leakaudit.audit.planning import keys as planned_keys
from leakaudit.audit.results.controls import _by_own_controls
from leakaudit.audit.scoring.masks import MaskScorer
from leakaudit.audit.storage.system import noise_to_signal
from leakaudit.config import PluginUse, expand
from leakaudit.contracts import Reconstruction
from leakaudit.data import Patient, Splits
from leakaudit.data.splits import victims_of
from leakaudit.records import Control, State
from leakaudit.target.effects import Effects
from leakaudit.threat.system import images_of, release_patient
from tests.audit.test_matrix import keys, matrix
from tests.report.sample import sample_report
from tests.tiny import tiny_patients, tiny_system


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("METRIC_VERSION", lambda _: "another"),
        ("core_code", lambda _: lambda: "another"),
        *(
            (
                "version",
                lambda real, package=package: lambda one: "0" if one == package else real(one),
            )
            for package in ("torch", "monai", "scikit-image", "numpy", "scipy")
        ),
        ("choose_device", lambda _: lambda wanted: torch.device("meta")),
    ],
    ids=["metric", "core", "torch", "monai", "scikit-image", "numpy", "scipy", "device"],
)
def test_an_upgrade_reuses_no_old_figure(
    name: str,
    other: Callable[[Any], Any],
    tiny_audit: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = keys(matrix(tiny_audit))
    assert keys(matrix(tiny_audit)) == before
    monkeypatch.setattr(planned_keys, name, other(getattr(planned_keys, name)))
    targets, cells = keys(matrix(tiny_audit))
    assert not targets & before[0]
    assert not cells & before[1]


def test_another_attack_code_makes_other_cells_and_keeps_the_trainings(
    tiny_audit: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = keys(matrix(tiny_audit))
    monkeypatch.setattr(planned_keys, "attack_code", lambda _: ["another"])
    targets, cells = keys(matrix(tiny_audit))
    assert targets == before[0]
    assert not cells & before[1]


def test_another_defense_code_makes_other_trainings_and_cells(
    tiny_audit: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = keys(matrix(tiny_audit))
    monkeypatch.setattr(registry, "code_of", lambda _: "another")
    targets, cells = keys(matrix(tiny_audit))
    assert not targets & before[0]
    assert not cells & before[1]


@pytest.mark.parametrize(("high", "notes"), [(-0.02, 1), (0.0, 0), (0.1, 0)])
def test_an_attack_that_ends_below_a_guess_says_so_and_is_not_doubted(
    high: float, notes: int
) -> None:
    cell = next(one for one in sample_report().cells if one.leakage is not None)
    assert cell.leakage is not None
    advantage = cell.leakage.advantage.model_copy(update={"mean": high - 0.1, "high": high})
    found = _by_own_controls(
        cell.model_copy(
            update={
                "leakage": cell.leakage.model_copy(update={"advantage": advantage}),
                "negative_control": Control(passed=True, detail="made"),
                "notes": (),
                "doubts": (),
            }
        )
    )
    assert (found.state, found.doubts, len(found.notes)) == (State.OK, (), notes)


def test_noise_to_signal_is_a_ratio_of_standard_deviations() -> None:
    ((_, defense),) = expand("defense", PluginUse(name="gaussian-noise", parameters={"std": 0.7}))
    system, patients = tiny_system(defense), tiny_patients(2)
    total, by_level = noise_to_signal(system, patients, Effects(defense, "inference"))
    sent, clean = [], []
    for patient in patients:
        views = images_of(patient).split(list(system.network.spec.channels), 1)
        with torch.no_grad():
            clean += [level.numpy() for site in system.network.encode(views) for level in site]
        sent += [level.numpy() for site in release_patient(system, patient, 0) for level in site]
    noise = [after - before for after, before in zip(sent, clean, strict=True)]

    def ratio(pairs: list[tuple[np.ndarray, np.ndarray]]) -> float:
        added, kept = (
            np.concatenate([each.ravel() for each in part]) for part in zip(*pairs, strict=True)
        )
        return float(added.std(ddof=1) / kept.std(ddof=1))

    pairs = list(zip(noise, clean, strict=True))
    levels = len(system.network.spec.crossing)
    assert total == pytest.approx(ratio(pairs), rel=1e-4)
    for index, level in enumerate(system.network.spec.crossing):
        assert by_level[str(level)] == pytest.approx(ratio(pairs[index::levels]), rel=1e-4)


def test_who_is_attacked_of_the_training_patients_depends_on_the_seed() -> None:
    train = tuple(f"p{number}" for number in range(30))
    splits = Splits(train=train, validation=("v",), auxiliary=("a",), victims=("x", "y", "z"))
    drawn = {seed: victims_of(splits, "training", seed) for seed in range(4)}
    assert len(set(drawn.values())) == 4
    assert drawn[0] == victims_of(splits, "training", 0)
    assert all(set(names) <= set(train) for names in drawn.values())


def with_tumour(patient: Patient) -> Patient:
    masks = patient.masks.copy()
    masks[:, :8, :8] = 1
    return replace(patient, masks=masks)


@pytest.mark.parametrize(("value", "dice"), [(0.45, 0.0), (0.5, 0.0), (0.55, 1.0)])
def test_a_recovered_mask_has_a_tumour_above_one_half(value: float, dice: float) -> None:
    victims = [with_tumour(one) for one in tiny_patients(3)]
    scorer = MaskScorer(victims, [with_tumour(one) for one in tiny_patients(2, seed=9)])
    truth = np.stack([one.masks[one.middle] > 0 for one in victims])[:, None]
    found = Reconstruction(
        images=torch.from_numpy(np.where(truth, value, 0.0)).float(),
        objective_first=1.0,
        objective_last=0.5,
        iterations=1,
    )
    assert scorer.figures(found)["mask_leakage"].dice.mean == pytest.approx(dice)
