"""More observed cannot mean less leaked: the worst attack with more is no weaker than with less.

On networks that were trained, since the prior of a learned attack counts where the release alone
says little. All figures are of the same victims.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch

from leakaudit.contracts import Attack, Capability, Defense, Observation, SystemLayout
from leakaudit.data import brain_mask
from leakaudit.measure.fidelity import ssim_brain
from leakaudit.measure.statistics import paired
from leakaudit.target.training import TrainingSettings, build, train
from leakaudit.threat.observing import observe
from leakaudit.threat.presets import threat_named
from leakaudit.threat.system import System
from leakaudit.types import Images, Levels, SiteLevels
from leakaudit_attacks.activation_inversion import ActivationInversion
from leakaudit_attacks.decoder_inversion import DecoderInversion
from leakaudit_defenses.activation_dropout import ActivationDropout
from leakaudit_defenses.gaussian_noise import GaussianNoise
from leakaudit_defenses.identity import Identity
from tests.tiny import tiny_patients, tiny_spec, tiny_training_data

pytestmark = pytest.mark.slow

ALLOWED = 0.01
PATIENTS = tiny_patients(16, slices=2)
TRAIN, AUXILIARY, VICTIMS = PATIENTS[:6], PATIENTS[6:12], PATIENTS[12:]
TRUTH = np.stack([patient.images[patient.middle] for patient in VICTIMS])
ATTACKS: tuple[Attack, ...] = (
    ActivationInversion(iterations=30),
    DecoderInversion(steps=40, batch_size=4, width=16, refine=30),
)
SERVER, WITH_ENCODER = "curious-server", "curious-server-with-encoder"
Scores = np.ndarray


@cache
def trained(defense: Defense, shared_skips: tuple[int, ...]) -> System:
    spec = tiny_spec(cut_level=2, shared_skips=shared_skips, features=(8, 8, 8, 16, 16, 8))
    network, device = build(spec, 0), torch.device("cpu")
    with TemporaryDirectory() as folder:
        train(
            network,
            defense,
            tiny_training_data(TRAIN),
            TrainingSettings(epochs=10, batch_size=4, learning_rate=2e-3),
            seed=0,
            device=device,
            folder=Path(folder),
            progress=quietly,
            validate=lambda _: 0.0,
        )
    return System(
        network=network.eval(),
        initial=build(spec, 0).eval(),
        defense=defense,
        seed=0,
        device=device,
    )


def quietly(done: int, total: int) -> None:
    pass


def seen(threat: str, system: System, releases: int = 1) -> Observation:
    return observe(
        threat_named(threat), system, victims=VICTIMS, auxiliary=AUXILIARY, releases=releases
    )


def scored(attack: Attack, observation: Observation) -> Scores:
    """SSIM of each victim."""
    images = attack(observation, seed=0, progress=quietly).reconstruction.images
    return ssim_brain(images.numpy(), TRUTH, brain_mask(TRUTH))


@cache
def reached(
    attack: Attack, threat: str, defense: Defense, skips: tuple[int, ...], releases: int
) -> Scores:
    """What an attack scores, measured once for all tests that compare it."""
    return scored(attack, seen(threat, trained(defense, skips), releases))


def best(scores: Sequence[Scores]) -> Scores:
    """The scores of the attack that is best on average."""
    return max(scores, key=lambda each: float(each.mean()))


def worst(
    threat: str,
    defense: Defense,
    skips: tuple[int, ...],
    *,
    releases: int = 1,
    attacks: Sequence[Attack] = ATTACKS,
) -> Scores:
    """Per victim the SSIM of the best of the attacks that the threat grants all they need."""
    granted = threat_named(threat).capabilities
    return best(
        [
            reached(attack, threat, defense, skips, releases)
            for attack in attacks
            if attack.needs() <= granted
        ]
    )


def gain(more: Scores, less: Scores) -> float:
    return paired(more, less).mean


def deepest_alone(observation: Observation) -> Observation:
    """What an adversary sees that ignores all levels but the deepest."""
    layout = observation.layout
    query = observation.query

    def last(sites: SiteLevels) -> SiteLevels:
        return tuple(levels[-1:] for levels in sites)

    def asked(images: Images, generator: torch.Generator) -> SiteLevels:
        return last(query(images, generator))

    held = {each: observation._get(each) for each in observation.granted}
    held[Capability.ACTIVATIONS] = last(observation.activations)
    held[Capability.REPEATED_RELEASES] = tuple(map(last, observation.repeated_releases))
    held[Capability.ENCODER_QUERIES] = asked
    held[Capability.ENCODER_WEIGHTS] = tuple(map(Deepest, observation.encoders))
    return Observation(
        threat=observation.threat,
        layout=SystemLayout(
            channels=layout.channels,
            crossing=layout.crossing[-1:],
            features=layout.features,
            spatial=layout.spatial,
            victims=layout.victims,
        ),
        held=held,
    )


class Deepest(torch.nn.Module):
    def __init__(self, encoder: torch.nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, images: torch.Tensor) -> Levels:
        levels: Levels = self.encoder(images)
        return levels[-1:]


# Each defense and each set of skips; where none crosses, refining must be given up.
SYSTEMS = [
    (Identity(), (0, 1)),
    (Identity(), ()),
    (GaussianNoise(std=1.0), (0, 1)),
    (ActivationDropout(p=0.5), ()),
]


@pytest.mark.parametrize(("defense", "skips"), SYSTEMS, ids=repr)
def test_who_holds_the_encoders_too_recovers_no_less(
    defense: Defense, skips: tuple[int, ...]
) -> None:
    less = worst(SERVER, defense, skips)
    assert gain(worst(WITH_ENCODER, defense, skips), less) >= -ALLOWED
    # Nor does the refined decoder by itself, without a rival beside it.
    alone = worst(WITH_ENCODER, defense, skips, attacks=ATTACKS[1:])
    assert gain(alone, less) >= -ALLOWED


def test_the_weights_alone_recover_less_where_skips_are_withheld() -> None:
    # Otherwise the test above could not fail: what holds it up is the decoder.
    less = worst(SERVER, Identity(), ())
    alone = worst(WITH_ENCODER, Identity(), (), attacks=ATTACKS[:1])
    assert gain(alone, less) < -5 * ALLOWED


@pytest.mark.parametrize("threat", [SERVER, WITH_ENCODER])
def test_who_keeps_more_releases_recovers_no_less(threat: str) -> None:
    noisy = GaussianNoise(std=1.0)
    gains = gain(worst(threat, noisy, (0, 1), releases=5), worst(threat, noisy, (0, 1)))
    assert gains > ALLOWED, "and more: five releases average the noise"


@pytest.mark.parametrize("defense", [Identity(), GaussianNoise(std=1.0)], ids=repr)
def test_who_sees_all_levels_recovers_no_less_than_who_sees_the_deepest(defense: Defense) -> None:
    deepest = deepest_alone(seen(WITH_ENCODER, trained(defense, (0, 1))))
    less = best([scored(attack, deepest) for attack in ATTACKS])
    assert gain(worst(WITH_ENCODER, defense, (0, 1)), less) >= -ALLOWED
