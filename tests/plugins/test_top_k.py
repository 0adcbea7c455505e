"""What top-k says of the values that it drops, held against trained networks on phantoms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from leakaudit.audit.scoring.caveats import caveats
from leakaudit.contracts import AttackFacts, ReleaseSetting
from leakaudit.data import Patient, phantom_cohort
from leakaudit.measure.fidelity import ssim_brain
from leakaudit.target.split_unet import SplitUNet
from leakaudit.target.training import TrainingData, TrainingSettings, build, train
from leakaudit.threat.observing import observe
from leakaudit.threat.presets import threat_named
from leakaudit.threat.system import System, images_of, masks_of
from leakaudit.types import Levels, SiteLevels
from leakaudit_attacks.activation_inversion import ActivationInversion
from leakaudit_attacks.matching_releases import activations
from leakaudit_defenses.top_k import TopK
from tests.tiny import tiny_spec

SPEC = tiny_spec((2, 2), 2, features=(8, 8, 16, 16, 16, 8))
FACTOR = 3.0


@pytest.fixture(scope="module")
def patients() -> list[Patient]:
    return list(phantom_cohort(patients=12, slices=4, size=32, seed=0, spatial_dims=2).patients)


@pytest.fixture(scope="module", params=[0.3, 0.1, 0.03])
def system(
    request: pytest.FixtureRequest,
    patients: list[Patient],
    tmp_path_factory: pytest.TempPathFactory,
) -> System:
    """Trained on the first six patients, fitted to the next three."""
    initial = build(SPEC, 0).eval()
    setting = ReleaseSetting(
        sites=2, releases_per_patient=4, auxiliary_levels=encoded(initial, patients[6:9])
    )
    defense = TopK(keep=request.param).fit(setting)
    slices = [list(one.tumour_slices) for one in patients[:6]]
    images = torch.cat([images_of(one)[kept] for one, kept in zip(patients, slices, strict=False)])
    masks = torch.cat([masks_of(one)[kept] for one, kept in zip(patients, slices, strict=False)])
    network = build(SPEC, 0)
    settings = TrainingSettings(epochs=12, batch_size=8)
    train(
        network,
        defense,
        TrainingData(views=tuple(images.split([2, 2], dim=1)), masks=masks),
        settings,
        seed=0,
        device=torch.device("cpu"),
        folder=tmp_path_factory.mktemp("training"),
        progress=lambda done, total: None,
        validate=lambda network: None,
    )
    return System(
        network=network.eval(),
        initial=initial,
        settings=settings,
        defense=defense,
        seed=0,
        device=torch.device("cpu"),
    )


def encoded(network: SplitUNet, patients: list[Patient]) -> SiteLevels:
    images = torch.cat([images_of(one) for one in patients])
    with torch.no_grad():
        return network.encode(images.split([2, 2], dim=1))


def ratios(defense: TopK, levels: Levels) -> list[float]:
    """Per level the stated variance of what was dropped over its mean square."""
    released = defense.apply(levels, ())
    found = []
    for sent, level, variance in zip(
        released, levels, defense.evidence(released).variances, strict=True
    ):
        dropped = variance > 0
        assert bool(dropped.any())
        assert torch.equal(sent[~dropped], level[~dropped])
        found.append(float(variance[dropped].mean() / level[dropped].square().mean()))
    return found


@pytest.mark.slow
def test_the_stated_variance_is_that_of_a_trained_network(
    system: System, patients: list[Patient]
) -> None:
    defense = system.defense
    assert isinstance(defense, TopK)
    even = []
    for levels in encoded(system.network, patients[9:]):
        for ratio in ratios(defense, levels):
            assert 1 / FACTOR < ratio < FACTOR
        even += ratios(replace(defense, spread=None), levels)
    if defense.keep <= 0.03:
        assert max(even) > FACTOR, "an even spread would do as well"
    assert caveats(AttackFacts.of(ActivationInversion()), system, patients[9]) == ()


@pytest.mark.slow
@pytest.mark.parametrize("system", [0.3, 0.03], indirect=True)  # the weakest and the strongest
def test_an_attack_that_is_told_the_truth_and_trusts_what_is_exact_recovers_more(
    system: System, patients: list[Patient], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(system.defense, TopK)
    told = recovered(system, patients)
    monkeypatch.setattr(activations, "_EXACT", 1.0)  # zeros count as much as what was kept
    even = replace(system, defense=replace(system.defense, spread=None))
    assert told > recovered(even, patients) + 0.01


def recovered(system: System, patients: list[Patient]) -> float:
    """Mean SSIM inside the brain of patients that nothing was trained on or fitted to."""
    victims = patients[9:]
    observation = observe(
        threat_named("curious-server-with-encoder"),
        system,
        victims=victims,
        auxiliary=patients[6:9],
        releases=1,
        training=patients[:6],
    )
    attack = ActivationInversion(iterations=110)
    found = attack(observation, seed=0, progress=lambda *_: None).reconstruction.images
    truth = np.stack([one.images[one.middle] for one in victims])
    brain = np.asarray((truth > 0.02).any(axis=1))
    return float(ssim_brain(found.numpy(), truth, brain).mean())


def test_unfitted_or_on_other_levels_an_even_spread_is_stated() -> None:
    levels = (torch.tensor([3.0, 2, 0.5, 0, 0, 4, 0.1, -1]).view(1, 2, 2, 2),)
    setting = ReleaseSetting(sites=1, releases_per_patient=1, auxiliary_levels=(levels,))
    fitted = TopK(keep=0.5).fit(setting)
    assert fitted.spread == pytest.approx((0.26 / 4,))
    assert repr(fitted) == "TopK(keep=0.5)"
    (level,) = levels
    for defense, of in ((TopK(keep=0.5), levels), (fitted, (level, level))):
        released = defense.apply(of, ())
        assert float(defense.evidence(released).variances[0].max()) == pytest.approx(1 / 3)


def test_what_drops_nothing_of_the_auxiliary_patients_is_fitted_all_the_same() -> None:
    for keep, level in ((1.0, torch.rand(2, 2, 4, 4)), (0.5, torch.zeros(2, 2, 4, 4))):
        setting = ReleaseSetting(sites=1, releases_per_patient=1, auxiliary_levels=((level,),))
        fitted = TopK(keep=keep).fit(setting)
        assert fitted.spread == (1 / 3,)


def test_encoders_whose_small_values_are_all_0_make_no_dropped_value_exact() -> None:
    sparse = torch.tensor([3.0, 2, 0, 0, 0, 4, 0, -1]).view(1, 2, 2, 2)
    setting = ReleaseSetting(sites=1, releases_per_patient=1, auxiliary_levels=((sparse,),))
    fitted = TopK(keep=0.5).fit(setting)
    assert fitted.spread == (1e-6,)
    level = torch.tensor([3.0, 2, 0.5, 0, 0, 4, 0.1, -1]).view(1, 2, 2, 2)
    evidence = fitted.evidence(fitted.apply((level,), ()))
    kept = level.abs() >= 1
    assert torch.equal(evidence.variances[0] == 0, kept)
    noisy = replace(evidence, variances=(torch.full_like(level, 1e-9),))
    assert float(fitted.evidence_from(noisy).variances[0].min()) > 1e-7
