"""The attacks of a curious site, of a server between two cuts and of a malicious label site."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from leakaudit.contracts import Attempt, Observation
from leakaudit.data import brain_mask, phantom_cohort
from leakaudit.measure.fidelity import ssim_brain
from leakaudit.measure.masks import dice_masks
from leakaudit.threat.observing import observe
from leakaudit.threat.own_site import Returned
from leakaudit.threat.presets import PRESETS, threat_named
from leakaudit_attacks.feature_space_hijacking import FeatureSpaceHijacking, _Hijacker
from leakaudit_attacks.head_mask_inference import HeadMaskInference
from leakaudit_attacks.mask_inference import MaskInference
from leakaudit_attacks.optimising.starts import auxiliary_mean
from leakaudit_attacks.other_site_inversion import OtherSiteInversion
from leakaudit_defenses.identity import Identity
from tests.plugins.attacked import AUXILIARY, EASY, VICTIMS, observation_for, quietly, truth
from tests.tiny import tiny_system


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
    attack = HeadMaskInference(steps=120, width=8, batch_size=4)
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
        attack = FeatureSpaceHijacking(
            decoder_steps=60, steps=steps, width=16, patches=512, slices=32
        )
        attempt = attack(observation, seed=0, progress=quietly)
        found = attempt.reconstruction.images.numpy()
        return float(ssim_brain(found, private, brain_mask(private)).mean()), attempt

    mean = np.broadcast_to(truth(list(auxiliary)).mean(axis=0), private.shape)
    blind = float(ssim_brain(mean.copy(), private, brain_mask(private)).mean())
    score_hijacked, attempt = hijacked(200)
    assert score_hijacked > blind + 0.15
    reconstruction = attempt.reconstruction
    assert reconstruction.objective_last < 0.3 * reconstruction.objective_first
    # Without the hijack the same decoder finds nothing in what the sites send.
    assert hijacked(1)[0] < blind
