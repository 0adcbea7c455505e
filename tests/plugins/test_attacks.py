from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from leakaudit.contracts import (
    Attack,
    Attempt,
    Capability,
    Defense,
    GradientRelease,
    Observation,
    SystemLayout,
)
from leakaudit.data import Patient, brain_mask, phantom_cohort
from leakaudit.errors import ConfigError, NotGranted
from leakaudit.measure.fidelity import ssim_brain
from leakaudit.measure.masks import dice_masks
from leakaudit.registry import usable
from leakaudit.target.split_unet import SplitUNetSpec
from leakaudit.target.training import build
from leakaudit.testing import check_attack
from leakaudit.threat.gradients import Companions
from leakaudit.threat.observing import observe
from leakaudit.threat.own_site import Returned
from leakaudit.threat.presets import PRESETS, threat_named
from leakaudit.threat.system import images_of
from leakaudit_attacks.activation_inversion import ActivationInversion
from leakaudit_attacks.cafe import Cafe
from leakaudit_attacks.cut_gradient_inversion import CutGradientInversion
from leakaudit_attacks.decoder_inversion import DecoderInversion
from leakaudit_attacks.deep_leakage import DeepLeakage
from leakaudit_attacks.feature_space_hijacking import FeatureSpaceHijacking, _Hijacker
from leakaudit_attacks.gradient_inversion import GradientInversion
from leakaudit_attacks.gradients import GradientMatch
from leakaudit_attacks.group_gradient_inversion import GroupGradientInversion
from leakaudit_attacks.head_mask_inference import HeadMaskInference
from leakaudit_attacks.learned_gradient_inversion import LearnedGradientInversion
from leakaudit_attacks.learned_update_inversion import LearnedUpdateInversion
from leakaudit_attacks.mask_inference import MaskInference
from leakaudit_attacks.medical_gradient_inversion import MedicalGradientInversion
from leakaudit_attacks.other_site_inversion import OtherSiteInversion
from leakaudit_attacks.pseudo_client_inversion import PseudoClientInversion
from leakaudit_attacks.release_statistics import ReleaseStatistics
from leakaudit_attacks.ridge import Ridge, best_ridge, sketched
from leakaudit_attacks.starts import auxiliary_mean
from leakaudit_attacks.transcript_inversion import TranscriptInversion
from leakaudit_attacks.unsplit import Unsplit
from leakaudit_attacks.variation import varied
from leakaudit_defenses.activation_dropout import ActivationDropout
from leakaudit_defenses.dp_gaussian import DpGaussian
from leakaudit_defenses.gaussian_noise import GaussianNoise
from leakaudit_defenses.identity import Identity
from leakaudit_defenses.laplace_noise import LaplaceNoise
from leakaudit_defenses.quantization import Quantization
from leakaudit_defenses.top_k import TopK
from tests.tiny import tiny_observation, tiny_patients, tiny_spec, tiny_system

# Each built-in attack in a configuration that is quick, and a threat that grants what it requires.
QUICK: dict[str, tuple[dict[str, int], str]] = {
    "activation-inversion": ({"iterations": 3}, "curious-server-with-encoder"),
    "cafe": ({"iterations": 2}, "server-and-aggregator"),
    "cut-gradient-inversion": (
        {"steps": 3, "width": 4, "batch_size": 2, "examples": 4},
        "aggregator",
    ),
    "decoder-inversion": ({"steps": 3, "width": 4, "batch_size": 2}, "curious-server"),
    "deep-leakage": ({"iterations": 2}, "aggregator"),
    "feature-space-hijacking": (
        {"decoder_steps": 1, "steps": 2, "width": 4, "batch_size": 2},
        "malicious-server",
    ),
    "gradient-inversion": ({"iterations": 2}, "aggregator"),
    "group-gradient-inversion": ({"iterations": 2}, "aggregator"),
    "head-mask-inference": (
        {"steps": 3, "width": 4, "batch_size": 2, "examples": 4},
        "u-shaped-server",
    ),
    "learned-gradient-inversion": ({"batches": 12}, "aggregator-alone"),
    "learned-update-inversion": ({"batches": 12}, "aggregator-of-rounds"),
    "mask-inference": ({"steps": 3, "width": 4, "batch_size": 2, "examples": 4}, "curious-site"),
    "medical-gradient-inversion": ({"iterations": 2}, "aggregator"),
    "other-site-inversion": (
        {"steps": 3, "width": 4, "batch_size": 2, "examples": 4},
        "curious-site",
    ),
    "pseudo-client-inversion": ({"steps": 3, "width": 4, "batch_size": 2}, "curious-server"),
    "tensor-inversion": ({"steps": 3, "width": 4, "batch_size": 2}, "curious-server"),
    "transcript-inversion": (
        {"steps": 3, "width": 4, "batch_size": 2},
        "curious-server-in-training",
    ),
    "unsplit": ({"rounds": 2, "weight_steps": 1, "image_steps": 1}, "curious-server"),
}
INSTALLED = {plugin.name: plugin for plugin in usable("attack")[0]}
VICTIMS = tiny_patients(2, slices=1, seed=1)
AUXILIARY = tiny_patients(3, slices=2, seed=2)
COMPANIONS = tiny_patients(3, slices=2, seed=3)
EASY = tiny_spec(cut_level=0, features=(16, 4, 4, 4, 4, 4))


def quietly(done: int, total: int) -> None:
    pass


def quick(name: str) -> Attack:
    made = INSTALLED[name].make(QUICK[name][0])
    assert isinstance(made, Attack)
    return made


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


# --- every attack ---------------------------------------------------------------------------


def test_the_built_in_attacks_are_installed() -> None:
    built_in = {name for name, plugin in INSTALLED.items() if plugin.distribution == "leakaudit"}
    assert built_in == set(QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
@pytest.mark.parametrize("defense", [Identity(), ActivationDropout(p=0.5)], ids=repr)
def test_every_attack_keeps_its_contract(name: str, defense: Defense) -> None:
    attack = quick(name)
    attempt = check_attack(attack, observation_for(QUICK[name][1], defense))
    assert attempt.auxiliary_patients == len(AUXILIARY)
    asks = attack.learns_from_queries or Capability.ACTIVE_MANIPULATION in attack.needs()
    assert (attempt.queries > 0) == asks


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name for name, (_, threat) in QUICK.items() if threat.startswith("aggregator")]
)
def test_every_attack_on_gradients_meets_batches_of_several_slices(name: str) -> None:
    check_attack(quick(name), observation_for(QUICK[name][1], batch=3))


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_every_attack_meets_a_bottleneck(name: str) -> None:
    # The cut level and a skip are narrowed, the other skip is left as it is.
    spec = tiny_spec(cut_level=2, features=(4, 6, 8, 8, 8, 4), bottleneck=4)
    observation = observation_for(QUICK[name][1], GaussianNoise(std=0.5), spec)
    assert observation.layout.sent_channels == (4, 4, 4)
    check_attack(quick(name), observation)


@pytest.mark.parametrize("name", QUICK)
@pytest.mark.parametrize("threat", PRESETS)
def test_an_attack_runs_if_and_only_if_its_threat_grants_what_it_requires(
    name: str, threat: str
) -> None:
    attack, observation = quick(name), observation_for(threat)
    lacking = attack.needs() - PRESETS[threat].capabilities
    if not lacking:
        attack(observation, seed=0, progress=quietly)
        return
    with pytest.raises(NotGranted, match=", ".join(sorted(lacking))):
        attack(observation, seed=0, progress=quietly)


@pytest.mark.parametrize("name", QUICK)
def test_every_attack_has_a_summary_and_counts_its_iterations(name: str) -> None:
    assert len(INSTALLED[name].summary) > 20
    steps: list[tuple[int, int]] = []
    attempt = quick(name)(
        observation_for(QUICK[name][1]), seed=0, progress=lambda *step: steps.append(step)
    )
    count = attempt.reconstruction.iterations
    assert steps == [(step + 1, count) for step in range(count)]


@pytest.mark.parametrize("name", QUICK)
def test_every_attack_describes_what_it_does_knows_and_is_set_to(name: str) -> None:
    attack = quick(name)
    told = attack.describe()
    assert told.startswith(INSTALLED[name].summary.replace("``", ""))
    lines = told.splitlines()
    knows = next(line for line in lines if line.startswith("knows: "))
    assert set(knows.removeprefix("knows: ").split(", ")) == attack.needs()
    assert attack.citations
    after = next(line for line in lines if line.startswith("after: "))
    assert all(paper.short in after for paper in attack.citations)
    assert f"recovers: {attack.recovers} ({attack.nist} in NIST AI 100-2)" in lines
    values = lines[lines.index("configuration:") + 1 :]
    changed = {f"  {field}: {value!r}" for field, value in QUICK[name][0].items()}
    assert changed <= set(values)
    assert len(values) == len(INSTALLED[name].parameters)


# --- activation inversion -------------------------------------------------------------------


def test_activation_inversion_recovers_what_an_easy_cut_shows() -> None:
    attack = ActivationInversion(iterations=150)
    observation = observation_for("curious-server-with-encoder", spec=EASY)
    found = attack(observation, seed=0, progress=quietly).reconstruction
    assert score(found.images) > 0.9
    assert found.objective_last < 0.2 * found.objective_first
    start = auxiliary_mean(observation.auxiliary, len(VICTIMS))
    assert score(start) < 0.5, "the start itself must not do"


def test_activation_inversion_sees_through_dropout() -> None:
    attack = ActivationInversion(iterations=150)
    observation = observation_for("curious-server-with-encoder", ActivationDropout(p=0.5), EASY)
    assert score(attack(observation, seed=0, progress=quietly).reconstruction.images) > 0.8


def test_activation_inversion_knows_that_activations_were_clipped() -> None:
    attack = ActivationInversion(iterations=150)
    clipping = DpGaussian(epsilon=1e6, clip=1.0)  # hardly any noise, a hundredth of the norm
    observation = observation_for("curious-server-with-encoder", clipping, EASY)
    assert score(attack(observation, seed=0, progress=quietly).reconstruction.images) > 0.8


@pytest.mark.slow
@pytest.mark.parametrize(
    "defense",
    [
        GaussianNoise(std=0.3, relative=True),
        LaplaceNoise(scale=0.2),
        LaplaceNoise(scale=0.2, relative=True),
        ActivationDropout(p=0.3, unit="channel"),
        TopK(keep=0.2),
        Quantization(bits=1),
        Quantization(bits=4),
    ],
    ids=repr,
)
@pytest.mark.parametrize("releases", [1, 3])
def test_activation_inversion_goes_downhill_under_every_defence_at_the_cut(
    defense: Defense, releases: int
) -> None:
    observation = observation_for("curious-server-with-encoder", defense, EASY, releases)
    found = check_attack(ActivationInversion(iterations=60), observation).reconstruction
    assert found.objective_last < 0.8 * found.objective_first
    start = auxiliary_mean(observation.auxiliary, len(VICTIMS))
    if defense != Quantization(bits=1):  # black and white: followed downhill, but to no image
        assert score(found.images) > score(start) + 0.3


def test_activation_inversion_gains_from_repeated_releases() -> None:
    attack = ActivationInversion(iterations=80)
    scores = [
        score(
            attack(
                observation_for("curious-server-with-encoder", GaussianNoise(std=1.0), EASY, count),
                seed=0,
                progress=quietly,
            ).reconstruction.images
        )
        for count in (1, 16)
    ]
    assert scores[1] > scores[0] + 0.05, scores


# --- CAFE -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_cafe_matches_gradients_and_what_crossed_the_cut_at_once() -> None:
    observation = observation_for("server-and-aggregator", spec=EASY)
    attack = Cafe(iterations=100)
    found = attack(observation, seed=0, progress=quietly).reconstruction
    assert score(found.images) > 0.9
    blind = Cafe(iterations=100, representation=0.0)(observation, seed=0, progress=quietly)
    assert score(blind.reconstruction.images) < score(found.images) - 0.2


@pytest.mark.slow
def test_cafe_gains_from_gradients_what_noise_hides_in_the_release() -> None:
    observation = observation_for("server-and-aggregator", GaussianNoise(std=3.0), EASY)
    both, release = (
        Cafe(iterations=100, gradients=weight)(observation, seed=0, progress=quietly)
        for weight in (1.0, 0.0)
    )
    assert score(both.reconstruction.images) > score(release.reconstruction.images) + 0.1


# --- transcript inversion -------------------------------------------------------------------


def with_epochs(epochs: tuple[tuple[torch.nn.Module, ...], ...]) -> Observation:
    return observe(
        threat_named("curious-server-in-training"),
        replace(tiny_system(GaussianNoise(std=1.0), EASY, AUXILIARY), transcript=epochs),
        victims=VICTIMS,
        auxiliary=AUXILIARY,
        releases=1,
    )


@pytest.mark.slow
def test_a_transcript_of_noisy_epochs_says_more_than_its_last_epoch() -> None:
    epochs = tuple(tuple(build(EASY, number).eval().encoders) for number in range(8))
    observation = with_epochs(epochs)
    scores = []
    attack = TranscriptInversion(steps=60, width=16, batch_size=4)
    for seen in (observation, with_epochs(epochs[-1:])):
        attempt = attack(seen, seed=0, progress=quietly)
        scores.append(score(attempt.reconstruction.images))
    assert scores[0] > scores[1] + 0.05, scores
    grouped = replace(attack, groups=3)(observation, seed=0, progress=quietly)
    assert grouped.reconstruction.notes == ("Read 8 releases, one an epoch, in 3 groups.",)


@pytest.mark.slow
def test_epochs_that_changed_little_are_read_together_as_one_average() -> None:
    (same,) = (tuple(build(EASY, 0).eval().encoders),)
    attack = TranscriptInversion(steps=60, width=16, batch_size=4, groups=1)
    many, one = (
        score(attack(with_epochs((same,) * count), seed=0, progress=quietly).reconstruction.images)
        for count in (12, 1)
    )
    assert many > one + 0.05


# --- decoder inversion ----------------------------------------------------------------------


def test_decoder_inversion_learns_more_than_the_mean_of_its_patients() -> None:
    observation = observation_for("curious-server", spec=EASY)
    attack = DecoderInversion(steps=60, width=16, batch_size=4)
    attempt = attack(observation, seed=0, progress=quietly)
    mean = auxiliary_mean(observation.auxiliary, len(VICTIMS))
    assert score(attempt.reconstruction.images) > score(mean) + 0.1
    assert attempt.reconstruction.objective_last < attempt.reconstruction.objective_first
    # Every step asks for a batch, and the probe twice for one slice of each auxiliary patient.
    assert attempt.queries == 60 * 4 + 2 * len(AUXILIARY)


def test_a_decoder_is_refined_where_the_encoders_are_granted_and_nowhere_else() -> None:
    attack = DecoderInversion(steps=60, width=16, batch_size=4, refine=60)
    granted, not_granted = (
        attack(observation_for(threat, spec=EASY), seed=0, progress=quietly).reconstruction
        for threat in ("curious-server-with-encoder", "curious-server")
    )
    assert (granted.iterations, not_granted.iterations) == (120, 60)
    assert granted.objective_last < not_granted.objective_last
    assert granted.notes[0].startswith("Decoded images are refined")
    assert not not_granted.notes
    assert score(granted.images) > score(not_granted.images) + 0.05


def test_the_shuffled_twin_is_not_refined() -> None:
    attack = DecoderInversion(steps=5, refine=30)
    assert attack.shuffled() == DecoderInversion(steps=5, refine=0)
    assert ActivationInversion().shuffled() == ActivationInversion()


# --- pseudo-client inversion -----------------------------------------------------------------

IMITATING = PseudoClientInversion(steps=60, width=16, batch_size=4, imitation_rate=1e-2)


@pytest.mark.slow
def test_pseudo_clients_give_more_than_the_mean_without_any_query() -> None:
    observation = observation_for("curious-server", spec=EASY)
    attempt = IMITATING(observation, seed=0, progress=quietly)
    mean = auxiliary_mean(observation.auxiliary, len(VICTIMS))
    assert score(attempt.reconstruction.images) > score(mean) + 0.1
    assert attempt.reconstruction.objective_last < attempt.reconstruction.objective_first
    assert attempt.queries == 0


@pytest.mark.slow
def test_pseudo_clients_on_shuffled_pairs_teach_nothing_of_the_victims() -> None:
    assert IMITATING.learns()
    observation = observation_for("curious-server", spec=EASY)
    twin = IMITATING.shuffled()(observation, seed=0, progress=quietly).reconstruction
    mean = score(auxiliary_mean(observation.auxiliary, len(VICTIMS)))
    # Convolutions let the outline through, whatever they were trained for (decision 0003).
    assert score(twin.images) <= mean + 0.05
    assert twin.objective_last > 0.95 * twin.objective_first


@pytest.mark.slow
def test_pseudo_clients_need_what_the_cohort_released() -> None:
    observation = observation_for("curious-server", spec=EASY)
    held = {each: observation._get(each) for each in observation.granted}
    # Releases of unrelated encoders: the imitations then imitate somebody else.
    held[Capability.COHORT_RELEASES] = tiny_observation(
        "curious-server",
        Identity(),
        EASY,
        victims=VICTIMS,
        auxiliary=AUXILIARY,
        seed=17,
    ).cohort_releases
    misled = Observation(threat="misled", layout=observation.layout, held=held)
    led, astray = (
        score(IMITATING(each, seed=0, progress=quietly).reconstruction.images)
        for each in (observation, misled)
    )
    assert led > astray + 0.1


@pytest.mark.parametrize("spatial", [(12, 12), (6, 6, 6)])
def test_statistics_tell_channels_and_places_apart(spatial: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    received = torch.rand(5, 3, *spatial, generator=generator)
    received[:, 1, :3] += 1  # one channel answers in another place
    received[:, 2] += received[:, 0]  # two go together
    statistics = ReleaseStatistics((received,))
    (scaled,) = statistics.scaled((received,))
    torch.testing.assert_close(scaled.mean(), torch.zeros(()), atol=1e-5, rtol=0)
    assert float(statistics.distance((scaled,))) < 1e-8
    for other in (received.flip(2), received[:, [1, 0, 2]], 2 * received):
        assert float(statistics.distance(statistics.scaled((other,)))) > 0.05


# --- unsplit ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_unsplit_gives_more_than_its_start_where_the_encoder_is_shallow() -> None:
    observation = observation_for("curious-server", spec=EASY)
    found = Unsplit()(observation, seed=0, progress=quietly).reconstruction
    mean = auxiliary_mean(observation.auxiliary, len(VICTIMS))
    assert score(found.images) > score(mean) + 0.1
    assert found.objective_last < 0.2 * found.objective_first


def test_unsplit_runs_on_activations_architecture_and_defence_alone() -> None:
    observation = observation_for("curious-server", spec=EASY)
    held = {each: observation._get(each) for each in Unsplit.requires}
    poorer = Observation(threat="published", layout=observation.layout, held=held)
    found = Unsplit(rounds=3)(poorer, seed=0, progress=quietly).reconstruction
    assert found.objective_last < 0.5 * found.objective_first
    assert not Unsplit().learns()


# --- cut-gradient inversion ------------------------------------------------------------------


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


# --- learned gradient inversion --------------------------------------------------------------


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
        round_steps=3,
    )
    attempt = LearnedUpdateInversion(batches=150)(observation, seed=0, progress=quietly)
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


# --- gradient inversion ---------------------------------------------------------------------


def test_the_match_of_a_batch_is_exact_at_its_slices_in_their_places() -> None:
    companions = Companions(batch=2, patients=COMPANIONS)
    observation = observation_for("aggregator", spec=EASY, batch=2)
    match = GradientMatch(observation, 1, torch.Generator().manual_seed(0))
    own = [images_of(patient)[patient.middle][None] for patient in VICTIMS]
    others = [companions.of(patient, 0, "final")[0] for patient in VICTIMS]
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
        GradientInversion(iterations=100),
        GradientInversion(iterations=100, signed=True, anisotropic=True),
        GroupGradientInversion(iterations=80),
        MedicalGradientInversion(iterations=80),
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
    found = DeepLeakage(iterations=300)(observation, seed=0, progress=quietly).reconstruction
    assert float((found.images - private).abs().mean()) < 0.02
    assert found.objective_last < 1e-3 * found.objective_first


def test_gradient_inversion_lowers_its_own_objective() -> None:
    attack = GradientInversion(iterations=20)
    found = attack(observation_for("aggregator"), seed=0, progress=quietly).reconstruction
    assert found.objective_last < found.objective_first - 0.01
    assert found.iterations == 40
    counted = [int(note.split()[0]) for note in found.notes]
    assert 1 <= len(counted) <= 2
    assert sum(counted) == len(VICTIMS)
    assert 0 not in counted


# --- refusals -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ActivationInversion(iterations=0), "iterations is 0; it must be 1 to"),
        (lambda: ActivationInversion(learning_rate=-1.0), "learning_rate is -1.0"),
        (lambda: ActivationInversion(tv=math.nan), "tv is nan"),
        (lambda: ActivationInversion(tv_noise=-1.0), "tv_noise is -1.0"),
        (lambda: DecoderInversion(steps=0), "steps is 0"),
        (lambda: DecoderInversion(batch_size=0), "batch_size is 0"),
        (lambda: DecoderInversion(width=0), "width is 0"),
        (lambda: DecoderInversion(refine=-1), "refine is -1"),
        (lambda: DecoderInversion(near=-1.0), "near is -1.0"),
        (lambda: CutGradientInversion(steps=0), "steps is 0"),
        (lambda: CutGradientInversion(examples=0), "examples is 0"),
        (lambda: PseudoClientInversion(steps=0), "steps is 0"),
        (lambda: PseudoClientInversion(batch_size=1), "batch_size is 1; it must be 2 to"),
        (lambda: PseudoClientInversion(cycle=-1.0), "cycle is -1.0"),
        (lambda: Unsplit(rounds=0), "rounds is 0"),
        (lambda: Unsplit(tv=math.nan), "tv is nan"),
        (lambda: GradientInversion(iterations=0), "iterations is 0"),
        (lambda: GradientInversion(tv=-1.0), "tv is -1.0"),
    ],
)
def test_a_bad_parameter_is_refused(make: Callable[[], Attack], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


# --- a curious site, a malicious label site -----------------------------------------------------


def site_observation(returned: Returned = "own") -> Observation:
    return observe(
        PRESETS["curious-site"],
        tiny_system(Identity(), EASY, AUXILIARY),
        victims=VICTIMS,
        auxiliary=AUXILIARY,
        releases=1,
        site=0,
        returned=returned,
    )


@pytest.mark.slow
def test_a_mask_that_stays_at_the_head_is_given_away_by_what_it_returns() -> None:
    attack = HeadMaskInference(steps=150, width=8, batch_size=4)
    true = np.stack([patient.masks[patient.middle] > 0 for patient in VICTIMS])

    def dice(returned: Returned) -> float:
        observation = observe(
            threat_named("u-shaped-server"),
            tiny_system(Identity(), None, AUXILIARY),
            victims=VICTIMS,
            auxiliary=AUXILIARY,
            releases=1,
            returned=returned,
        )
        found = attack(observation, seed=0, progress=quietly).reconstruction
        return float(dice_masks(found.images.numpy()[:, 0] > 0.5, true).mean())

    reached = dice("own")
    assert reached > 0.9
    assert dice("nothing") < reached - 0.1
    assert dice("another's") < reached - 0.1


@pytest.mark.slow
def test_returned_gradients_give_the_masks_away_and_own_images_alone_do_not() -> None:
    attack = MaskInference(steps=60, width=16, batch_size=4)
    true = np.stack([patient.masks[patient.middle] > 0 for patient in VICTIMS])

    def dice(returned: Returned) -> float:
        found = attack(site_observation(returned), seed=0, progress=quietly).reconstruction
        assert found.images.shape == (len(VICTIMS), 1, *true.shape[1:])
        assert found.objective_last < found.objective_first
        return float(dice_masks(found.images.numpy()[:, 0] > 0.5, true).mean())

    assert dice("own") > max(dice("nothing"), dice("another's")) + 0.1


def test_another_sites_images_are_better_than_the_mean_of_the_adversarys_patients() -> None:
    observation = site_observation()
    attempt = OtherSiteInversion(steps=60, width=16, batch_size=4)(
        observation, seed=0, progress=quietly
    )
    images, private = attempt.reconstruction.images.numpy(), truth(VICTIMS)
    assert images.shape == private[:, 2:].shape
    mean = auxiliary_mean(observation.auxiliary, len(VICTIMS)).numpy()[:, 2:]
    brain = brain_mask(private)
    found, blind = (ssim_brain(one, private[:, 2:], brain).mean() for one in (images, mean))
    assert found > blind + 0.05


@pytest.mark.parametrize("extents", [(9, 11), (5, 6, 7)], ids=["2D", "3D"])
@pytest.mark.parametrize("spacing", [1, 2, 4])
def test_a_patch_holds_the_voxels_around_its_own_and_zeros_outside(
    extents: tuple[int, ...], spacing: int
) -> None:
    hijacker = _Hijacker(
        FeatureSpaceHijacking(patches=60),
        observation_for("malicious-server"),
        torch.Generator().manual_seed(0),
    )
    dims = len(extents)
    axes = [torch.arange(1.0, size + 1) for size in (2, *extents)]
    levels = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=1)  # each voxel says where it is
    patches = hijacker._patches(levels, spacing)
    assert patches.shape == (60, 3**dims, 1 + dims)
    centre = patches[:, 3**dims // 2]
    assert (centre >= 1).all()
    assert {int(one) for one in centre[:, 0]} == {1, 2}
    assert len({tuple(one) for one in centre.tolist()}) > 40
    for place, shift in enumerate(product((-spacing, 0, spacing), repeat=dims)):
        wanted = centre[:, 1:] + torch.tensor(shift)
        inside = ((wanted >= 1) & (wanted <= torch.tensor(extents))).all(dim=1)
        assert torch.equal(patches[inside, place, 1:], wanted[inside])
        assert not patches[~inside, place].any()


def test_releases_of_one_kind_are_near_each_other_and_far_from_others() -> None:
    hijacker = _Hijacker(
        FeatureSpaceHijacking(patches=500, slices=30),
        observation_for("malicious-server"),
        torch.Generator().manual_seed(0),
    )
    draws = torch.Generator().manual_seed(1)
    levels = torch.randn(12, 8, 16, 16, generator=draws)
    directions = hijacker._directions(levels)
    assert directions.shape == (30, 9 * 8)
    torch.testing.assert_close(directions.norm(dim=1), torch.ones(30))
    by_place = directions.view(30, 9, 8)
    assert not by_place[:10, [0, 1, 2, 3, 5, 6, 7, 8]].any()
    assert (by_place[::2].any(dim=1).sum(dim=1) == 3).all()
    assert (by_place[1::2].any(dim=1).sum(dim=1) == 8).all()
    alike = torch.cat([levels[:, :1]] * 8, dim=1)  # the same values, but channels that agree
    near, far = (float(hijacker._apart(levels[:6], other)) for other in (levels[6:], alike[6:]))
    assert near < 0.3 * far


@pytest.mark.slow  # a training of its own
def test_hijacked_encoders_send_what_can_be_inverted() -> None:
    # Simulated brains: the textures' modalities look alike, so that nothing tells them apart.
    patients = phantom_cohort(patients=12, slices=2, size=32, seed=0, spatial_dims=2).patients
    victims, auxiliary = patients[:3], patients[3:7]
    private = truth(list(victims))

    def hijacked(steps: int) -> tuple[float, Attempt]:
        observation = observe(
            threat_named("malicious-server"),
            tiny_system(Identity(), EASY, list(auxiliary)),
            victims=victims,
            auxiliary=auxiliary,
            releases=1,
            training=[*victims, *patients[7:]],
        )
        attack = FeatureSpaceHijacking(decoder_steps=100, steps=steps, patches=1024, slices=64)
        attempt = attack(observation, seed=0, progress=quietly)
        found = attempt.reconstruction.images.numpy()
        return float(ssim_brain(found, private, brain_mask(private)).mean()), attempt

    mean = np.broadcast_to(truth(list(auxiliary)).mean(axis=0), private.shape)
    blind = float(ssim_brain(mean.copy(), private, brain_mask(private)).mean())
    score_hijacked, attempt = hijacked(300)
    assert score_hijacked > blind + 0.15
    reconstruction = attempt.reconstruction
    assert reconstruction.objective_last < 0.3 * reconstruction.objective_first
    # Without the hijack the same decoder finds nothing in what the sites send.
    assert hijacked(1)[0] < blind
