"""That nothing is made on the wrong device, shown without a GPU.

A `meta` tensor holds no values: code that makes a tensor on the CPU, or branches on a value, fails
on it. `FakeTensorMode` fails on every mixture of devices, plain `meta` only on most. MONAI's Dice
loss looks at the masks' values, so the fake step ends in cross-entropy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional

from leakaudit.contracts import Capability, Defense, GradientRelease, Observation, SystemLayout
from leakaudit.randomness import generator_for, laplace_like, normal_like, uniform_like
from leakaudit.target.parties import LabelSite
from leakaudit.target.protocol import Protocol
from leakaudit.target.split_unet import SplitUNet
from leakaudit.target.training import build
from leakaudit.types import SiteLevels
from leakaudit_attacks.activation_inversion import ActivationInversion
from leakaudit_attacks.deep_leakage import DeepLeakage
from leakaudit_attacks.gradient_inversion import GradientInversion
from leakaudit_attacks.optimising.engine import StepRule, search
from leakaudit_defenses.activation_dropout import ActivationDropout
from leakaudit_defenses.dp_gaussian import DpGaussian
from leakaudit_defenses.gaussian_noise import GaussianNoise
from leakaudit_defenses.identity import Identity
from leakaudit_defenses.laplace_noise import LaplaceNoise
from leakaudit_defenses.quantization import Quantization
from leakaudit_defenses.top_k import TopK
from tests.tiny import FEATURES, tiny_spec

DEFENSES: list[Defense] = [
    Identity(),
    GaussianNoise(std=0.5),
    ActivationDropout(p=0.5),
    ActivationDropout(unit="channel"),
    DpGaussian(clip=10.0, noise_std=1.0, releases=1),
    LaplaceNoise(scale=0.5, relative=True),
    Quantization(bits=2),
    TopK(keep=0.2),
]
SPATIAL = (32, 32)
SPEC = tiny_spec(cut_level=1)
VICTIMS = 2


@pytest.fixture
def fake() -> Iterator[None]:
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield


@pytest.fixture
def cuda() -> torch.device:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device is visible to torch")
    return torch.device("cuda")


def network_on(device: str) -> SplitUNet:
    return build(SPEC, 0).to(device) if device != "meta" else hollow_network()


def hollow_network() -> SplitUNet:
    with torch.device("meta"):
        return SplitUNet(SPEC)


def views_on(device: str) -> tuple[torch.Tensor, ...]:
    images = torch.rand(VICTIMS, 4, *SPATIAL, generator=torch.Generator().manual_seed(0))
    return tuple(images.to(device).split([2, 2], dim=1))


def masks_on(device: str) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(4, (VICTIMS, *SPATIAL), generator=generator).to(device)


def layout() -> SystemLayout:
    return SystemLayout(
        channels=SPEC.channels,
        crossing=SPEC.crossing,
        features=FEATURES,
        spatial=SPATIAL,
        victims=VICTIMS,
    )


def released(network: SplitUNet, defense: Defense, views: tuple[torch.Tensor, ...]) -> SiteLevels:
    return tuple(
        tuple(level.detach() for level in defense.release(levels, generator=generator_for(0, site)))
        for site, levels in enumerate(network.encode(views))
    )


def activations_of(network: SplitUNet, defense: Defense, device: str) -> Observation:
    views = views_on(device)
    releases = tuple(released(network, defense, views) for _ in range(2))
    return Observation(
        threat="test",
        layout=layout(),
        held={
            Capability.ACTIVATIONS: releases[0],
            Capability.REPEATED_RELEASES: releases,
            Capability.ENCODER_WEIGHTS: tuple(network.encoders),
            Capability.DEFENSE_PARAMETERS: defense,
        },
    )


def gradients_of(network: SplitUNet, defense: Defense, device: str) -> Observation:
    """Weight gradients and the cut gradients they come from: here the released levels."""
    views = views_on(device)
    returned = released(network, defense, views)
    per_victim = []
    for victim in range(VICTIMS):
        one = slice(victim, victim + 1)
        caused = sum(
            (level * gradient[one]).sum()
            for encoder, view, levels in zip(network.encoders, views, returned, strict=True)
            for level, gradient in zip(encoder(view[one]), levels, strict=True)
        )
        assert isinstance(caused, torch.Tensor)
        per_victim.append(torch.autograd.grad(caused, list(network.encoders.parameters())))
    release = GradientRelease(
        checkpoint="final", encoders=tuple(network.encoders), gradients=tuple(per_victim)
    )
    return Observation(
        threat="test",
        layout=layout(),
        held={
            Capability.WEIGHT_GRADIENTS: (release,),
            Capability.CUT_GRADIENTS: (returned,),
            Capability.ENCODER_WEIGHTS: tuple(network.encoders),
            Capability.DEFENSE_PARAMETERS: defense,
        },
    )


def training_step(network: SplitUNet, defense: Defense, device: str) -> torch.Tensor:
    parties = [*network.encoders, network.server]
    optimizers = [torch.optim.Adam(party.parameters(), 1e-2) for party in parties]
    protocol = Protocol(network, defense, autocast=True)
    loss = protocol.backward(views_on(device), masks_on(device), 0, "step")
    for optimizer in optimizers:
        optimizer.step()
    return loss


def candidate_step(
    objective: Callable[[torch.Tensor, int], torch.Tensor], device: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """The objective of a grey start and its gradient, as the attack's own descent takes them."""
    start = torch.full((VICTIMS, 4, *SPATIAL), 0.5, device=device)
    values = []

    def kept(candidate: torch.Tensor, step: int) -> torch.Tensor:
        values.append(objective(candidate, step))
        return values[-1]

    rule = StepRule(learning_rate=0.05)
    starts = start.unsqueeze(0)
    moved = search(kept, starts, rule, iterations=1, progress=lambda done, total: None).images
    assert moved.device.type == values[0].device.type == device
    assert (values[0].shape, moved.shape) == ((VICTIMS,), start.shape)
    return values[0].detach(), moved


@pytest.mark.parametrize("defense", DEFENSES, ids=repr)
class TestOnMeta:
    def test_a_training_step(self, defense: Defense) -> None:
        network = hollow_network()
        loss = training_step(network, defense, "meta")
        assert loss.is_meta
        assert all(p.grad is not None and p.grad.is_meta for p in network.parameters())

    def test_a_gradient_inversion_step(self, defense: Defense) -> None:
        observation = gradients_of(hollow_network(), defense, "meta")
        candidate_step(
            GradientInversion(tv=0.05).objective(observation, 0, torch.Generator()), "meta"
        )
        candidate_step(DeepLeakage().objective(observation, 0, torch.Generator()), "meta")

    def test_an_activation_inversion_step(self, defense: Defense) -> None:
        observation = activations_of(hollow_network(), defense, "meta")
        candidate_step(ActivationInversion().objective(observation), "meta")


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("defense", DEFENSES, ids=repr)
class TestWithFakeTensors:
    def test_encoders_releases_and_the_server(self, defense: Defense) -> None:
        network = hollow_network()
        protocol = Protocol(network, defense)
        messages = protocol.send(views_on("meta"), 0)
        for message in messages:
            for level, number in zip(message.levels, SPEC.crossing, strict=True):
                extents = (extent // 2**number for extent in SPATIAL)
                assert tuple(level.shape) == (VICTIMS, FEATURES[number], *extents)
                assert level.is_meta
        label_site = LabelSite(network.server, PlainCrossEntropy())
        loss, answers = label_site.step(messages, masks_on("meta"))
        for site, answer in zip(protocol.sites, answers, strict=True):
            site.backward(answer)
        assert loss.is_meta
        assert all(p.grad is not None and p.grad.is_meta for p in network.parameters())

    def test_the_activation_objective(self, defense: Defense) -> None:
        observation = activations_of(hollow_network(), defense, "meta")
        candidate_step(ActivationInversion().objective(observation), "meta")


class PlainCrossEntropy(torch.nn.Module):
    def forward(self, logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(logits, masks.squeeze(1))


@pytest.mark.usefixtures("fake")
def test_fake_tensors_catch_a_tensor_on_the_wrong_device() -> None:
    # Otherwise the tests above could not fail.
    network = hollow_network()
    with pytest.raises(RuntimeError, match="device"):
        network([views_on("meta")[0], views_on("cpu")[1]])


@pytest.mark.parametrize("draw", [laplace_like, normal_like, uniform_like])
def test_a_draw_does_not_depend_on_where_or_what_the_data_is(
    draw: Callable[[torch.Tensor, torch.Generator], torch.Tensor],
) -> None:
    plain = torch.empty(2, 3, 5)
    reference = generator_for(0, "draw")
    wanted = draw(plain, reference)
    assert wanted.unique().numel() == 30
    for tensor in (plain.double(), plain.bfloat16(), plain.to("meta")):
        generator = generator_for(0, "draw")
        drawn = draw(tensor, generator)
        assert (drawn.shape, drawn.dtype, drawn.device) == (
            tensor.shape,
            tensor.dtype,
            tensor.device,
        )
        assert torch.equal(generator.get_state(), reference.get_state())
        if not drawn.is_meta:
            assert torch.equal(drawn, wanted.to(drawn.dtype))


@pytest.mark.gpu
@pytest.mark.parametrize("defense", DEFENSES, ids=repr)
class TestOnCuda:
    def test_a_training_step(self, defense: Defense, cuda: torch.device) -> None:
        steps = {}
        for device in ("cpu", cuda.type):
            network = network_on(device)
            loss = training_step(network, defense, device)
            weights = torch.cat([p.detach().cpu().flatten() for p in network.parameters()])
            gradients = [p.grad for p in network.parameters()]
            assert all(each is not None and each.device.type == device for each in gradients)
            steps[device] = (float(loss), weights)
        # Training runs in bfloat16 on CUDA.
        assert steps["cuda"][0] == pytest.approx(steps["cpu"][0], rel=2e-2)
        # Adam's first step moves each weight by the learning rate at most.
        assert float((steps["cuda"][1] - steps["cpu"][1]).abs().max()) <= 2.1e-2

    @pytest.mark.parametrize("kind", ["activation", "gradient"])
    def test_an_attack_step(self, defense: Defense, cuda: torch.device, kind: str) -> None:
        steps = {}
        for device in ("cpu", cuda.type):
            network = network_on(device)
            objective: Callable[[torch.Tensor, int], torch.Tensor]
            if kind == "activation":
                objective = ActivationInversion().objective(
                    activations_of(network, defense, device)
                )
            else:
                generator = torch.Generator().manual_seed(0)
                observation = gradients_of(network, defense, device)
                objective = GradientInversion(tv=0.05).objective(observation, 0, generator)
            steps[device] = [tensor.cpu() for tensor in candidate_step(objective, device)]
        errors = [
            float((found - wanted).norm() / wanted.norm())
            for found, wanted in zip(steps["cuda"], steps["cpu"], strict=True)
        ]
        # Adam's first step is the gradient's sign, which rounding turns where it is near 0.
        assert errors[0] < 2e-2
        assert errors[1] < 5e-2
