"""The attacks that read weight gradients, cut gradients or updates."""

from __future__ import annotations

import pytest
import torch

from leakaudit.contracts import (
    Attack,
    Attempt,
    Capability,
    GradientRelease,
    Observation,
    SystemLayout,
)
from leakaudit.threat.gradients import Companions
from leakaudit.threat.observing import observe
from leakaudit.threat.presets import PRESETS, threat_named
from leakaudit.threat.system import images_of
from leakaudit_attacks.cafe import Cafe
from leakaudit_attacks.cut_gradient_inversion import CutGradientInversion
from leakaudit_attacks.deep_leakage import DeepLeakage
from leakaudit_attacks.gradient_inversion import GradientInversion
from leakaudit_attacks.gradients.misfit import GradientMatch
from leakaudit_attacks.gradients.ridge import Ridge, best_ridge, sketched
from leakaudit_attacks.gradients.variation import varied
from leakaudit_attacks.group_gradient_inversion import GroupGradientInversion
from leakaudit_attacks.learned_gradient_inversion import LearnedGradientInversion
from leakaudit_attacks.learned_update_inversion import LearnedUpdateInversion
from leakaudit_attacks.medical_gradient_inversion import MedicalGradientInversion
from leakaudit_attacks.optimising.starts import auxiliary_mean
from leakaudit_defenses.gaussian_noise import GaussianNoise
from leakaudit_defenses.identity import Identity
from tests.plugins.attacked import (
    AUXILIARY,
    COMPANIONS,
    EASY,
    VICTIMS,
    observation_for,
    quietly,
    score,
)
from tests.tiny import tiny_patients, tiny_system


@pytest.mark.slow
def test_cafe_matches_gradients_and_what_crossed_the_cut_at_once() -> None:
    observation = observation_for("server-and-aggregator", spec=EASY)
    attack = Cafe(iterations=50)
    found = attack(observation, seed=0, progress=quietly).reconstruction
    assert score(found.images) > 0.9
    blind = Cafe(iterations=50, representation=0.0)(observation, seed=0, progress=quietly)
    assert score(blind.reconstruction.images) < score(found.images) - 0.2


@pytest.mark.slow
def test_cafe_gains_from_gradients_what_noise_hides_in_the_release() -> None:
    observation = observation_for("server-and-aggregator", GaussianNoise(std=3.0), EASY)
    both, release = (
        Cafe(iterations=70, gradients=weight)(observation, seed=0, progress=quietly)
        for weight in (1.0, 0.0)
    )
    assert score(both.reconstruction.images) > score(release.reconstruction.images) + 0.1


def test_cut_gradients_give_more_than_the_mean_of_the_adversarys_patients() -> None:
    observation = observation_for("aggregator", spec=EASY)
    attack = CutGradientInversion(steps=60, width=16, batch_size=4)
    attempt = attack(observation, seed=0, progress=quietly)
    mean = auxiliary_mean(observation.auxiliary, len(VICTIMS))
    assert score(attempt.reconstruction.images) > score(mean) + 0.1
    assert attempt.reconstruction.objective_last < attempt.reconstruction.objective_first
    # Every slice of the adversary's patients once, and once mirrored.
    assert attempt.queries == 2 * sum(len(patient.images) for patient in AUXILIARY)


def test_a_batch_hides_no_slice_from_whoever_sees_each_cut_gradient() -> None:
    attack = CutGradientInversion(steps=60, width=16, batch_size=4, examples=10)
    observation = observation_for("aggregator", spec=EASY, batch=4)
    attempt = attack(observation, seed=0, progress=quietly)
    mean = auxiliary_mean(observation.auxiliary, len(VICTIMS))
    assert score(attempt.reconstruction.images) > score(mean) + 0.1
    assert attempt.queries == 12  # ten examples in whole batches


@pytest.mark.slow
def test_shuffled_gradients_teach_nothing_of_the_victims() -> None:
    attack = CutGradientInversion(steps=60, width=16, batch_size=4)
    learned, twin = (
        score(
            attack(
                observe(
                    PRESETS["aggregator"],
                    tiny_system(Identity(), EASY, AUXILIARY),
                    victims=VICTIMS,
                    auxiliary=AUXILIARY,
                    releases=1,
                    shuffled=shuffled,
                ),
                seed=0,
                progress=quietly,
            ).reconstruction.images
        )
        for shuffled in (False, True)
    )
    observation = observation_for("aggregator", spec=EASY)
    mean = score(auxiliary_mean(observation.auxiliary, len(VICTIMS)))
    assert twin <= mean + 0.02
    assert learned > mean + 0.1


def test_the_size_of_a_gradient_does_not_matter() -> None:
    observation = observation_for("aggregator", spec=EASY)
    halved = {c: observation._get(c) for c in observation.granted}
    halved[Capability.CUT_GRADIENTS] = tuple(
        tuple(tuple(level / 1024 for level in site) for site in sites)
        for sites in observation.cut_gradients
    )
    attack = CutGradientInversion(steps=3, width=4, batch_size=2, examples=4)
    first, second = (
        attack(each, seed=0, progress=quietly).reconstruction.images
        for each in (
            observation,
            Observation(threat="test", layout=observation.layout, held=halved),
        )
    )
    torch.testing.assert_close(first, second, rtol=0, atol=1e-6)


def learned_from_weight_gradients(batches: int, *, shuffled: bool = False) -> Attempt:
    own = tiny_patients(12, slices=2, seed=2)
    observation = observe(
        PRESETS["aggregator-alone"],
        tiny_system(Identity(), EASY, own),
        victims=VICTIMS,
        auxiliary=own,
        releases=1,
        shuffled=shuffled,
    )
    return LearnedGradientInversion(batches=batches)(observation, seed=0, progress=quietly)


@pytest.mark.slow
def test_weight_gradients_alone_tell_one_patient_from_another() -> None:
    attempt = learned_from_weight_gradients(150)
    found = attempt.reconstruction
    own = score(found.images)
    assert own > score(found.images.flip(0)) + 0.05
    assert found.objective_last < 0.9 * found.objective_first
    assert attempt.queries == 150
    twin = learned_from_weight_gradients(60, shuffled=True).reconstruction
    assert own > score(twin.images) + 0.03
    assert twin.objective_last > 0.95, "nothing can be learned: the ridge keeps to the mean"
    assert float((twin.images[0] - twin.images[1]).abs().mean()) < 0.02


@pytest.mark.slow
def test_the_update_of_a_round_tells_one_patient_from_another() -> None:
    observation = observe(
        threat_named("aggregator-of-rounds"),
        tiny_system(Identity(), EASY, AUXILIARY),
        victims=VICTIMS,
        auxiliary=AUXILIARY,
        releases=1,
        round_steps=2,
    )
    attempt = LearnedUpdateInversion(batches=80)(observation, seed=0, progress=quietly)
    found = attempt.reconstruction
    assert score(found.images) > score(found.images.flip(0)) + 0.03
    assert found.objective_last < 0.95 * found.objective_first


def test_the_strength_of_a_ridge_is_judged_on_whom_it_did_not_learn_from() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(60, 200, generator=generator)
    linear = features @ torch.randn(200, 8, generator=generator)
    noise = torch.randn(60, 8, generator=generator)
    folds = torch.arange(60) % 3
    learned, nothing = (best_ridge(features, values, folds) for values in (linear, noise))
    assert learned.error < 0.9
    assert learned.strength < nothing.strength
    assert nothing.error > 0.95
    assert torch.allclose(Ridge(features, linear, 1e-4)(features), linear, atol=0.1)


def test_a_sketch_keeps_inner_products() -> None:
    rows = torch.randn(2, 50_000, generator=torch.Generator().manual_seed(0))
    rows[1] += rows[0]
    short = sketched(rows, torch.Generator().manual_seed(1))
    assert short.shape == (2, 4096)
    torch.testing.assert_close(short @ short.T, rows @ rows.T, rtol=0.1, atol=2000)
    narrow = rows[:, :9]
    assert torch.equal(sketched(narrow, torch.Generator()), narrow)


def test_variation_bends_an_image_and_its_mask_alike() -> None:
    mask = torch.zeros(20, 32, 32, dtype=torch.int64)
    mask[:, 8:16, 4:14] = 1
    images = torch.stack([mask.float(), 0.5 * mask], dim=1)
    bent, labels = varied(images, mask, torch.Generator().manual_seed(0))
    assert labels.dtype == torch.int64
    assert 0 <= float(bent.min()) <= float(bent.max()) <= 1
    inside = (bent[:, 0] > 0.5).long()
    assert float((inside == labels).float().mean()) > 0.98
    assert not torch.equal(inside, mask)
    # Mirrored half of the time: the right half holds the patch then.
    right = labels[..., 16:].flatten(1).sum(1) > labels[..., :16].flatten(1).sum(1)
    assert 3 < int(right.sum()) < 17


def test_the_match_of_a_batch_is_exact_at_its_slices_in_their_places() -> None:
    companions = Companions(batch=2, patients=COMPANIONS)
    observation = observation_for("aggregator", spec=EASY, batch=2)
    match = GradientMatch(observation, 1, torch.Generator().manual_seed(0))
    own = [images_of(patient)[patient.middle][None] for patient in VICTIMS]
    draws = tiny_system(Identity(), EASY, AUXILIARY).draws
    others = [companions.of(patient, draws, "final")[0] for patient in VICTIMS]
    pairs = list(zip(own, others, strict=True))
    right, swapped = (
        torch.stack([torch.cat(pair if step > 0 else pair[::-1]).flatten(0, 1) for pair in pairs])
        for step in (1, -1)
    )
    assert float(match(right, 0).detach().max()) < 1e-5
    assert float(match(swapped, 0).detach().min()) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(
    "attack",
    [
        GradientInversion(iterations=80),
        GradientInversion(iterations=80, signed=True, anisotropic=True),
        GroupGradientInversion(iterations=60),
        MedicalGradientInversion(iterations=70),
    ],
    ids=lambda attack: type(attack).__name__,
)
def test_matching_gradients_recovers_more_than_the_mean_where_it_is_easy(attack: Attack) -> None:
    observation = observation_for("aggregator", spec=EASY)
    found = attack(observation, seed=0, progress=quietly).reconstruction
    mean = auxiliary_mean(observation.auxiliary, len(VICTIMS))
    assert score(found.images) > score(mean) + 0.1
    assert found.objective_last < found.objective_first


class SmoothEncoder(torch.nn.Module):
    """Two convolutions with sigmoids, as in the network of Zhu et al. 2019."""

    def __init__(self) -> None:
        super().__init__()
        first, second = (torch.nn.Conv2d(each, 12, 5, padding=2) for each in (1, 12))
        self.blocks = torch.nn.Sequential(first, torch.nn.Sigmoid(), second, torch.nn.Sigmoid())

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (self.blocks(images),)


@pytest.mark.slow
def test_deep_leakage_recovers_images_exactly_from_a_smooth_encoder() -> None:
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = SmoothEncoder()
    private = torch.rand(2, 1, 8, 8, generator=generator)
    returned = torch.randn(2, 12, 8, 8, generator=generator)
    gradients = tuple(
        torch.autograd.grad(
            (encoder(private[[index]])[0] * returned[[index]]).sum(), list(encoder.parameters())
        )
        for index in range(2)
    )
    release = GradientRelease(checkpoint="final", encoders=(encoder,), gradients=gradients)
    observation = Observation(
        threat="test",
        layout=SystemLayout(
            channels=(1,), crossing=(0,), features=(12,), spatial=(8, 8), victims=2
        ),
        held={
            Capability.WEIGHT_GRADIENTS: (release,),
            Capability.CUT_GRADIENTS: (((returned,),),),
            Capability.ENCODER_WEIGHTS: (encoder,),
            Capability.DEFENSE_PARAMETERS: Identity(),
        },
    )
    found = DeepLeakage(iterations=100)(observation, seed=0, progress=quietly).reconstruction
    assert float((found.images - private).abs().mean()) < 0.02
    assert found.objective_last < 1e-3 * found.objective_first


@pytest.mark.slow
def test_gradient_inversion_lowers_its_own_objective() -> None:
    attack = GradientInversion(iterations=20)
    found = attack(observation_for("aggregator"), seed=0, progress=quietly).reconstruction
    assert found.objective_last < found.objective_first - 0.01
    assert found.iterations == 40
    counted = [int(note.split()[0]) for note in found.notes]
    assert 1 <= len(counted) <= 2
    assert sum(counted) == len(VICTIMS)
    assert 0 not in counted
