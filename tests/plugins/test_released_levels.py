"""How released levels and the victims among them count in the match of activations."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from leakaudit.contracts import Capability, Observation, SystemLayout
from leakaudit.data import brain_mask, phantom_cohort
from leakaudit.measure.fidelity import ssim_brain
from leakaudit.target.split_unet import SplitUNetSpec
from leakaudit.target.training import build
from leakaudit_attacks.activation_inversion import ActivationInversion
from leakaudit_attacks.matching_releases.activations import _weights
from leakaudit_defenses.identity import Identity


@pytest.mark.slow
def test_all_levels_recover_as_much_as_the_first_alone() -> None:
    patients = phantom_cohort(patients=4, slices=1, size=48, seed=3).patients
    images = np.stack([patient.images[0] for patient in patients])
    brain = brain_mask(images)
    deep = SplitUNetSpec(channels=(2, 2), cut_level=2, shared_skips=(0, 1))
    network = build(deep, seed=5).eval().requires_grad_(False)
    released = network.encode(torch.from_numpy(images).split([2, 2], dim=1))
    first = build(SplitUNetSpec(channels=(2, 2), cut_level=0, shared_skips=()), seed=5)
    first.eval().requires_grad_(False)
    for shallow, encoder in zip(first.encoders, network.encoders, strict=True):
        shallow.load_state_dict(
            {k: v for k, v in encoder.state_dict().items() if k.startswith("blocks.0.")}
        )
    scores = {}
    for name, spec, encoders, levels in (
        ("all", deep, network.encoders, released),
        ("first", first.spec, first.encoders, tuple((site[0],) for site in released)),
    ):
        observation = Observation(
            threat="test",
            layout=SystemLayout(
                channels=(2, 2),
                crossing=spec.crossing,
                features=spec.features,
                spatial=(48, 48),
                victims=len(images),
            ),
            held={
                Capability.ACTIVATIONS: levels,
                Capability.ENCODER_WEIGHTS: tuple(encoders),
                Capability.DEFENSE_PARAMETERS: Identity(),
            },
        )
        attempt = ActivationInversion(iterations=300)(
            observation, seed=0, progress=lambda done, total: None
        )
        scores[name] = ssim_brain(attempt.reconstruction.images.numpy(), images, brain).mean()
    assert scores["first"] > 0.9
    assert scores["all"] - scores["first"] >= -0.01


def test_how_well_one_victim_is_known_weighs_nobody_elses_values() -> None:
    generator = torch.Generator().manual_seed(0)
    value = torch.randn(4, 3, 8, 8, generator=generator)
    # Noise in units of each victim's own spread: one number per victim, one of them tiny.
    noise = torch.tensor([1e-6, 0.3, 0.5, 4.0]).view(4, 1, 1, 1)
    weight = _weights(value, noise)
    assert torch.allclose(weight, 1 / torch.maximum(value.var(), noise))
    # Where a victim's values are known unequally, exact ones count more, whoever is beside it.
    some = noise.repeat(1, 3, 8, 8)
    some[1, :, ::2] = 0.0
    among = _weights(value, some)
    assert float(among[1, 0, 0, 0] / among[1, 0, 1, 0]) > 5
    for other in (0, 2, 3):
        assert torch.equal(among[other], weight[other].expand(3, 8, 8))
