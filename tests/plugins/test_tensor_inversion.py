"""The attack that reads one released tensor alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from leakaudit.contracts import Capability, Observation
from leakaudit.data import brain_mask
from leakaudit.errors import CellError, ConfigError
from leakaudit.measure.fidelity import ssim_brain
from leakaudit.records import ReleasedTensor
from leakaudit.target.split_unet import SplitUNetSpec
from leakaudit.types import SiteLevels
from leakaudit_attacks.optimising.starts import auxiliary_mean
from leakaudit_attacks.tensor_inversion import TensorInversion
from leakaudit_defenses.identity import Identity
from tests.tiny import tiny_observation, tiny_patients, tiny_spec

VICTIMS = tiny_patients(3, slices=1, seed=1)
AUXILIARY = tiny_patients(4, slices=2, seed=2)
QUICK = {"steps": 50, "width": 8, "batch_size": 2}


def quietly(done: int, total: int) -> None:
    pass


def observation(spec: SplitUNetSpec, releases: int = 1) -> Observation:
    return tiny_observation(
        "curious-server", Identity(), spec, victims=VICTIMS, auxiliary=AUXILIARY, releases=releases
    )


def reconstructed(attack: TensorInversion, seen: Observation) -> torch.Tensor:
    return attack(seen, seed=0, progress=quietly).reconstruction.images


def with_others_hidden(seen: Observation, site: int, place: int) -> Observation:
    """The same observation, every tensor of the victims but one replaced by noise."""

    def hidden(release: SiteLevels) -> SiteLevels:
        return tuple(
            tuple(
                level if (number, each) == (site, place) else torch.randn_like(level)
                for each, level in enumerate(levels)
            )
            for number, levels in enumerate(release)
        )

    held = {capability: seen._get(capability) for capability in seen.granted}
    held |= {
        Capability.ACTIVATIONS: hidden(seen.activations),
        Capability.REPEATED_RELEASES: tuple(map(hidden, seen.repeated_releases)),
    }
    return Observation(threat=seen.threat, layout=seen.layout, held=held)


@pytest.mark.slow
@pytest.mark.parametrize(("site", "level", "place"), [(1, 0, 0), (2, 2, 1)])
def test_it_reads_its_tensor_and_no_other(site: int, level: int, place: int) -> None:
    seen = observation(tiny_spec(cut_level=2, shared_skips=(0,)), releases=2)
    attack = TensorInversion(site=site, level=level, steps=3, width=4, batch_size=2)
    shown = reconstructed(attack, seen)
    assert torch.equal(shown, reconstructed(attack, with_others_hidden(seen, site - 1, place)))
    other = with_others_hidden(seen, 2 - site, place)
    assert not torch.equal(shown, reconstructed(attack, other))


@pytest.mark.slow
def test_a_sites_tensor_gives_away_its_own_images_and_not_those_that_it_knows_nothing_of() -> None:
    seen = observation(tiny_spec(cut_level=0, features=(16, 4, 4, 4, 4, 4)))
    private = np.stack([patient.images[patient.middle] for patient in VICTIMS])
    brain = brain_mask(private)

    def gained(site: int) -> tuple[float, float]:
        """SSIM above the auxiliary mean, of the first site's images and of the second's."""
        images = reconstructed(TensorInversion(site=site, **QUICK), seen).numpy()
        mean = auxiliary_mean(seen.auxiliary, len(VICTIMS)).numpy()
        first, second = (
            float(
                ssim_brain(images[:, held], private[:, held], brain).mean()
                - ssim_brain(mean[:, held], private[:, held], brain).mean()
            )
            for held in (slice(0, 2), slice(2, 4))
        )
        return first, second

    # The textures of these patients are independent from one modality to the next; what a site
    # tells of another's images is the outline of the brain.
    own, other = gained(1)
    assert own > 0.2
    assert other < own / 2
    other, own = gained(2)
    assert own > 0.2
    assert other < own / 2


def test_a_tensor_that_does_not_cross_is_refused() -> None:
    seen = observation(tiny_spec(cut_level=2, shared_skips=(0,)))
    for attack in (TensorInversion(level=1), TensorInversion(site=3)):
        with pytest.raises(CellError, match=r"no tensor of site \d, level \d crosses this cut"):
            attack(seen, seed=0, progress=quietly)
    for wrong in ({"site": 0}, {"level": -1}):
        with pytest.raises(ConfigError):
            TensorInversion(**wrong)


def test_it_says_which_tensor_it_reads() -> None:
    deep = TensorInversion(site=2, level=3, steps=7)
    assert deep.reads() == ReleasedTensor(site=2, level=3)
