from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pytest
import torch

from leakaudit.contracts import Defense
from leakaudit.randomness import generator_for
from leakaudit.target.loss import segmentation_loss
from leakaudit.target.protocol import Protocol
from leakaudit.target.split_unet import SplitUNet
from leakaudit.target.training import build
from leakaudit.types import Levels
from leakaudit_defenses.gaussian_noise import GaussianNoise
from leakaudit_defenses.identity import Identity
from tests.tiny import FEATURES, tiny_spec

SITES = [(4,), (2, 2), (1, 1, 1, 1)]
DEFENSES = [Identity(), GaussianNoise(std=0.5)]
SEED = 3

Batch = tuple[tuple[torch.Tensor, ...], torch.Tensor]


def batch_of(channels: tuple[int, ...], dims: int) -> Batch:
    generator = torch.Generator().manual_seed(1)
    extents = (32, 16, 16)[:dims] if dims == 3 else (32, 32)
    images = torch.rand(2, sum(channels), *extents, generator=generator)
    masks = torch.randint(4, (2, *extents), generator=generator)
    return images.split(list(channels), dim=1), masks


def monolithic_loss(network: SplitUNet, defense: Defense, batch: Batch) -> torch.Tensor:
    """The same step in one autograd graph, with the same draws."""
    views, masks = batch
    released = [
        defense.release(levels, generator=generator_for(SEED, "release", "test", site))
        for site, levels in enumerate(network.encode(views))
    ]
    loss: torch.Tensor = segmentation_loss()(network.server(released), masks.unsqueeze(1))
    return loss


def relative_error(found: Iterable[torch.Tensor], wanted: Iterable[torch.Tensor]) -> float:
    a, b = (torch.cat([tensor.double().flatten() for tensor in side]) for side in (found, wanted))
    return float((a - b).norm() / b.norm())


def gradients_of(network: SplitUNet) -> list[torch.Tensor]:
    # A parameter that nothing depends on has none: a withheld skip's, say.
    return [
        torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        for parameter in network.parameters()
    ]


@pytest.mark.parametrize("defense", DEFENSES, ids=repr)
@pytest.mark.parametrize("cut_level", range(5))
@pytest.mark.parametrize("channels", SITES, ids=lambda sites: f"{len(sites)}-sites")
@pytest.mark.parametrize("dims", [2, 3])
def test_split_gradients_equal_the_monolithic_ones(
    defense: Defense, cut_level: int, channels: tuple[int, ...], dims: int
) -> None:
    features = (2, 2, 2, 2, 2, 2) if dims == 3 else FEATURES
    network = build(tiny_spec(channels, cut_level, None, dims, features), 0)
    batch = batch_of(channels, dims)
    wanted_loss = monolithic_loss(network, defense, batch)
    wanted_loss.backward()
    wanted = [gradient.clone() for gradient in gradients_of(network)]
    network.zero_grad()

    loss = Protocol(network, defense).backward(*batch, SEED, "test")

    assert float(loss) == pytest.approx(float(wanted_loss.detach()), rel=1e-6)
    assert relative_error(gradients_of(network), wanted) <= 1e-5
    for party in (*network.encoders, network.server):
        assert any(bool(p.grad.any()) for p in party.parameters() if p.grad is not None)


@pytest.mark.parametrize("defense", DEFENSES, ids=repr)
@pytest.mark.parametrize("cut_level", [0, 2, 4])
def test_a_u_shaped_step_computes_what_the_vanilla_one_does(
    defense: Defense, cut_level: int
) -> None:
    network = build(tiny_spec((2, 2), cut_level), 0)
    batch = batch_of((2, 2), 2)
    wanted_loss = Protocol(network, defense).backward(*batch, SEED, "test")
    wanted = [gradient.clone() for gradient in gradients_of(network)]
    network.zero_grad()
    loss = Protocol(network, defense).u_shaped_backward(*batch, SEED, "test")
    assert torch.equal(loss, wanted_loss)
    assert relative_error(gradients_of(network), wanted) <= 1e-6


@pytest.mark.parametrize("skips", [(), (0,), (1,)])
def test_split_gradients_with_withheld_skips(skips: tuple[int, ...]) -> None:
    network, batch = build(tiny_spec(cut_level=2, shared_skips=skips), 0), batch_of((2, 2), 2)
    monolithic_loss(network, DEFENSES[1], batch).backward()
    wanted = [gradient.clone() for gradient in gradients_of(network)]
    network.zero_grad()
    Protocol(network, DEFENSES[1]).backward(*batch, SEED, "test")
    assert relative_error(gradients_of(network), wanted) <= 1e-5


@pytest.mark.parametrize("defense", DEFENSES, ids=repr)
@pytest.mark.parametrize("dims", [2, 3])
def test_split_gradients_with_a_bottleneck(defense: Defense, dims: int) -> None:
    spec = tiny_spec(cut_level=2, shared_skips=(1,), spatial_dims=dims, bottleneck=2)
    network, batch = build(spec, 0), batch_of((2, 2), dims)
    monolithic_loss(network, defense, batch).backward()
    wanted = [gradient.clone() for gradient in gradients_of(network)]
    network.zero_grad()
    Protocol(network, defense).backward(*batch, SEED, "test")
    assert relative_error(gradients_of(network), wanted) <= 1e-5
    narrowing = [p.grad for name, p in network.named_parameters() if ".narrow." in name]
    assert len(narrowing) == 2 * 2 * 2  # sites, crossing levels, weight and bias
    assert all(gradient is not None and bool(gradient.any()) for gradient in narrowing)


def test_the_defense_sees_what_the_bottleneck_lets_through() -> None:
    seen: list[list[int]] = []

    @dataclass(frozen=True, kw_only=True)
    class Watching(Defense):
        def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
            return ()

        def apply(self, levels: Levels, drawn: Levels) -> Levels:
            seen.append([level.shape[1] for level in levels])
            return levels

    network = build(tiny_spec(cut_level=3, shared_skips=(1,), bottleneck=5), 0)
    Protocol(network, Watching()).backward(*batch_of((2, 2), 2), SEED, "test")
    assert seen == [[4, 5]] * 2


def test_another_draw_gives_other_gradients() -> None:
    # The comparison above would mean nothing if the defense's noise did not reach the gradients.
    network, batch = build(tiny_spec(), 0), batch_of((2, 2), 2)
    protocol = Protocol(network, GaussianNoise(std=0.5))
    protocol.backward(*batch, SEED, "test")
    first = [gradient.clone() for gradient in gradients_of(network)]
    network.zero_grad()
    protocol.backward(*batch, SEED, "another")
    assert relative_error(gradients_of(network), first) > 1e-2


@pytest.mark.parametrize("defense", DEFENSES, ids=repr)
def test_the_parties_share_no_autograd_graph(defense: Defense) -> None:
    network, (views, masks) = build(tiny_spec(), 0), batch_of((2, 2), 2)
    protocol = Protocol(network, defense)
    messages = protocol.send(views, SEED)
    _, answers = protocol.label_site.step(messages, masks)
    crossing = [message.levels for message in messages] + [answer.levels for answer in answers]
    sent = [level for levels in crossing for level in levels]
    assert len(sent) == 8
    for level in sent:
        assert level.grad_fn is None
        assert not level.requires_grad
    # The label site's backward pass stopped at the cut.
    assert all(parameter.grad is None for parameter in network.encoders.parameters())
    assert all(parameter.grad is not None for parameter in network.server.parameters())
    protocol.sites[0].backward(answers[0])
    assert all(p.grad is not None for p in network.encoders[0].parameters())
    assert all(p.grad is None for p in network.encoders[1].parameters())


@pytest.mark.parametrize("defense", DEFENSES, ids=repr)
@pytest.mark.parametrize("cut_level", [0, 2])
def test_splitfed_weight_gradients_equal_the_accumulated_ones(
    defense: Defense, cut_level: int
) -> None:
    network, batch = build(tiny_spec(cut_level=cut_level), 0), batch_of((2, 2), 2)
    protocol = Protocol(network, defense)
    answers, messages = protocol.splitfed_messages(*batch, SEED, "test")
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(level.grad_fn is None for answer in answers for level in answer.levels)

    protocol.backward(*batch, SEED, "test")

    for encoder, message in zip(network.encoders, messages, strict=True):
        accumulated = list(encoder.parameters())
        assert len(message.tensors) == len(accumulated)
        for sent, parameter in zip(message.tensors, accumulated, strict=True):
            torch.testing.assert_close(sent, parameter.grad)
            assert not sent.requires_grad


def test_the_cut_gradient_is_that_of_the_loss() -> None:
    network, (views, masks) = build(tiny_spec(), 0), batch_of((2, 2), 2)
    protocol = Protocol(network, Identity())
    _, answers = protocol.label_site.step(protocol.send(views, SEED), masks)
    levels = [
        tuple(level.detach().requires_grad_() for level in site) for site in network.encode(views)
    ]
    loss = segmentation_loss()(network.server(levels), masks.unsqueeze(1))
    flat = [level for site in levels for level in site]
    wanted = torch.autograd.grad(loss, flat)
    found = [level for answer in answers for level in answer.levels]
    assert relative_error(found, wanted) <= 1e-6


def test_each_message_is_keyed_by_seed_purpose_and_site() -> None:
    protocol = Protocol(build(tiny_spec((2, 2)), 0), GaussianNoise(std=1.0))
    zeros = (torch.zeros(1, 2, 16, 16),) * 2
    first = [message.levels[0] for message in protocol.send(zeros, SEED, "a")]
    again = [message.levels[0] for message in protocol.send(zeros, SEED, "a")]
    assert all(map(torch.equal, first, again))
    for labels in ((SEED, "b"), (SEED + 1, "a")):
        other = [message.levels[0] for message in protocol.send(zeros, *labels)]
        assert not any(map(torch.equal, first, other))
    # Blank images give zeros at every site, so only the draw can differ.
    assert not torch.equal(first[0], first[1])


def test_segment_gives_the_classes_of_the_joint_network() -> None:
    network, (views, _) = build(tiny_spec(), 0).eval(), batch_of((2, 2), 2)
    protocol = Protocol(network, Identity())
    predicted = protocol.label_site.segment(protocol.send(views, SEED))
    with torch.no_grad():
        assert torch.equal(predicted, network(views).argmax(dim=1))


class Constant(Defense):
    """Releases zeros; no gradient leads back to an encoder."""

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        return ()

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return tuple(torch.zeros_like(level) for level in levels)


def test_a_release_without_a_gradient_trains_the_label_site_alone() -> None:
    network, (views, masks) = build(tiny_spec(), 0), batch_of((2, 2), 2)
    Protocol(network, Constant()).backward(views, masks, 0)
    encoders = [one for each in network.encoders for one in each.parameters()]
    assert not any(one.grad is not None and bool(one.grad.any()) for one in encoders)
    assert any(one.grad is not None and bool(one.grad.any()) for one in network.server.parameters())
    _, sent = Protocol(network, Constant()).splitfed_messages(views, masks, 0)
    assert not any(bool(tensor.any()) for message in sent for tensor in message.tensors)
