"""The attacks of the weaker adversaries on scikit-learn's digits, which everybody can repeat.

A small classifier is split between a data site (one or two convolutions) and a label site; its
masks say the digit at every pixel. The very classes that an audit runs attack it. A label site that
hijacks the training meets the same encoder from its first step. The table is that of
docs/attacks-on-activations.md.

Run: python benchmarks/digits.py
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

from leakaudit.api import (
    Attack,
    AuxiliaryPatients,
    Capability,
    Observation,
    SystemLayout,
)
from leakaudit.measure.fidelity import ssim_image
from leakaudit.target.parties import DataSite
from leakaudit.threat.hijacking import HijackedTraining
from leakaudit_attacks.decoder_inversion import DecoderInversion
from leakaudit_attacks.feature_space_hijacking import FeatureSpaceHijacking
from leakaudit_attacks.pseudo_client_inversion import PseudoClientInversion
from leakaudit_attacks.unsplit import Unsplit
from leakaudit_defenses.identity import Identity

Classify = Callable[[torch.Tensor], torch.Tensor]
SIZE = (16, 16)
WIDTHS = (16, 32)
PRIVATE, AUXILIARY, VICTIMS = 900, 400, 100
RECEIVED = 200  # releases of private digits that the label site kept
HIJACKED_BATCH, HIJACKED_RATE = 32, 2e-3
# Name, attack, and what is kept from it of what it could be shown.
ATTACKS: tuple[tuple[str, Attack, frozenset[Capability]], ...] = (
    ("decoder-inversion (asks the encoder)", DecoderInversion(batch_size=32), frozenset()),
    (
        "pseudo-client-inversion",
        PseudoClientInversion(steps=200, batch_size=16, imitation_rate=1e-2, mirror=False),
        frozenset(),
    ),
    (
        "feature-space-hijacking (malicious)",
        FeatureSpaceHijacking(decoder_steps=200, steps=600, batch_size=32, patches=1024),
        frozenset(),
    ),
    ("unsplit, from the auxiliary mean", Unsplit(), frozenset()),
    ("unsplit, from grey as published", Unsplit(), frozenset({Capability.AUXILIARY_PATIENTS})),
)


class Encoder(nn.Module):
    """One convolution per level, the second at half the resolution; the last is released."""

    def __init__(self, cut: int) -> None:
        """Build levels 0 to ``cut``."""
        super().__init__()
        channels = (1, *WIDTHS)
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv2d(channels[level], channels[level + 1], 3, 1 + (level > 0), padding=1),
                    nn.LeakyReLU(0.1),
                )
                for level in range(cut + 1)
            )
        )

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """``(B, 1, 16, 16)`` to the released level."""
        return (self.blocks(images),)


class Server(nn.Module):
    """The label site's part: two convolutions and a linear classifier."""

    def __init__(self, cut: int) -> None:
        """Build what follows level ``cut``."""
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(WIDTHS[cut], 32, 3, 2, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(32, 32, 3, 2, padding=1),
            nn.LeakyReLU(0.1),
            nn.Flatten(),
            nn.Linear(32 * (16 // 2 ** (2 + cut)) ** 2, 10),
        )

    def forward(self, sites: tuple[tuple[torch.Tensor, ...], ...]) -> torch.Tensor:
        """Logits ``(B, 10, 16, 16)`` of what the one site released, the same for every pixel."""
        logits: torch.Tensor = self.layers(sites[0][0])
        return logits[:, :, None, None].expand(-1, -1, *SIZE)


@dataclass(frozen=True)
class Digits:
    """Images ``(N, 1, 16, 16)`` in [0, 1] and labels: private ones, the label site's, victims."""

    images: torch.Tensor
    labels: torch.Tensor

    def part(self, first: int, count: int) -> Digits:
        """``count`` of them from ``first`` on."""
        return Digits(self.images[first : first + count], self.labels[first : first + count])


def digits() -> Digits:
    """All 1797, in one fixed random order, 8 x 8 enlarged to 16 x 16."""
    images, labels = load_digits(return_X_y=True)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    small = torch.tensor(images, dtype=torch.float32).view(-1, 1, 8, 8) / 16
    large = functional.interpolate(small, scale_factor=2, mode="bilinear", align_corners=False)
    return Digits(large[order], torch.tensor(labels, dtype=torch.int64)[order])


def built(seed: int, make: Callable[[], nn.Module]) -> nn.Module:
    """A module initialised from a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def trained(cut: int, private: Digits, steps: int = 600) -> tuple[nn.Module, nn.Module]:
    """Encoder and server after training on the private digits, in evaluation mode."""
    encoder, server = built(1, lambda: Encoder(cut)), built(2, lambda: Server(cut))
    optimizer = torch.optim.Adam([*encoder.parameters(), *server.parameters()], lr=2e-3)
    generator = torch.Generator().manual_seed(3)
    for _ in range(steps):
        chosen = torch.randint(len(private.images), (64,), generator=generator)
        logits = server((encoder(private.images[chosen]),))[..., 0, 0]
        optimizer.zero_grad()
        functional.cross_entropy(logits, private.labels[chosen]).backward()
        optimizer.step()
    for part in (encoder, server):
        part.eval().requires_grad_(False)
    return encoder, server


def hijacked(cut: int, private: torch.Tensor, victims: torch.Tensor) -> HijackedTraining:
    """A training of the one data site that the label site does not mean to be one."""
    return HijackedTraining(
        lambda: [DataSite(built(1, lambda: Encoder(cut)), Identity())],
        [victims],
        [private],
        batch_size=HIJACKED_BATCH,
        learning_rate=HIJACKED_RATE,
        seed=3,
    )


def observation_of(
    cut: int,
    encoder: nn.Module,
    server: nn.Module,
    victims: torch.Tensor,
    auxiliary: Digits,
    private: torch.Tensor,
) -> Observation:
    """What a curious label site holds of this system."""
    everybody = torch.arange(len(auxiliary.images))

    def query(images: torch.Tensor, _: torch.Generator) -> tuple[tuple[torch.Tensor, ...], ...]:
        with torch.no_grad():
            return (encoder(images),)

    return Observation(
        threat="curious label site",
        layout=SystemLayout(
            channels=(1,),
            crossing=(cut,),
            features=WIDTHS,
            spatial=SIZE,
            victims=len(victims),
        ),
        held={
            Capability.ACTIVATIONS: (encoder(victims),),
            Capability.ENCODER_ARCHITECTURE: lambda seed: (built(seed, lambda: Encoder(cut)),),
            Capability.ENCODER_QUERIES: query,
            Capability.SERVER_WEIGHTS: server,
            Capability.COHORT_RELEASES: (encoder(private[:RECEIVED]),),
            Capability.ACTIVE_MANIPULATION: hijacked(cut, private, victims),
            Capability.AUXILIARY_PATIENTS: AuxiliaryPatients(
                images=auxiliary.images,
                masks=auxiliary.labels[:, None, None].expand(-1, *SIZE),
                patient=everybody,
                middle=everybody,
            ),
            Capability.DEFENSE_PARAMETERS: Identity(),
        },
    )


def without(observation: Observation, kept_from_it: frozenset[Capability]) -> Observation:
    """The same observation, poorer."""
    held = {each: observation._get(each) for each in observation.granted - kept_from_it}
    return Observation(threat=observation.threat, layout=observation.layout, held=held)


def figures(found: torch.Tensor, truth: Digits, classify: Classify) -> tuple[float, ...]:
    """SSIM, mean squared error, share picked out among the victims, share with the right digit."""
    flat, real = (images.flatten(1) for images in (found, truth.images))
    flat, real = (each - each.mean(1, keepdim=True) for each in (flat, real))
    alike = functional.normalize(flat) @ functional.normalize(real).T
    # A reconstruction that fits several victims alike has picked out none of them.
    rivals = (alike >= alike.diagonal()[:, None]).sum(dim=1)
    return (
        float(ssim_image(found.numpy(), truth.images.numpy()).mean()),
        float((found - truth.images).square().mean()),
        float((rivals == 1).float().mean()),
        float((classify(found).argmax(1) == truth.labels).float().mean()),
    )


def compared(
    cut: int, attacks: tuple[tuple[str, Attack, frozenset[Capability]], ...] = ATTACKS
) -> Iterator[tuple[str, tuple[float, ...], float]]:
    """What was attacked how, its `figures`, and seconds of processor time."""
    everything = digits()
    private = everything.part(0, PRIVATE)
    auxiliary = everything.part(PRIVATE, AUXILIARY)
    victims = everything.part(PRIVATE + AUXILIARY, VICTIMS)
    encoder, server = trained(cut, private)

    def classify(images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = server((encoder(images),))[..., 0, 0]
        return logits

    yield "the image itself", figures(victims.images, victims, classify), 0.0
    mean = auxiliary.images.mean(dim=0).expand_as(victims.images)
    yield "blind floor: the mean digit", figures(mean, victims, classify), 0.0
    observation = observation_of(cut, encoder, server, victims.images, auxiliary, private.images)
    for name, attack, kept_from_it in attacks:
        started = time.process_time()
        attempt = attack(without(observation, kept_from_it), seed=0, progress=lambda *_: None)
        seconds = time.process_time() - started
        yield name, figures(attempt.reconstruction.images, victims, classify), seconds


def main() -> None:
    """Print a Markdown table."""
    torch.set_num_threads(1)
    print("| convolutions at the site | attack | SSIM | MSE | picked out | right digit | seconds |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for cut in range(len(WIDTHS)):
        for name, (ssim, error, picked, right), seconds in compared(cut):
            print(
                f"| {cut + 1} | {name} | {ssim:.3f} | {error:.4f} | {picked:.2f} | {right:.2f} "
                f"| {seconds:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
