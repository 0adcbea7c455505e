"""The gradients and updates that an adversary is shown."""

from __future__ import annotations

import pytest
import torch

from leakaudit.data import Patient
from leakaudit.errors import CellError
from leakaudit.randomness import generator_for
from leakaudit.target.loss import segmentation_loss
from leakaudit.threat.gradients import Companions
from leakaudit.threat.system import System, images_of, masks_of
from tests.threat.observed import AUXILIARY, COMPANIONS, VICTIMS, flat, observed
from tests.tiny import tiny_patients


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
        others = companions.of(patient, undefended.draws, "final")
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
