"""Decoder inversion: train a network from releases back to images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, final

import torch
from monai.losses import SSIMLoss
from monai.networks.nets.basic_unet import TwoConv
from torch import nn
from torch.nn import functional

from leakaudit.api import (
    Attack,
    Capability,
    Images,
    Levels,
    Observation,
    Progress,
    Reconstruction,
    SiteLevels,
    SystemLayout,
    require_between,
)
from leakaudit_attacks.activation_inversion import ActivationInversion
from leakaudit_attacks.matching import auxiliary_mean


@final
@dataclass(frozen=True, kw_only=True)
class DecoderInversion(Attack):
    """Recover images with a decoder trained on the adversary's own patients, the defence on.

    Knows no weights: it queries the sites' encoders with auxiliary patients, gets what they would
    release, and learns the way back; every step asks for fresh releases, so that it learns to
    undo the defence's randomness. It starts from the auxiliary patients' mean and learns where to
    doubt it, so that a release that says nothing leaves it with a blind guess. Repeated releases
    of a victim are decoded one by one and averaged.

    Args:
        steps: training steps.
        batch_size: auxiliary slices per step, mirrored left to right at random.
        width: channels of the decoder.
        learning_rate: peak of a one-cycle schedule.
        refine: iterations of activation inversion from the decoder's output, which need the
            encoders' weights and the defence's parameters. 0 for none.

    Reference: He, Zhang, Lee 2019, section 5 (black-box, inverse network).
    """

    steps: int = 150
    batch_size: int = 8
    width: int = 32
    learning_rate: float = 4e-3
    refine: int = 0

    requires: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.ACTIVATIONS, Capability.ENCODER_QUERIES, Capability.AUXILIARY_PATIENTS}
    )
    learns_from_queries: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check the configuration.

        Raises:
            ConfigError: a value is outside its range.
        """
        require_between(self, 1, 1_000_000, "steps", "batch_size", "width")
        require_between(self, 0, 1_000_000, "refine")
        require_between(self, 0, 1e6, "learning_rate")

    def needs(self) -> frozenset[Capability]:
        """What `ActivationInversion` requires as well, if it refines."""
        return self.requires | ActivationInversion.requires if self.refine else self.requires

    def shuffled(self) -> DecoderInversion:
        """Without refinement, which uses the victim's own activations and so must succeed."""
        return replace(self, refine=0)

    def run(
        self, observation: Observation, *, generator: torch.Generator, progress: Progress
    ) -> Reconstruction:
        """Train the decoder, apply it to the victims, refine if asked to."""
        device = observation.activations[0][0].device
        total = self.steps + self.refine
        decoder, first, last = self._train(
            observation, generator, device, lambda done, _: progress(done, total)
        )
        releases: tuple[SiteLevels, ...] = (observation.activations,)
        if Capability.REPEATED_RELEASES in observation.granted:
            releases = observation.repeated_releases
        with torch.no_grad():
            images = torch.stack([decoder(_joined(release)) for release in releases]).mean(dim=0)
        if self.refine:
            refined = ActivationInversion(iterations=self.refine).invert(
                observation, images, lambda done, _: progress(self.steps + done, total)
            )
            return replace(refined, iterations=total)
        return Reconstruction(
            images=images, objective_first=first, objective_last=last, iterations=self.steps
        )

    def _train(
        self,
        observation: Observation,
        generator: torch.Generator,
        device: torch.device,
        progress: Progress,
    ) -> tuple[Decoder, float, float]:
        auxiliary = observation.auxiliary.images.to(device)
        base = auxiliary_mean(observation.auxiliary, 1).to(device)
        decoder = _fresh_decoder(observation.layout, self.width, generator).to(device)
        decoder.start_from((base + base.flip(-1)) / 2)
        optimizer = torch.optim.Adam(decoder.parameters(), lr=self.learning_rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, self.learning_rate, total_steps=max(self.steps, 2)
        )
        structure = SSIMLoss(len(observation.layout.spatial), data_range=1.0)

        def loss_of(images: Images, draws: torch.Generator) -> torch.Tensor:
            decoded = decoder(_joined(observation.query(images, draws)))
            distance: torch.Tensor = structure(decoded, images)
            return functional.l1_loss(decoded, images) + distance

        # The objective is compared on the same slices with the same draws before and after.
        probe = auxiliary[observation.auxiliary.middle.to(device)]
        probe_seed = _integer(2**62, generator)
        with torch.no_grad():
            first = float(loss_of(probe, torch.Generator().manual_seed(probe_seed)))
        for step in range(self.steps):
            chosen = [_integer(len(auxiliary), generator) for _ in range(self.batch_size)]
            images = auxiliary[torch.tensor(chosen, device=device)]
            if _integer(2, generator):
                images = images.flip(-1)
            optimizer.zero_grad(set_to_none=True)
            loss_of(images, generator).backward()
            optimizer.step()
            schedule.step()
            progress(step + 1, self.steps)
        decoder.eval()
        with torch.no_grad():
            last = float(loss_of(probe, torch.Generator().manual_seed(probe_seed)))
        return decoder, first, last


@final
class Decoder(nn.Module):
    """From the joined levels of all sites to images in [0, 1], deep to shallow.

    Every level that crossed enters at its own resolution; levels that did not are upsampled
    through.
    """

    def __init__(self, layout: SystemLayout, width: int) -> None:
        """Build for a layout; ``width`` channels throughout."""
        super().__init__()
        self.crossing = layout.crossing
        dims = len(layout.spatial)
        activation = ("LeakyReLU", {"negative_slope": 0.1, "inplace": False})
        blocks: list[nn.Module] = []
        carried = 0
        for level in range(max(layout.crossing), -1, -1):
            entering = 0
            if level in layout.crossing:
                entering = len(layout.channels) * layout.features[level]
            blocks.append(
                TwoConv(
                    dims,
                    carried + entering,
                    width,
                    activation,
                    ("instance", {"affine": True}),
                    True,
                )
            )
            carried = width
        self.blocks = nn.ModuleList(blocks)
        convolution = nn.Conv2d if dims == 2 else nn.Conv3d
        self.output = convolution(width, 2 * sum(layout.channels), kernel_size=3, padding=1)
        self.interpolation = "bilinear" if dims == 2 else "trilinear"
        self.register_buffer("base", torch.zeros(1, sum(layout.channels), *layout.spatial))

    def start_from(self, image: Images) -> None:
        """Put out ``image`` ``(1, modalities, *spatial)`` until training says otherwise."""
        self.base = image.clamp(0.02, 0.98).logit()
        for parameter in self.output.parameters():
            nn.init.zeros_(parameter)

    def forward(self, levels: Sequence[torch.Tensor]) -> Images:
        """Decode joined levels, shallow to deep, into ``(B, modalities, *spatial)``."""
        by_number = dict(zip(self.crossing, levels, strict=True))
        x: torch.Tensor | None = None
        for number, block in zip(range(max(self.crossing), -1, -1), self.blocks, strict=True):
            parts = []
            if number in by_number:
                parts.append(by_number[number])
            if x is not None:
                parts.append(
                    functional.interpolate(
                        x, scale_factor=2, mode=self.interpolation, align_corners=False
                    )
                )
            x = block(torch.cat(parts, dim=1))
        change, doubt = self.output(x).chunk(2, dim=1)
        images: torch.Tensor = (change + (1 + doubt) * self.base).sigmoid()
        return images


def _joined(release: SiteLevels) -> Levels:
    """Per level the tensors of all sites, concatenated along channels."""
    return tuple(torch.cat(level, dim=1) for level in zip(*release, strict=True))


def _integer(below: int, generator: torch.Generator) -> int:
    return int(torch.randint(below, (), generator=generator, device=generator.device))


def _fresh_decoder(layout: SystemLayout, width: int, generator: torch.Generator) -> Decoder:
    # Modules initialise from the global state: fork it, so that the attack leaves no trace.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_integer(2**62, generator))
        return Decoder(layout, width)
