"""Feature-space hijacking: a label site that trains the sites' encoders to give images away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import nn
from torch.nn import functional

from leakaudit.api import (
    Attack,
    Capability,
    Citation,
    Images,
    Levels,
    Observation,
    Progress,
    Reconstruction,
    SiteLevels,
    SystemLayout,
    normal_like,
    require_between,
    uniform_like,
)
from leakaudit_attacks.decoding import Decoder, difference, fresh_decoder, integer
from leakaudit_attacks.papers import PASQUINI_2021

# Every block of a BasicUNet ends with instance normalisation and a leaky ReLU of this slope.
_SLOPE = 0.1
# How far the decoder's examples are from perfect: share of channels kept, noise added.
_KEPT, _NOISE = 0.6, 0.2


@final
@dataclass(frozen=True, kw_only=True)
class FeatureSpaceHijacking(Attack):
    """Recover images by steering the encoders into a feature space that the label site can invert.

    The label site wants every channel of the shallowest level that crosses to show one of the
    site's modalities, at the level's resolution and normalised as an encoder's output is: that is
    its pilot. It trains a decoder from what the pilot would release of its own patients, the
    defence on. Then a discriminator learns to tell the pilot's releases from the sites'. What the
    label site returns is not the segmentation's gradient but the discriminator's, and nothing for
    deeper levels, so that the encoders learn to send what the pilot would. At the end the decoder
    reads the victims' releases. It needs no weights, no queries and no masks; a site that watches
    its Dice would see that it learns nothing.

    Args:
        decoder_steps: training steps of the decoder, before the first exchange.
        steps: exchanges with the sites.
        batch_size: own slices per step.
        width: channels of the decoder and of the discriminator.
        learning_rate: of decoder and discriminator.

    Reference: Pasquini, Ateniese, Bernaschi 2021 (arXiv:2012.02670). Theirs is a pilot that is
    learned and a Wasserstein critic with gradient penalty; ours a fixed pilot, and a patch
    discriminator under spectral normalisation with the hinge loss.
    """

    decoder_steps: int = 150
    steps: int = 600
    batch_size: int = 4
    width: int = 32
    learning_rate: float = 1e-3

    requires: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.ACTIVE_MANIPULATION,
            Capability.AUXILIARY_PATIENTS,
            Capability.DEFENSE_PARAMETERS,
        }
    )
    citations: ClassVar[tuple[Citation, ...]] = (PASQUINI_2021,)

    def __post_init__(self) -> None:
        """Check the configuration.

        Raises:
            ConfigError: a value is outside its range.
        """
        require_between(self, 1, 1_000_000, "decoder_steps", "steps", "batch_size", "width")
        require_between(self, 1e-12, 1e6, "learning_rate")

    def run(
        self, observation: Observation, *, generator: torch.Generator, progress: Progress
    ) -> Reconstruction:
        """Hijack the training, then decode the victims' releases."""
        hijacker = _Hijacker(self, observation, generator)
        total = self.decoder_steps + self.steps
        for step in range(self.decoder_steps):
            hijacker.prepare()
            progress(step + 1, total)
        first = hijacker.misfit(observation.exchange(None, True))
        answer: SiteLevels | None = None
        for step in range(self.steps):
            answer = hijacker.answer(observation.exchange(answer, False))
            progress(self.decoder_steps + step + 1, total)
        released = observation.exchange(None, True)
        last, found = hijacker.misfit(released), hijacker.decode(released)
        return Reconstruction(
            images=found,
            objective_first=first,
            objective_last=last,
            iterations=total,
            notes=("The sites' encoders learned no segmentation under this attack.",),
        )


class _Hijacker:
    """The label site's own networks and how it answers."""

    def __init__(
        self, attack: FeatureSpaceHijacking, observation: Observation, generator: torch.Generator
    ) -> None:
        self._attack, self._generator = attack, generator
        self._layout, self._auxiliary = observation.layout, observation.auxiliary
        self._defense = observation.defense
        device = self._auxiliary.images.device
        channels = self._wanted(self._auxiliary.images[:1]).shape[1]
        entering = {self._layout.crossing[0]: channels}
        self._decoder: Decoder = fresh_decoder(
            entering, attack.width, self._auxiliary, generator
        ).train()
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(integer(2**62, generator))
            self._critic = _critic(channels, attack.width, len(self._layout.spatial)).to(device)
        rate, betas = attack.learning_rate, (0.5, 0.9)
        self._inverting = torch.optim.Adam(self._decoder.parameters(), rate)
        self._judging = torch.optim.Adam(self._critic.parameters(), rate, betas)

    def prepare(self) -> None:
        """One step of the decoder."""
        own = self._batch()
        self._inverting.zero_grad(set_to_none=True)
        difference(self._decoder((self._imperfect(self._wanted(own)),)), own).backward()
        self._inverting.step()

    def answer(self, released: SiteLevels) -> SiteLevels:
        """Learn from a batch of the sites, and say by what gradients they shall improve."""
        real, fake = self._wanted(self._batch()), _shallowest(released)
        self._judging.zero_grad(set_to_none=True)
        doubt = (
            functional.relu(1 - self._critic(real)) + functional.relu(1 + self._critic(fake)).mean()
        )
        doubt.mean().backward()
        self._judging.step()
        fake.requires_grad_()
        (gradient,) = torch.autograd.grad(-self._critic(fake).mean(), fake)
        parts = gradient.split([levels[0].shape[1] for levels in released], dim=1)
        return tuple(
            (part, *map(torch.zeros_like, levels[1:]))
            for part, levels in zip(parts, released, strict=True)
        )

    def decode(self, released: SiteLevels) -> Images:
        """Images behind what the sites released."""
        self._decoder.eval()
        with torch.no_grad():
            images: Images = self._decoder((_shallowest(released),))
        return images

    def misfit(self, released: SiteLevels) -> float:
        """How far releases are from what the pilot makes of the images decoded from them.

        Mean squared difference at the shallowest level, over the releases' variance: it falls only
        if the sites were steered.
        """
        shown = _shallowest(released)
        views = self._layout.views(self.decode(released))
        wanted = _shallowest(tuple(_pilot(view, self._layout) for view in views))
        return float((shown - wanted).square().mean() / shown.var())

    def _wanted(self, images: Images) -> torch.Tensor:
        """What the pilot would release at the shallowest level, all sites joined."""
        with torch.no_grad():
            return _shallowest(
                tuple(
                    self._defense.release(_pilot(view, self._layout), generator=self._generator)
                    for view in self._layout.views(images)
                )
            )

    def _imperfect(self, wanted: torch.Tensor) -> torch.Tensor:
        """Without some channels, and noisy: the sites will never send quite what is wanted."""
        by_channel = wanted.flatten(2)[:, :, 0].view(*wanted.shape[:2], *[1] * (wanted.ndim - 2))
        kept = uniform_like(by_channel, self._generator) < _KEPT
        return wanted * kept + _NOISE * normal_like(wanted, self._generator)

    def _batch(self) -> Images:
        images = self._auxiliary.images
        drawn = [integer(2 * len(images), self._generator) for _ in range(self._attack.batch_size)]
        chosen = [images[number % len(images)] for number in drawn]
        return torch.stack(
            [
                image.flip(-1) if number >= len(images) else image
                for image, number in zip(chosen, drawn, strict=True)
            ]
        )


def _pilot(view: Images, layout: SystemLayout) -> Levels:
    """The site's modalities over and over, as levels that an encoder could have put out."""
    levels = []
    for number in layout.crossing:
        size = [extent // 2**number for extent in layout.spatial]
        small = functional.interpolate(view, size=size, mode="area")
        turns = -(-layout.features[number] // view.shape[1])
        repeated = torch.cat([small] * turns, dim=1)[:, : layout.features[number]]
        levels.append(functional.leaky_relu(functional.instance_norm(repeated), _SLOPE))
    return tuple(levels)


def _shallowest(released: SiteLevels) -> torch.Tensor:
    return torch.cat([levels[0] for levels in released], dim=1)


def _critic(channels: int, width: int, spatial_dims: int) -> nn.Module:
    """Whose release it is, patch by patch: high for the pilot's."""
    convolution = nn.Conv2d if spatial_dims == 2 else nn.Conv3d
    layers = [
        convolution(channels, width, kernel_size=3, padding=1),
        convolution(width, width, kernel_size=4, stride=2, padding=1),
        convolution(width, 1, kernel_size=3, padding=1),
    ]
    entering, leaving, judging = map(nn.utils.parametrizations.spectral_norm, layers)
    return nn.Sequential(entering, nn.LeakyReLU(0.2), leaving, nn.LeakyReLU(0.2), judging)
