from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, final

import pytest
import torch

from leakaudit.contracts import Attack, Capability, Observation, Progress, Reconstruction
from leakaudit.data import Patient
from leakaudit.errors import CellError, ConfigError, LeakauditError, NotGranted
from leakaudit.randomness import generator_for
from leakaudit.target.loss import segmentation_loss
from leakaudit.threat.gradients import Companions
from leakaudit.threat.observing import observe
from leakaudit.threat.presets import PRESETS, threat_named
from leakaudit.threat.system import System, images_of, layout_of, masks_of, release_patient
from leakaudit.types import SiteLevels
from leakaudit_defenses.gaussian_noise import GaussianNoise
from leakaudit_defenses.identity import Identity
from tests.tiny import tiny_patients, tiny_spec, tiny_system

NOISE = GaussianNoise(std=0.3)
VICTIMS = tiny_patients(2, slices=3, seed=1)
AUXILIARY = tiny_patients(3, slices=2, seed=2)
COMPANIONS = tiny_patients(3, slices=2, seed=3)
COHORT = tiny_patients(2, slices=8, seed=3)
READERS = {
    Capability.ACTIVATIONS: "activations",
    Capability.REPEATED_RELEASES: "repeated_releases",
    Capability.CUT_GRADIENTS: "cut_gradients",
    Capability.ENCODER_WEIGHTS: "encoders",
    Capability.ENCODER_ARCHITECTURE: "untrained_encoders",
    Capability.ENCODER_QUERIES: "query",
    Capability.SERVER_WEIGHTS: "server_network",
    Capability.COHORT_RELEASES: "cohort_releases",
    Capability.GRADIENT_QUERIES: "query_gradients",
    Capability.WEIGHT_GRADIENTS: "weight_gradients",
    Capability.AUXILIARY_PATIENTS: "auxiliary",
    Capability.OWN_MODALITIES: "own_images",
    Capability.OWN_CUT_GRADIENTS: "own_cut_gradients",
    Capability.OWN_GRADIENT_QUERIES: "query_own_gradients",
    Capability.WEIGHT_UPDATES: "weight_updates",
    Capability.UPDATE_QUERIES: "query_updates",
    Capability.HEAD_MESSAGES: "head_messages",
    Capability.HEAD_QUERIES: "query_head",
    Capability.TRANSCRIPT: "transcript",
    Capability.TRANSCRIPT_QUERIES: "query_transcript",
    Capability.ACTIVE_MANIPULATION: "exchange",
    Capability.DEFENSE_PARAMETERS: "defense",
}


@pytest.fixture(scope="module")
def undefended() -> System:
    return tiny_system(Identity())


@pytest.fixture(scope="module")
def noisy() -> System:
    return tiny_system(NOISE)


def observed(system: System, threat: str, *, releases: int = 1, **more: Any) -> Observation:
    return observe(
        threat_named(threat),
        system,
        victims=VICTIMS,
        auxiliary=AUXILIARY,
        releases=releases,
        **{"site": site_of(threat), "training": COHORT, **more},
    )


def site_of(threat: str) -> int | None:
    return 1 if PRESETS[threat].position == "data site" else None


def middle_images(patients: list[Patient]) -> torch.Tensor:
    return torch.cat([images_of(p)[p.middle : p.middle + 1] for p in patients])


def tensors_in(value: Any, seen: set[int] | None = None) -> Iterator[torch.Tensor]:
    """Every tensor that can be reached by looking into what is held, closures included."""
    seen = set() if seen is None else seen
    if id(value) in seen:
        return
    seen.add(id(value))
    parts: list[Any] = []
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, torch.nn.Module):
        yield from value.state_dict().values()
    elif isinstance(value, dict):
        parts = list(value.values())
    elif isinstance(value, tuple | list):
        parts = list(value)
    elif is_dataclass(value):
        parts = [getattr(value, field.name) for field in fields(value)]
    else:
        parts = [cell.cell_contents for cell in getattr(value, "__closure__", None) or ()]
    for part in parts:
        yield from tensors_in(part, seen)


def flat(levels: SiteLevels) -> list[torch.Tensor]:
    return [level for site in levels for level in site]


@pytest.mark.parametrize("threat", PRESETS)
def test_each_preset_grants_its_capabilities_and_no_other(undefended: System, threat: str) -> None:
    observation = observed(undefended, threat)
    assert observation.granted == PRESETS[threat].capabilities
    for capability, name in READERS.items():
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
    uses = {
        Capability.GRADIENT_QUERIES,
        Capability.UPDATE_QUERIES,
        Capability.OWN_GRADIENT_QUERIES,
        Capability.HEAD_QUERIES,
        Capability.SERVER_WEIGHTS,
    }
    if not uses & PRESETS[threat].capabilities:
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
    held = list(tensors_in(observation._held))
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
            generator = generator_for(noisy.seed, "release", "inference", patient.id, 0, site)
            with torch.no_grad():
                wanted = noisy.defense.release(encoder(view), generator=generator)
            for found, level in zip(observation.activations[site], wanted, strict=True):
                assert torch.equal(found[number], level[patient.middle])


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


def test_repeated_releases_are_equal_without_a_defence(undefended: System) -> None:
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
    generator = generator_for(5, "query")
    with torch.no_grad():
        wanted = [
            noisy.defense.release(levels, generator=generator)
            for levels in noisy.network.encode(images.split([2, 2], dim=1))
        ]
    assert all(map(torch.equal, flat(found), flat(tuple(wanted))))


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


def test_weight_gradients_are_those_of_the_whole_network(undefended: System) -> None:
    observation = observed(undefended, "aggregator")
    names = [release.checkpoint for release in observation.weight_gradients]
    assert names == ["initialisation", "final"]
    networks = (undefended.initial, undefended.network)
    for release, cut, network in zip(
        observation.weight_gradients, observation.cut_gradients, networks, strict=True
    ):
        for mine, theirs in zip(release.encoders, network.encoders, strict=True):
            assert all(map(torch.equal, mine.state_dict().values(), theirs.state_dict().values()))
        for number, patient in enumerate(VICTIMS):
            middle = slice(patient.middle, patient.middle + 1)
            views = images_of(patient)[middle].split([2, 2], dim=1)
            masks = masks_of(patient)[middle]
            loss = segmentation_loss()(network(views), masks[:, None])
            wanted = torch.autograd.grad(loss, tuple(network.encoders.parameters()))
            for a, b in zip(release.gradients[number], wanted, strict=True):
                torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-7)

            received = [
                tuple(level.detach().requires_grad_() for level in site)
                for site in network.encode(views)
            ]
            loss = segmentation_loss()(network.server(received), masks[:, None])
            wanted = torch.autograd.grad(loss, [x for site in received for x in site])
            for a, b in zip(flat(cut), wanted, strict=True):
                torch.testing.assert_close(a[number : number + 1], b, rtol=1e-4, atol=1e-7)


def test_gradients_are_observed_after_the_epochs_that_are_named(undefended: System) -> None:
    whole = observed(undefended, "aggregator", gradient_checkpoints=(0, 1, 2))
    names = [release.checkpoint for release in whole.weight_gradients]
    assert names == ["initialisation", "epoch 1", "final"]
    halfway = observed(undefended, "aggregator", gradient_checkpoints=(1,))
    (release,) = halfway.weight_gradients
    trained = undefended.between[1].encoders[0].state_dict()
    assert all(map(torch.equal, release.encoders[0].state_dict().values(), trained.values()))
    for one, other in zip(
        flat(halfway.cut_gradients[0]), flat(whole.cut_gradients[1]), strict=True
    ):
        assert torch.equal(one, other)
    image, mask = images_of(AUXILIARY[0])[:1], masks_of(AUXILIARY[0])[:1]
    answers = whole.query_gradients(image, mask, generator_for(0, "query"))
    assert len(answers) == 3
    assert not torch.equal(answers[0].cut[0][0], answers[1].cut[0][0])
    site = observed(undefended, "curious-site", site=1, gradient_checkpoints=(1,))
    assert len(site.own_cut_gradients) == 1
    assert len(site.query_own_gradients(image, mask, generator_for(0, "query"))) == 1
    with pytest.raises(CellError, match="after epoch 7 was not kept"):
        observed(undefended, "aggregator", gradient_checkpoints=(0, 7))


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


def test_an_update_is_what_a_round_of_steps_moves(undefended: System) -> None:
    companions = Companions(batch=2, patients=COMPANIONS)
    one, three = (
        observed(undefended, "aggregator-of-rounds", companions=companions, round_steps=steps)
        for steps in (1, 3)
    )
    rate = undefended.settings.learning_rate
    gradients = observed(undefended, "aggregator", companions=companions).weight_gradients
    for release, update in zip(gradients, one.weight_updates, strict=True):
        assert release.checkpoint == update.checkpoint
        for gradient, moved in zip(release.gradients[0], update.gradients[0], strict=True):
            told = gradient.abs() > 1e-4 * gradient.abs().max().clamp_min(1e-3)
            wanted = -rate * gradient.sign()  # Adam's first step
            torch.testing.assert_close(moved[told], wanted[told], rtol=0.05, atol=1e-5)
    lengths = [
        torch.cat([part.flatten() for part in each.weight_updates[1].gradients[0]]).norm()
        for each in (one, three)
    ]
    assert lengths[1] > 1.5 * lengths[0]
    images, masks = images_of(AUXILIARY[0])[:2], masks_of(AUXILIARY[0])[:2]
    answers = three.query_updates(images, masks, generator_for(0, "query"))
    again = three.query_updates(images, masks, generator_for(0, "query"))
    assert [len(answer) for answer in answers] == [1, 1]
    assert all(map(torch.equal, answers[1][0], again[1][0]))
    shuffled = observed(
        undefended, "aggregator-of-rounds", companions=companions, round_steps=3, shuffled=True
    ).query_updates(images, masks, generator_for(0, "query"))
    assert not torch.equal(answers[1][0][0], shuffled[1][0][0])
    with pytest.raises(CellError, match="3 slices were asked about, in batches of 2"):
        three.query_updates(
            torch.cat([images, images[:1]]), torch.cat([masks, masks[:1]]), generator_for(0, "q")
        )


def test_the_server_between_two_cuts_holds_what_crossed_the_second(undefended: System) -> None:
    observation = observed(undefended, "u-shaped-server", gradient_checkpoints=(1, 2))
    networks = (undefended.between[1], undefended.network)
    for network, crossed in zip(networks, observation.head_messages, strict=True):
        for number, patient in enumerate(VICTIMS):
            middle = slice(patient.middle, patient.middle + 1)
            sent = network.server.features(network.encode(images_of(patient)[middle].split(2, 1)))
            loss = segmentation_loss()(
                network.server.classifier(sent), masks_of(patient)[middle][:, None]
            )
            (wanted,) = torch.autograd.grad(loss, sent)
            here = slice(number, number + 1)
            torch.testing.assert_close(crossed.features[here], sent, rtol=1e-4, atol=1e-6)
            torch.testing.assert_close(crossed.gradients[here], wanted, rtol=1e-4, atol=1e-9)
    here = slice(VICTIMS[0].middle, VICTIMS[0].middle + 1)
    asked = images_of(VICTIMS[0])[here], masks_of(VICTIMS[0])[here], generator_for(0, "query")
    answers = observation.query_head(*asked)
    assert len(answers) == len(networks)
    torch.testing.assert_close(
        answers[1].gradients, observation.head_messages[1].gradients[:1], rtol=1e-4, atol=1e-9
    )
    alone = observed(undefended, "u-shaped-server", returned="nothing")
    assert not alone.head_messages[0].gradients.any()
    assert not alone.query_head(*asked)[0].gradients.any()
    assert alone.head_messages[1].features.any()
    misled = observed(undefended, "u-shaped-server", returned="another's").head_messages[1]
    true = observed(undefended, "u-shaped-server").head_messages[1]
    assert torch.equal(misled.gradients, true.gradients.roll(-1, dims=0))
    assert torch.equal(misled.features, true.features)


def test_the_gradients_of_a_batch_are_those_of_the_whole_network_on_it(undefended: System) -> None:
    companions = Companions(batch=3, patients=COMPANIONS)
    observation = observed(undefended, "aggregator", companions=companions)
    assert observation.layout.gradient_batch == 3
    network = undefended.network
    for number, patient in enumerate(VICTIMS):
        middle = slice(patient.middle, patient.middle + 1)
        others = companions.of(patient, undefended.seed, "final")
        images = torch.cat([images_of(patient)[middle], others[0]])
        masks = torch.cat([masks_of(patient)[middle], others[1]])
        received = [
            tuple(level.detach().requires_grad_() for level in site)
            for site in network.encode(images.split([2, 2], dim=1))
        ]
        loss = segmentation_loss()(network.server(received), masks[:, None])
        returned = torch.autograd.grad(loss, [x for site in received for x in site])
        for a, b in zip(flat(observation.cut_gradients[1]), returned, strict=True):
            torch.testing.assert_close(a[3 * number : 3 * number + 3], b, rtol=1e-4, atol=1e-7)
        loss = segmentation_loss()(network(images.split([2, 2], dim=1)), masks[:, None])
        wanted = torch.autograd.grad(loss, tuple(network.encoders.parameters()))
        for a, b in zip(observation.weight_gradients[1].gradients[number], wanted, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-7)


def test_companions_bear_tumours_are_drawn_anew_at_each_checkpoint_and_come_again() -> None:
    healthy = tiny_patients(1, slices=4, seed=6)[0]
    healthy = Patient(id="healthy", images=healthy.images, masks=0 * healthy.masks)
    companions = Companions(batch=4, patients=[healthy, *COMPANIONS])
    pool = torch.cat([images_of(patient) for patient in COMPANIONS])
    drawn = [
        companions.of(patient, seed, checkpoint)[0]
        for patient, seed, checkpoint in (
            (VICTIMS[0], 0, "final"),
            (VICTIMS[0], 0, "final"),
            (VICTIMS[0], 0, "initialisation"),
            (VICTIMS[0], 1, "final"),
            (VICTIMS[1], 0, "final"),
        )
    ]
    for batch in drawn:
        places = [int((image == pool).flatten(1).all(dim=1).nonzero()) for image in batch]
        assert len(set(places)) == 3
    assert torch.equal(drawn[0], drawn[1])
    assert not any(torch.equal(drawn[0], other) for other in drawn[2:])


def test_too_few_companions_are_refused_with_the_largest_batch(undefended: System) -> None:
    companions = Companions(batch=9, patients=COMPANIONS)
    with pytest.raises(CellError, match="gradient_batch can be 7"):
        observed(undefended, "aggregator", companions=companions)


def test_a_gradient_query_is_answered_in_whole_batches(undefended: System) -> None:
    companions = Companions(batch=2, patients=COMPANIONS)
    query = observed(undefended, "aggregator", companions=companions).query_gradients
    images = torch.cat([images_of(patient) for patient in AUXILIARY])
    masks = torch.cat([masks_of(patient) for patient in AUXILIARY])
    both = query(images, masks, generator_for(5, "query"))[1]
    assert len(both.weights) == 3
    assert len(both.cut[0][0]) == 6
    # Undefended, the places in a batch make no difference to its weight gradient.
    swapped = query(images[[1, 0]], masks[[1, 0]], generator_for(5, "query"))[1]
    for a, b in zip(both.weights[0], swapped.weights[0], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(both.cut[0][0][[1, 0]], swapped.cut[0][0], rtol=1e-4, atol=1e-7)
    with pytest.raises(CellError, match="3 slices were asked about, in batches of 2"):
        query(images[:3], masks[:3], generator_for(5, "query"))


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


def test_a_site_holds_its_own_images_and_what_came_back_to_it_alone(noisy: System) -> None:
    whole = observed(noisy, "aggregator")
    for site in range(2):
        own = observed(noisy, "curious-site", site=site)
        assert torch.equal(own.own_images, middle_images(VICTIMS)[:, 2 * site : 2 * site + 2])
        for mine, everybodys in zip(own.own_cut_gradients, whole.cut_gradients, strict=True):
            assert all(map(torch.equal, mine, everybodys[site]))
        images, masks = images_of(AUXILIARY[0]), masks_of(AUXILIARY[0])
        asked = own.query_own_gradients(images, masks, generator_for(3, "query"))
        answers = whole.query_gradients(images, masks, generator_for(3, "query"))
        for mine, answer in zip(asked, answers, strict=True):
            assert all(map(torch.equal, mine, answer.cut[site]))


def test_what_came_back_can_be_withheld_or_another_patients(undefended: System) -> None:
    own, nothing, anothers = (
        observed(undefended, "curious-site", returned=each)
        for each in ("own", "nothing", "another's")
    )
    images, masks = images_of(AUXILIARY[0]), masks_of(AUXILIARY[0])
    for checkpoint, mine in enumerate(own.own_cut_gradients):
        for level, tensor in enumerate(mine):
            assert torch.equal(anothers.own_cut_gradients[checkpoint][level], tensor.flip(0))
            assert not nothing.own_cut_gradients[checkpoint][level].any()
    for observation, some in ((own, True), (anothers, True), (nothing, False)):
        assert torch.equal(observation.own_images, own.own_images)
        answers = observation.query_own_gradients(images, masks, generator_for(3, "query"))
        assert all(bool(level.any()) == some for levels in answers for level in levels)


def test_the_layout_says_what_a_site_lacks(undefended: System) -> None:
    for site, foreign in ((0, (2, 3)), (1, (0, 1)), (None, (0, 1, 2, 3))):
        layout = layout_of(undefended, (32, 32), 2, site=site)
        assert layout.foreign == foreign
        assert layout.shape_of("other-site images") == (2, len(foreign), 32, 32)
        assert layout.shape_of("masks") == (2, 1, 32, 32)
        assert layout.shape_of("images") == layout.image_shape == (2, 4, 32, 32)


def test_a_data_site_must_be_named(undefended: System) -> None:
    with pytest.raises(CellError, match="curious-site is that of a data site: name which"):
        observed(undefended, "curious-site", site=None)


def test_a_hijacked_training_begins_anew_and_follows_the_returned_gradients(
    undefended: System,
) -> None:
    exchange = observed(undefended, "malicious-server").exchange
    first = exchange(None, False)
    size = undefended.settings.batch_size
    assert [tuple(level.shape[:2]) for level in first[0]] == [(size, 4), (size, 4)]
    before = exchange(None, True)
    assert len(before[0][0]) == len(VICTIMS)
    begun = exchange(None, False)
    assert all(map(torch.equal, flat(begun), flat(first)))
    # Minimise the released values themselves: they fall, as the site knows no better.
    for _ in range(10):
        begun = exchange(tuple(tuple(map(torch.ones_like, site)) for site in begun), False)
    after = exchange(None, True)
    for earlier, later in zip(flat(before), flat(after), strict=True):
        assert float(later.mean()) < float(earlier.mean())
    with pytest.raises(CellError, match="sent no batch before"):
        exchange(before, False)


def test_a_hijacked_training_refuses_gradients_of_another_shape(undefended: System) -> None:
    exchange = observed(undefended, "malicious-server").exchange
    batch = exchange(None, False)
    with pytest.raises(CellError, match="fit no release"):
        exchange(tuple(tuple(level[:1] for level in site) for site in batch), False)
