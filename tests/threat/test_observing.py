"""What an adversary is shown by each threat model, and that nothing private is."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import final

import pytest
import torch

from leakaudit.contracts import Attack, Capability, Observation, Progress, Reconstruction, having
from leakaudit.data import Patient
from leakaudit.errors import CellError, ConfigError, LeakauditError, NotGranted
from leakaudit.randomness import generator_for
from leakaudit.threat.observing import observe
from leakaudit.threat.presets import PRESETS, threat_named
from leakaudit.threat.releasing import seeds_from
from leakaudit.threat.system import (
    System,
    images_of,
    layout_of,
    masks_of,
    release_patient,
    release_seeds,
)
from leakaudit_defenses.gaussian_noise import GaussianNoise
from leakaudit_defenses.identity import Identity
from tests.threat.observed import (
    AUXILIARY,
    COHORT,
    VICTIMS,
    flat,
    listed,
    middle_images,
    observed,
    site_of,
    tensors_in,
)
from tests.tiny import tiny_patients, tiny_spec, tiny_system


@pytest.mark.parametrize("threat", PRESETS)
def test_each_preset_grants_its_capabilities_and_no_other(undefended: System, threat: str) -> None:
    observation = observed(undefended, threat)
    assert observation.granted == PRESETS[threat].capabilities
    for capability in Capability:
        name = capability.row.attribute
        if capability in PRESETS[threat].capabilities:
            assert getattr(observation, name) is not None
        else:
            assert not hasattr(observation, name)
            with pytest.raises(NotGranted, match=f"{threat}' grants no '{name}'"):
                getattr(observation, name)


@pytest.mark.parametrize("threat", PRESETS)
def test_masks_of_the_adversarys_patients_come_only_with_a_use_for_them(
    undefended: System, threat: str
) -> None:
    observation = observed(undefended, threat)
    masks = observation.auxiliary.masks
    if not having("own masks") & PRESETS[threat].capabilities:
        assert masks is None
        return
    assert masks is not None
    assert masks.shape == observation.auxiliary.images[:, 0].shape
    assert torch.equal(masks, torch.cat([masks_of(patient) for patient in AUXILIARY]))


def test_the_architecture_is_that_of_the_encoders_and_none_of_their_weights(
    undefended: System,
) -> None:
    build_anew = observed(undefended, "curious-server").untrained_encoders
    first, again, other = (build_anew(seed) for seed in (0, 0, 1))
    for trained, *built in zip(undefended.network.encoders, first, again, other, strict=True):
        state = trained.state_dict()
        states = [encoder.state_dict() for encoder in built]
        assert {name: t.shape for name, t in state.items()} == {
            name: t.shape for name, t in states[0].items()
        }
        weights = [next(iter(one.values())) for one in (state, *states)]
        assert torch.equal(weights[1], weights[2])
        assert not torch.equal(weights[1], weights[3])


@pytest.mark.parametrize("threat", PRESETS)
def test_what_is_private_can_not_be_asked_for(undefended: System, threat: str) -> None:
    observation = observed(undefended, threat)
    for name in ("images", "truth", "masks", "victims", "server", "network", "labels"):
        with pytest.raises(NotGranted, match=f"grants no '{name}'"):
            getattr(observation, name)


@pytest.mark.parametrize("threat", PRESETS)
@pytest.mark.parametrize("shuffled", [False, True])
def test_no_private_image_or_mask_is_held(undefended: System, threat: str, shuffled: bool) -> None:
    observation = observed(undefended, threat, shuffled=shuffled)
    # The list of candidates alone holds victims, by images that no attack under it may recover.
    but = {**observation._held}
    assert (but.pop(Capability.CANDIDATES, None) is not None) == listed(threat)
    held = list(tensors_in(but))
    assert len(held) > (10 if threat != "malicious-server" else 2)
    private = [
        slices[index]
        for patient in (*VICTIMS, *COHORT)
        for slices in (images_of(patient), masks_of(patient).float())
        for index in range(len(slices))
    ]
    for tensor in held:
        for image in private:
            parts = [image] if image.ndim == 2 else [image, image[:2], image[2:], *image]
            if image.ndim == 3 and site_of(threat) is not None:
                parts = [image[:2], *image[:2]]  # the other site's
            for part in parts:
                windows = tensor.reshape(-1, *tensor.shape[-part.ndim :])
                if windows.shape[1:] == part.shape:
                    assert not (windows == part).flatten(1).all(dim=1).any()


def test_the_search_for_private_images_looks_into_closures(undefended: System) -> None:
    # Otherwise the test above could not fail.
    query = observed(undefended, "curious-server", shuffled=True).query
    pool = torch.cat([images_of(patient) for patient in AUXILIARY])
    assert any(pool.equal(tensor) for tensor in tensors_in({"query": query}))


@final
class Greedy(Attack):
    requires = frozenset({Capability.ACTIVATIONS})

    def run(
        self, observation: Observation, *, generator: torch.Generator, progress: Progress
    ) -> Reconstruction:
        observation.weight_gradients  # noqa: B018
        raise AssertionError("it was given what it was not granted")


def test_an_attack_gets_not_granted_for_what_it_asks_beyond_its_threat(undefended: System) -> None:
    with pytest.raises(NotGranted, match="weight_gradients"):
        Greedy()(observed(undefended, "curious-server"), seed=0, progress=lambda *_: None)


def test_an_attack_is_not_run_without_what_it_requires(undefended: System) -> None:
    with pytest.raises(NotGranted, match=r"Greedy needs activations.*aggregator"):
        Greedy()(observed(undefended, "aggregator"), seed=0, progress=lambda *_: None)


def test_activations_are_the_defended_levels_of_each_victims_middle_slice(noisy: System) -> None:
    observation = observed(noisy, "curious-server")
    assert [patient.middle for patient in VICTIMS] == [1, 1]
    for number, patient in enumerate(VICTIMS):
        views = images_of(patient).split([2, 2], dim=1)
        for site, (encoder, view) in enumerate(zip(noisy.network.encoders, views, strict=True)):
            (seed,) = release_seeds(noisy, patient, 0, [patient.middle])
            generator = generator_for(seed, "site", site)
            middle = view[patient.middle : patient.middle + 1]
            with torch.no_grad():
                wanted = noisy.defense.release(encoder(middle), generator=generator)
            for found, level in zip(observation.activations[site], wanted, strict=True):
                assert torch.equal(found[number], level[0])


def test_activations_do_not_carry_the_graph(noisy: System) -> None:
    for level in flat(observed(noisy, "curious-server").activations):
        assert not level.requires_grad
        assert level.grad_fn is None


def test_repeated_releases_differ_under_noise_and_the_first_is_the_activations(
    noisy: System,
) -> None:
    observation = observed(noisy, "curious-server", releases=3)
    repeated = observation.repeated_releases
    assert len(repeated) == 3
    assert all(map(torch.equal, flat(repeated[0]), flat(observation.activations)))
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not any(map(torch.equal, flat(repeated[one]), flat(repeated[other])))


def test_repeated_releases_are_equal_without_a_defense(undefended: System) -> None:
    repeated = observed(undefended, "curious-server", releases=2).repeated_releases
    assert all(map(torch.equal, flat(repeated[0]), flat(repeated[1])))


def noise_of(system: System, patient: Patient, release: int) -> list[torch.Tensor]:
    views = images_of(patient).split([2, 2], dim=1)
    with torch.no_grad():
        clean = system.network.encode(views)
    sent = release_patient(system, patient, release)
    return [after - before for after, before in zip(flat(sent), flat(clean), strict=True)]


def test_releases_are_reproducible_and_their_noise_is_never_used_twice(noisy: System) -> None:
    first = release_patient(noisy, VICTIMS[0], 0)
    assert all(map(torch.equal, flat(first), flat(release_patient(noisy, VICTIMS[0], 0))))
    draws = [
        draw
        for patient in VICTIMS
        for release in range(2)
        for site in range(2)
        # The shallower of a site's two levels, slice by slice.
        for draw in noise_of(noisy, patient, release)[2 * site]
    ]
    assert len(draws) == 24
    for index, draw in enumerate(draws):
        for other in draws[:index]:
            correlation = torch.corrcoef(torch.stack([draw.flatten(), other.flatten()]))[0, 1]
            assert abs(float(correlation)) < 0.1


def test_the_label_site_holds_its_own_network_and_a_copy_of_no_encoder(noisy: System) -> None:
    observation = observed(noisy, "curious-server")
    server, own = observation.server_network, noisy.network.server
    state = own.state_dict()
    assert state.keys() == server.state_dict().keys()
    assert all(torch.equal(state[name], found) for name, found in server.state_dict().items())
    assert not server.training
    assert not any(parameter.requires_grad for parameter in server.parameters())
    logits = server(observation.activations)
    assert torch.equal(logits, own(observation.activations))
    with torch.no_grad():
        next(server.parameters()).add_(1)
    assert all(torch.equal(state[name], found) for name, found in own.state_dict().items())


def test_cohort_releases_are_what_training_patients_released(noisy: System) -> None:
    found = flat(observed(noisy, "curious-server").cohort_releases)
    sent = [flat(release_patient(noisy, patient, 0)) for patient in COHORT]
    chosen = [0, 1, 3, 4, 6, 7]  # six of eight, evenly
    for number, level in enumerate(found):
        assert torch.equal(level, torch.cat([each[number][chosen] for each in sent]))
        assert not level.requires_grad


def test_of_a_large_cohort_a_bounded_part_is_kept(undefended: System) -> None:
    asked: list[str] = []

    def many() -> Iterator[Patient]:
        for patient in tiny_patients(20, slices=1, seed=5):
            asked.append(patient.id)
            yield patient

    found = observed(undefended, "curious-server", training=many()).cohort_releases
    assert len(found[0][0]) == len(asked) == 16


def test_without_a_cohort_its_releases_are_not_granted(undefended: System) -> None:
    observation = observed(undefended, "curious-server", training=())
    assert Capability.COHORT_RELEASES not in observation.granted
    with pytest.raises(NotGranted, match="cohort_releases"):
        _ = observation.cohort_releases


def test_a_query_answers_as_the_sites_would(noisy: System) -> None:
    query = observed(noisy, "curious-server").query
    images = images_of(AUXILIARY[0])
    found = query(images, generator_for(5, "query"))
    seeds = seeds_from(generator_for(5, "query"), len(images))
    for index, seed in enumerate(seeds):
        with torch.no_grad():
            wanted = [
                noisy.defense.release(levels, generator=generator_for(seed, "site", site))
                for site, levels in enumerate(
                    noisy.network.encode(images[index : index + 1].split([2, 2], dim=1))
                )
            ]
        sent = [level[index : index + 1] for level in flat(found)]
        assert all(map(torch.equal, sent, flat(tuple(wanted))))


def test_a_shuffled_query_answers_with_an_auxiliary_slice_that_does_not_match(
    undefended: System,
) -> None:
    pool = torch.cat([images_of(patient) for patient in AUXILIARY])
    with torch.no_grad():
        of_pool = undefended.network.encoders[0](pool[:, :2])[0]
    query = observed(undefended, "curious-server", shuffled=True).query
    answers = torch.cat([query(pool, generator_for(seed, "query"))[0][0] for seed in range(10)])
    asked = of_pool.repeat(10, 1, 1, 1)
    matching = (answers - asked).abs().flatten(1).amax(dim=1) < 1e-5
    # By chance one in six, the size of the pool.
    assert matching.float().mean() < 0.4
    distances = (answers[:, None] - of_pool[None]).abs().flatten(2).amax(dim=2)
    assert float(distances.amin(dim=1).max()) < 1e-5


def test_a_transcript_holds_what_each_epochs_encoders_released(undefended: System) -> None:
    observation = observed(undefended, "curious-server-in-training")
    networks = (undefended.between[1], undefended.network)
    assert len(observation.transcript) == len(networks)
    middles = torch.stack([images_of(one)[one.middle] for one in VICTIMS])
    answers = observation.query_transcript(middles, generator_for(0, "query"))
    for network, released, answered in zip(networks, observation.transcript, answers, strict=True):
        with torch.no_grad():
            wanted = network.encode(middles.split([2, 2], dim=1))
        for one, other, sent in zip(flat(wanted), flat(released), flat(answered), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
            torch.testing.assert_close(one, sent, rtol=1e-4, atol=1e-6)
    shuffled = observed(undefended, "curious-server-in-training", shuffled=True)
    drawn = shuffled.query_transcript(middles, generator_for(0, "query"))
    assert not torch.equal(drawn[0][0][0], answers[0][0][0])
    forgotten = replace(undefended, transcript=())
    with pytest.raises(CellError, match="encoders of the epochs were not kept"):
        observed(forgotten, "curious-server-in-training")


def test_every_epoch_of_a_transcript_has_draws_of_its_own() -> None:
    system = tiny_system(GaussianNoise(std=1.0))
    same = replace(system, transcript=(system.transcript[1],) * 3)
    first, second, third = (
        levels[0][0] for levels in observed(same, "curious-server-in-training").transcript
    )
    assert not torch.equal(first, second)
    assert not torch.equal(second, third)


@pytest.mark.parametrize("threat", PRESETS)
def test_observing_leaves_no_trace_on_the_system(noisy: System, threat: str) -> None:
    state = torch.get_rng_state()
    before = {name: value.clone() for name, value in noisy.network.state_dict().items()}
    observation = observed(noisy, threat)
    assert torch.equal(torch.get_rng_state(), state)
    after = noisy.network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(p.grad is None and p.requires_grad for p in noisy.network.parameters())
    if hasattr(observation, "encoders"):
        for encoder in observation.encoders:
            assert not encoder.training
            assert not any(parameter.requires_grad for parameter in encoder.parameters())
            with torch.no_grad():
                next(encoder.parameters()).add_(1)
        assert all(torch.equal(before[name], after[name]) for name in before)


def test_auxiliary_patients_are_indexed_by_slice(undefended: System) -> None:
    auxiliary = observed(undefended, "curious-server").auxiliary
    assert auxiliary.patient.tolist() == [0, 0, 1, 1, 2, 2]
    assert torch.equal(auxiliary.images[auxiliary.middle], middle_images(AUXILIARY))


def test_the_layout_is_what_everybody_knows() -> None:
    system = tiny_system(Identity(), tiny_spec((1, 3), cut_level=2, shared_skips=(1,)))
    layout = layout_of(system, (32, 32), 5)
    assert (layout.channels, layout.crossing) == ((1, 3), (1, 2))
    assert layout.image_shape == (5, 4, 32, 32)
    views = layout.views(torch.arange(4.0).view(1, 4, 1, 1))
    assert [view.flatten().tolist() for view in views] == [[0.0], [1.0, 2.0, 3.0]]


def test_an_unknown_threat_lists_the_presets() -> None:
    with pytest.raises(ConfigError, match="curious-server-with-encoder"):
        threat_named("curious")


def test_not_granted_is_an_attribute_error_for_hasattr_alone() -> None:
    assert issubclass(NotGranted, AttributeError)
    assert issubclass(NotGranted, LeakauditError)


def test_a_copy_of_an_observation_grants_what_the_original_does(undefended: System) -> None:
    original = observe(
        threat_named("curious-server"), undefended, victims=VICTIMS, auxiliary=AUXILIARY, releases=1
    )
    copied = copy.copy(original)
    assert copied.granted == original.granted
    assert torch.equal(copied.activations[0][0], original.activations[0][0])
    with pytest.raises(NotGranted):
        _ = copied.encoders
