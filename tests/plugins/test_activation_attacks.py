"""The attacks that read released activations."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
import torch

from leakaudit.contracts import Attempt, Capability, Defense, Observation
from leakaudit.target.training import build
from leakaudit.testing import check_attack
from leakaudit.threat.observing import observe
from leakaudit.threat.presets import threat_named
from leakaudit_attacks.activation_inversion import ActivationInversion
from leakaudit_attacks.decoder_inversion import DecoderInversion
from leakaudit_attacks.decoding.release_statistics import ReleaseStatistics
from leakaudit_attacks.optimising.starts import auxiliary_mean
from leakaudit_attacks.pseudo_client_inversion import PseudoClientInversion
from leakaudit_attacks.transcript_inversion import TranscriptInversion
from leakaudit_attacks.unsplit import Unsplit
from leakaudit_defenses.activation_dropout import ActivationDropout
from leakaudit_defenses.dp_gaussian import DpGaussian
from leakaudit_defenses.gaussian_noise import GaussianNoise
from leakaudit_defenses.identity import Identity
from leakaudit_defenses.laplace_noise import LaplaceNoise
from leakaudit_defenses.quantization import Quantization
from leakaudit_defenses.top_k import TopK
from tests.plugins.attacked import AUXILIARY, EASY, VICTIMS, observation_for, quietly, score
from tests.tiny import tiny_observation, tiny_system


@pytest.mark.slow
def test_activation_inversion_recovers_what_an_easy_cut_shows() -> None:
    attack = ActivationInversion(iterations=60)
    observation = observation_for("curious-server-with-encoder", spec=EASY)
    found = attack(observation, seed=0, progress=quietly).reconstruction
    assert score(found.images) > 0.9
    assert found.objective_last < 0.2 * found.objective_first
    start = auxiliary_mean(observation.auxiliary, len(VICTIMS))
    assert score(start) < 0.5, "the start itself must not do"


def test_activation_inversion_sees_through_dropout() -> None:
    attack = ActivationInversion(iterations=80)
    observation = observation_for("curious-server-with-encoder", ActivationDropout(p=0.5), EASY)
    assert score(attack(observation, seed=0, progress=quietly).reconstruction.images) > 0.8


def test_activation_inversion_knows_that_activations_were_clipped() -> None:
    attack = ActivationInversion(iterations=80)
    clipping = DpGaussian(epsilon=1e6, clip=1.0)  # hardly any noise, a hundredth of the norm
    observation = observation_for("curious-server-with-encoder", clipping, EASY)
    assert score(attack(observation, seed=0, progress=quietly).reconstruction.images) > 0.8


@pytest.mark.slow
@pytest.mark.parametrize(
    ("defense", "releases"),
    [
        (GaussianNoise(std=0.3, relative=True), 1),
        (LaplaceNoise(scale=0.2), 3),
        (LaplaceNoise(scale=0.2, relative=True), 1),
        (ActivationDropout(p=0.3, unit="channel"), 3),
        (TopK(keep=0.2), 1),
        (Quantization(bits=1), 1),
        (Quantization(bits=4), 3),
    ],
    ids=repr,
)
def test_activation_inversion_goes_downhill_under_every_defense_at_the_cut(
    defense: Defense, releases: int
) -> None:
    observation = observation_for("curious-server-with-encoder", defense, EASY, releases)
    found = check_attack(ActivationInversion(iterations=40), observation).reconstruction
    assert found.objective_last < 0.8 * found.objective_first
    start = auxiliary_mean(observation.auxiliary, len(VICTIMS))
    if defense != Quantization(bits=1):  # black and white: followed downhill, but to no image
        assert score(found.images) > score(start) + 0.3


@pytest.mark.slow
def test_activation_inversion_gains_from_repeated_releases() -> None:
    attack = ActivationInversion(iterations=30)
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
    epochs = tuple(tuple(build(EASY, number).eval().encoders) for number in range(6))
    observation = with_epochs(epochs)
    scores = []
    attack = TranscriptInversion(steps=30, width=8, batch_size=2)
    for seen in (observation, with_epochs(epochs[-1:])):
        attempt = attack(seen, seed=0, progress=quietly)
        scores.append(score(attempt.reconstruction.images))
    assert scores[0] > scores[1] + 0.05, scores
    grouped = replace(attack, groups=3, steps=3)(observation, seed=0, progress=quietly)
    assert grouped.reconstruction.notes == ("Read 6 releases, one an epoch, in 3 groups.",)


@pytest.mark.slow
def test_epochs_that_changed_little_are_read_together_as_one_average() -> None:
    (same,) = (tuple(build(EASY, 0).eval().encoders),)
    attack = TranscriptInversion(steps=30, width=8, batch_size=2, groups=1)
    many, one = (
        score(attack(with_epochs((same,) * count), seed=0, progress=quietly).reconstruction.images)
        for count in (12, 1)
    )
    assert many > one + 0.05


@cache
def decoded(threat: str) -> Attempt:
    """One attempt for all tests that look at it."""
    attack = DecoderInversion(steps=40, width=8, batch_size=4, refine=40)
    return attack(observation_for(threat, spec=EASY), seed=0, progress=quietly)


@pytest.mark.slow
def test_decoder_inversion_learns_more_than_the_mean_of_its_patients() -> None:
    attempt = decoded("curious-server")
    mean = auxiliary_mean(observation_for("curious-server", spec=EASY).auxiliary, len(VICTIMS))
    assert score(attempt.reconstruction.images) > score(mean) + 0.1
    assert attempt.reconstruction.objective_last < attempt.reconstruction.objective_first
    # Every step asks for a batch, and the probe twice for one slice of each auxiliary patient.
    # How to read a release is seen on one slice, then on all of them, and whether anything is drawn
    # on one more.
    assert attempt.queries == 40 * 4 + 2 * len(AUXILIARY) + 1 + 2 * len(AUXILIARY) + 1


@pytest.mark.slow
def test_a_decoder_is_refined_where_the_encoders_are_granted_and_nowhere_else() -> None:
    granted, not_granted = (
        decoded(threat).reconstruction
        for threat in ("curious-server-with-encoder", "curious-server")
    )
    assert (granted.iterations, not_granted.iterations) == (80, 40)
    assert granted.objective_last < not_granted.objective_last
    assert granted.notes[0].startswith("Decoded images are refined")
    assert not not_granted.notes
    assert score(granted.images) > score(not_granted.images) + 0.05


def test_the_shuffled_twin_is_not_refined() -> None:
    attack = DecoderInversion(steps=5, refine=30)
    assert attack.shuffled() == DecoderInversion(steps=5, refine=0)
    assert ActivationInversion().shuffled() == ActivationInversion()


IMITATING = PseudoClientInversion(steps=60, width=12, batch_size=4, imitation_rate=1e-2)


@cache
def imitated() -> Attempt:
    """One attempt for all tests that look at it."""
    return IMITATING(observation_for("curious-server", spec=EASY), seed=0, progress=quietly)


@pytest.mark.slow
def test_pseudo_clients_give_more_than_the_mean_without_any_query() -> None:
    observation = observation_for("curious-server", spec=EASY)
    attempt = imitated()
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
    astray = IMITATING(misled, seed=0, progress=quietly).reconstruction
    assert score(imitated().reconstruction.images) > score(astray.images) + 0.1


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


@pytest.mark.slow
def test_unsplit_gives_more_than_its_start_where_the_encoder_is_shallow() -> None:
    observation = observation_for("curious-server", spec=EASY)
    found = Unsplit(rounds=20)(observation, seed=0, progress=quietly).reconstruction
    mean = auxiliary_mean(observation.auxiliary, len(VICTIMS))
    assert score(found.images) > score(mean) + 0.1
    assert found.objective_last < 0.2 * found.objective_first


def test_unsplit_runs_on_activations_architecture_and_defense_alone() -> None:
    observation = observation_for("curious-server", spec=EASY)
    held = {each: observation._get(each) for each in Unsplit.requires}
    poorer = Observation(threat="published", layout=observation.layout, held=held)
    found = Unsplit(rounds=3)(poorer, seed=0, progress=quietly).reconstruction
    assert found.objective_last < 0.5 * found.objective_first
    assert not Unsplit().learns()
