"""Per-sample gradients, what they refuse, and what a private party learns from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from leakaudit.contracts import Defense, ReleaseSetting, Stack
from leakaudit.errors import ConfigError
from leakaudit.randomness import generator_for
from leakaudit.target.effects import Effects
from leakaudit.target.loss import segmentation_loss
from leakaudit.target.per_sample import require_layers, require_unmixed
from leakaudit.target.private_party import PrivateParty, Records
from leakaudit.target.protocol import Protocol
from leakaudit.target.split_unet import SiteEncoder, SplitUNet
from leakaudit.target.training import TrainingData, TrainingSettings, build, train
from leakaudit.types import Levels
from leakaudit_defenses.dp_sgd import DpSgd
from leakaudit_defenses.gaussian_noise import GaussianNoise
from leakaudit_defenses.identity import Identity
from tests.tiny import FEATURES, tiny_spec

Batch = tuple[tuple[torch.Tensor, ...], torch.Tensor]


def batch_of(count: int, dims: int = 2) -> Batch:
    generator = torch.Generator().manual_seed(1)
    extents = (32, 16, 16)[:dims] if dims == 3 else (32, 32)
    images = torch.rand(count, 4, *extents, generator=generator)
    masks = torch.randint(4, (count, *extents), generator=generator)
    return images.split([2, 2], dim=1), masks


def fitted(**changed: Any) -> DpSgd:
    levels = (torch.zeros(1, 2, 4, 4),)
    return DpSgd(**changed).fit(
        ReleaseSetting(
            sites=2, releases_per_patient=1, auxiliary_levels=(levels, levels), steps_per_patient=9
        )
    )


@dataclass(frozen=True, kw_only=True)
class Spy(Defense):
    """Privatizes everybody, changes nothing, keeps the per-record gradients it was handed."""

    seen: list[tuple[torch.Tensor, ...]] = field(default_factory=list)

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        return ()

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return levels

    def privatizes(self, party: str) -> bool:
        return True

    def draw_update(self, parameters: Any, generator: torch.Generator) -> Any:
        return ()

    def apply_update(self, gradients: Any, drawn: Any) -> Any:
        self.seen.append(tuple(gradients))
        return tuple(gradient.sum(dim=0) for gradient in gradients)


def per_sample(network: SplitUNet, batch: Batch, patients: torch.Tensor | None = None) -> Any:
    """The encoders' and the server's per-record gradients of one step."""
    spy = Spy()
    Protocol(network, spy).backward(*batch, 0, "test", patients=patients)
    server, *encoders = spy.seen
    return encoders, server


@pytest.mark.parametrize("cut_level", [0, 2])
@pytest.mark.parametrize("dims", [2, 3])
def test_per_sample_gradients_equal_those_of_each_sample_alone(cut_level: int, dims: int) -> None:
    features = (2, 2, 2, 2, 2, 2) if dims == 3 else FEATURES
    network = build(tiny_spec((2, 2), cut_level, None, dims, features), 0)
    views, masks = batch_of(3, dims)
    encoders, server = per_sample(network, (views, masks))
    loss = segmentation_loss(per_sample=True)
    for sample in range(3):
        one = slice(sample, sample + 1)
        network.zero_grad()
        loss(network([view[one] for view in views]), masks[one].unsqueeze(1)).backward()
        for found, party in zip(
            [*encoders, server], [*network.encoders, network.server], strict=True
        ):
            wanted = [torch.zeros_like(p) if p.grad is None else p.grad for p in party.parameters()]
            scale = max(float(tensor.abs().max()) for tensor in wanted)
            for recorded, alone in zip(found, wanted, strict=True):
                assert float((recorded[sample] - alone).abs().max()) <= 1e-5 * max(scale, 1)


def test_the_slices_of_a_patient_are_added_up_before_they_are_clipped() -> None:
    network, batch = build(tiny_spec((2, 2), 1), 0), batch_of(4)
    alone, _ = per_sample(network, batch)
    together, _ = per_sample(network, batch, torch.tensor([7, 3, 7, 7]))
    for slices, patients in zip(alone[0], together[0], strict=True):
        # In the order of the patients' numbers: 3, then 7.
        assert torch.allclose(patients[0], slices[1], atol=1e-6)
        assert torch.allclose(patients[1], slices[[0, 2, 3]].sum(dim=0), atol=1e-5)


def test_without_clip_and_noise_a_step_is_that_of_the_summed_loss() -> None:
    network, (views, masks) = build(tiny_spec((2, 2), 1), 0), batch_of(3)
    Protocol(network, fitted(epsilon=float("inf"), clip=1e12)).backward(views, masks, 0, "test")
    private = [p.grad.clone() for p in network.parameters() if p.grad is not None]
    network.zero_grad()
    loss = segmentation_loss(per_sample=True)(network(views), masks.unsqueeze(1)) / 3
    loss.backward()
    wanted = [p.grad for p in network.parameters() if p.grad is not None]
    assert len(private) >= len(wanted) > 0
    joined = torch.cat([tensor.flatten() for tensor in wanted])
    found = torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])
    assert torch.equal(joined, found)
    total = float(
        sum(
            (a - b).square().sum()
            for a, b in zip(
                [t for t in private if bool(t.any())],
                [t for t in wanted if bool(t.any())],
                strict=True,
            )
        )
    )
    assert total**0.5 <= 1e-5 * float(joined.norm())


def test_no_record_weighs_more_than_the_clip_and_the_noise_is_what_was_said() -> None:
    defense = fitted(clip=0.5)
    gradients = [torch.randn(3, 40, 50), 100 * torch.randn(3, 7)]
    still = [torch.zeros(40, 50), torch.zeros(7)]
    for record in range(3):
        own = [gradient[record : record + 1] for gradient in gradients]
        applied = defense.apply_update(own, still)
        assert float(torch.cat([t.flatten() for t in applied]).norm()) == pytest.approx(0.5)
    drawn = defense.draw_update(still, generator_for(0, "test"))
    noise = defense.apply_update([torch.zeros(3, 40, 50), torch.zeros(3, 7)], drawn)[0]
    # Nine steps at epsilon 8, three parties of clip 0.5: sqrt(9) / mu(8, 1e-5) * 2 * 0.5 * sqrt(3).
    assert defense.noise_std is not None
    assert float(noise.std()) == pytest.approx(defense.noise_std, rel=0.05)


def test_hooks_are_gone_after_a_step() -> None:
    network, batch = build(tiny_spec((2, 2), 1), 0), batch_of(2)
    Protocol(network, fitted()).backward(*batch, 0, "test")
    assert not any(
        hasattr(p, "grad_sample") and p.grad_sample is not None for p in network.parameters()
    )
    assert not any(m._forward_hooks or m._backward_hooks for m in network.modules())


def test_an_aggregator_is_sent_what_the_party_learns_from() -> None:
    network, batch = build(tiny_spec((2, 2), 1), 0), batch_of(2)
    defense = fitted()
    _, sent = Protocol(network, defense).splitfed_messages(*batch, 0, "test")
    network.zero_grad()
    Protocol(network, defense).backward(*batch, 0, "test")
    for message, encoder in zip(sent, network.encoders, strict=True):
        for tensor, parameter in zip(message.tensors, encoder.parameters(), strict=True):
            assert parameter.grad is not None
            assert torch.equal(tensor, parameter.grad)


class MeanFree(nn.Module):
    """Subtracts the batch's mean."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - x.mean(dim=0, keepdim=True)


@pytest.mark.parametrize(
    ("layer", "cure"),
    [
        (nn.BatchNorm2d(2), "use instance or group normalisation"),
        (nn.LeakyReLU(inplace=True), "build it with inplace=False"),
    ],
)
def test_layers_without_true_per_sample_gradients_are_refused(layer: nn.Module, cure: str) -> None:
    with pytest.raises(ConfigError, match=cure):
        require_layers(nn.Sequential(nn.Conv2d(2, 2, 1), layer))


def test_a_network_that_mixes_samples_is_refused() -> None:
    images = torch.rand(2, 2, 8, 8)
    with pytest.raises(ConfigError, match="instance normalisation"):
        require_unmixed(nn.Sequential(nn.Conv2d(2, 2, 1), MeanFree()), images)
    require_unmixed(nn.Sequential(nn.Conv2d(2, 2, 1), nn.InstanceNorm2d(2)), images)


@pytest.mark.parametrize("layer", [MeanFree(), nn.BatchNorm2d(FEATURES[0]), nn.ReLU(inplace=True)])
def test_a_training_with_such_an_encoder_is_refused_before_its_first_step(
    layer: nn.Module, tmp_path: Path
) -> None:
    network = build(tiny_spec((2, 2), 1), 0)
    encoder = network.encoders[0]
    assert isinstance(encoder, SiteEncoder)
    encoder.blocks[0] = nn.Sequential(encoder.blocks[0], layer)
    with pytest.raises(ConfigError, match=r"norm|inplace=False"):
        trained(network, fitted(), tmp_path)


def trained(network: SplitUNet, defense: Defense, folder: Path) -> list[dict[str, Any]]:
    views, masks = batch_of(4)
    return train(
        network,
        defense,
        TrainingData(views=views, masks=masks, patients=torch.tensor([0, 0, 1, 1])),
        TrainingSettings(epochs=2, batch_size=2),
        seed=0,
        device=torch.device("cpu"),
        folder=folder,
        progress=lambda done, total: None,
        validate=lambda network: None,
    )


def test_a_private_training_is_seen_to_be_one(tmp_path: Path) -> None:
    defense = fitted(clip=1e-3)
    history = trained(build(tiny_spec((2, 2), 1), 0), defense, tmp_path)
    seen = Effects.summed(defense, "training", [epoch["effects"] for epoch in history])
    (effect,) = seen.records()
    assert not seen.idle()
    assert effect.records_clipped == 1
    assert effect.update_noise_std == pytest.approx(defense.noise_std, rel=0.05)


def test_claims() -> None:
    secret, seeded = (fitted().guarantee(1, reproducible=each) for each in (False, True))
    assert secret.claimed
    assert (secret.epsilon, secret.releases) == (8.0, 9)
    assert not seeded.claimed
    assert "published seed" in seeded.reason
    encoders = fitted(parties="encoders").guarantee(1, reproducible=False)
    assert not encoders.claimed
    assert "every trainable party under DP-SGD" in encoders.reason
    assert secret.covers == "weights"


@pytest.mark.parametrize("defense", [Identity(), GaussianNoise()])
def test_others_privatize_nothing(defense: Defense) -> None:
    assert PrivateParty.of(nn.Linear(1, 1), defense, "encoder") is None


def test_a_step_without_a_forward_pass_is_refused() -> None:
    from leakaudit.errors import CellError

    party = PrivateParty.of(nn.Linear(1, 1), fitted(), "encoder")
    assert party is not None
    with pytest.raises(CellError, match="listened"):
        party.learned(1, Records(None, generator_for(0, "test")), None)


def test_a_forward_pass_that_was_never_answered_leaves_nothing_behind() -> None:
    network, (views, masks) = build(tiny_spec((2, 2), 1), 0), batch_of(2)
    protocol, fresh = (Protocol(network, fitted()) for _ in range(2))
    protocol.send(views, 0, "unanswered")
    protocol.backward(views, masks, 0, "test")
    found = [p.grad.clone() for p in network.parameters() if p.grad is not None]
    network.zero_grad()
    fresh.backward(views, masks, 0, "test")
    wanted = [p.grad for p in network.parameters() if p.grad is not None]
    assert all(map(torch.equal, found, wanted))
    assert any(bool(each.any()) for each in found)


@dataclass(frozen=True, kw_only=True)
class CentresTheBatch(Spy):
    """Mixes the samples of a batch before they cross; privatizes nobody."""

    def privatizes(self, party: str) -> bool:
        return False

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return tuple(level - level.mean(dim=0, keepdim=True) for level in levels)


@dataclass(frozen=True, kw_only=True)
class CentresWhatReturns(Spy):
    def apply_returned(self, gradients: Levels, drawn: Levels) -> Levels:
        return tuple(each - each.mean(dim=0, keepdim=True) for each in gradients)


@pytest.mark.parametrize("defense", [CentresTheBatch(), CentresWhatReturns()])
def test_a_defense_that_mixes_samples_is_never_trained_with(
    defense: Defense, tmp_path: Path
) -> None:
    network = build(tiny_spec((2, 2), 1), 0)
    with pytest.raises(ConfigError, match="another output in a batch than alone"):
        trained(network, Stack(chain=(defense, GaussianNoise())), tmp_path)


@dataclass(frozen=True, kw_only=True)
class ServerAlone(Spy):
    def privatizes(self, party: str) -> bool:
        return party == "server"


@dataclass(frozen=True, kw_only=True)
class Pushes(Defense):
    """A penalty whose gradient is known."""

    weight: float = 1.0

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        return ()

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return levels

    def penalty(
        self, images: torch.Tensor, released: Levels, companion: nn.Module | None
    ) -> torch.Tensor:
        return self.weight * torch.stack([level.mean() for level in released]).sum()


def test_a_penalty_weighs_the_same_beside_a_summed_loss() -> None:
    (views, masks), count = batch_of(4), 4

    def encoder_gradient(*chain: Defense) -> torch.Tensor:
        network = build(tiny_spec((2, 2), 1), 0)
        Protocol(network, Stack(chain=chain)).backward(views, masks, 0, "test")
        parameters = network.encoders[0].parameters()
        return torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])

    none = Pushes(weight=0.0)
    mean, summed = (
        encoder_gradient(Pushes(weight=5.0), beside) - encoder_gradient(none, beside)
        for beside in (none, ServerAlone())
    )
    # Beside a sum over four samples the penalty is four times as large, so that it weighs the same.
    assert float(mean.norm()) > 0
    assert torch.allclose(summed, count * mean, rtol=1e-3, atol=1e-5)
