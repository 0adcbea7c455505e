"""Feature-space hijacking: a label site that trains the sites' encoders to give images away."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import ClassVar, final

import torch
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
    Work,
    normal_like,
    require_between,
    uniform_like,
)
from leakaudit_attacks.decoding.decoder import Decoder, difference, fresh_decoder, integer
from leakaudit_attacks.papers import cited

# Every block of a BasicUNet ends with instance normalisation and a leaky ReLU of this slope; the
# convolution of a bottleneck can pass some of its channels on as they are.
_SLOPE = 0.1
# How far the decoder's examples are from perfect: share of channels kept, noise added.
_KEPT, _NOISE = 0.6, 0.2
# Channels that some directions are confined to.
_FEW = 3
# How far the voxels of a patch are apart.
_SPACINGS = (1, 2, 4)


@final
@dataclass(frozen=True, kw_only=True)
class FeatureSpaceHijacking(Attack):
    """Recover images by steering the encoders into a feature space that the label site can invert.

    The label site wants every channel of the shallowest level that crosses to show one of the
    site's modalities, at the level's resolution and normalised as an encoder's output is: that is
    its pilot. It trains a decoder from what the pilot would release of its own patients, the
    defense on. What it returns is not the segmentation's gradient but that of the distance between
    how the sites' releases and the pilot's are distributed, and nothing for deeper levels, so that
    the encoders learn to send what the pilot would. At the end the decoder reads the victims'
    releases. It needs no weights, no queries and no masks; a site that watches its Dice would see
    that it learns nothing.

    The distance is the sliced Wasserstein distance of small patches: projected on random
    directions, the sorted values of both sides are compared. Unlike a discriminator it has nothing
    to learn, and so does not lag behind the encoders.

    Args:
        decoder_steps: training steps of the decoder, before the first exchange.
        steps: exchanges with the sites.
        batch_size: own slices per step of the decoder.
        width: channels of the decoder.
        learning_rate: of the decoder.
        compared: own slices whose pilot's releases each exchange is compared with.
        patches: of 3 voxels a side, apart by 1, 2 and 4, that are compared at each distance.
        slices: directions that they are projected on.

    Reference: Pasquini, Ateniese, Bernaschi 2021 (arXiv:2012.02670). Theirs is a pilot that is
    learned and a Wasserstein critic with gradient penalty; ours a fixed pilot, and the sliced
    Wasserstein distance (Bonneel et al. 2015).
    """

    decoder_steps: int = 150
    steps: int = 400
    batch_size: int = 4
    width: int = 32
    learning_rate: float = 1e-3
    compared: int = 24
    patches: int = 2048
    slices: int = 64

    requires: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.ACTIVE_MANIPULATION,
            Capability.AUXILIARY_PATIENTS,
            Capability.DEFENSE_PARAMETERS,
        }
    )
    measures: ClassVar[bool] = True
    citations = cited("pasquini2021unleashing", "bonneel2015sliced")

    def __post_init__(self) -> None:
        """Check the configuration.

        Raises:
            ConfigError: a value is outside its range.
        """
        require_between(self, 1, 1_000_000, "decoder_steps", "steps", "batch_size", "width")
        require_between(self, 1, 1_000_000, "compared", "patches", "slices")
        require_between(self, 1e-12, 1e6, "learning_rate")

    def work(self) -> Work:
        """The work of one run."""
        return Work(passes=self.decoder_steps + self.steps, samples=self.batch_size)

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
    """The label site's decoder and how it answers."""

    def __init__(
        self, attack: FeatureSpaceHijacking, observation: Observation, generator: torch.Generator
    ) -> None:
        self._attack, self._generator = attack, generator
        self._layout, self._auxiliary = observation.layout, observation.auxiliary
        self._defense = observation.defense
        # Each channel counts in the unit in which the pilot's releases differ: a defense that
        # scales hides nothing beneath the noise of the decoder's examples.
        pilots = self._piloted(self._auxiliary.images).transpose(0, 1).flatten(1).double()
        beside = (1, -1, *[1] * len(self._layout.spatial))
        middle, unit = pilots.mean(dim=1), pilots.std(dim=1)
        self._middle = middle.float().view(beside)
        self._unit = unit.where(unit > 0, 1.0).float().view(beside)
        entering = {self._layout.crossing[0]: len(pilots)}
        self._decoder: Decoder = fresh_decoder(
            entering, attack.width, self._auxiliary, generator
        ).train()
        self._inverting = torch.optim.Adam(self._decoder.parameters(), attack.learning_rate)

    def prepare(self) -> None:
        """One step of the decoder."""
        own = self._slices(self._attack.batch_size)
        self._inverting.zero_grad(set_to_none=True)
        difference(self._decoder((self._imperfect(self._wanted(own)),)), own).backward()
        self._inverting.step()

    def answer(self, released: SiteLevels) -> SiteLevels:
        """By what gradients the sites shall make their releases look like the pilot's."""
        sent = _shallowest(released).detach().requires_grad_()
        wanted = self._wanted(
            self._slices(min(self._attack.compared, 2 * len(self._auxiliary.images)))
        )
        (gradient,) = torch.autograd.grad(self._apart(self._in_units(sent), wanted), sent)
        parts = gradient.split([levels[0].shape[1] for levels in released], dim=1)
        return tuple(
            (part, *map(torch.zeros_like, levels[1:]))
            for part, levels in zip(parts, released, strict=True)
        )

    def decode(self, released: SiteLevels) -> Images:
        """Images behind what the sites released."""
        self._decoder.eval()
        with torch.no_grad():
            images: Images = self._decoder((self._in_units(_shallowest(released)),))
        return images

    def misfit(self, released: SiteLevels) -> float:
        """How far releases are from what the pilot makes of the images decoded from them.

        Mean squared difference at the shallowest level, each channel of both in units of its own
        deviation: it falls only if the sites were steered.
        """
        views = self._layout.views(self.decode(released))
        wanted = _shallowest(tuple(_pilot(view, self._layout) for view in views))
        shown, wanted = (
            functional.instance_norm(each.transpose(0, 1).flatten(1)[None])
            for each in (_shallowest(released) / self._unit, wanted)
        )
        return float((shown - wanted).square().mean())

    def _in_units(self, levels: torch.Tensor) -> torch.Tensor:
        return (levels - self._middle) / self._unit

    def _wanted(self, images: Images) -> torch.Tensor:
        """Return the pilot's release at the shallowest level, all sites joined, in its units."""
        return self._in_units(self._piloted(images))

    def _piloted(self, images: Images) -> torch.Tensor:
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

    def _apart(self, shown: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """Sliced Wasserstein distance (squared) of the patches of two sets of releases."""
        apart = shown.new_zeros(())
        for spacing in _SPACINGS:
            directions = self._directions(shown)
            one, other = (
                directions.matmul(self._patches(each, spacing).flatten(1).T).sort(dim=1).values
                for each in (shown, wanted)
            )
            apart = apart + (one - other).square().mean()
        return apart

    def _directions(self, shown: torch.Tensor) -> torch.Tensor:
        """Random unit vectors ``(slices, voxels of a patch * C)``.

        A third sees one voxel alone, and every other one three channels alone: mixed over
        everything, patches look Gaussian however they are distributed.
        """
        voxels, channels, count = 3 ** (shown.ndim - 2), shown.shape[1], self._attack.slices
        directions = normal_like(shown.new_empty(voxels, channels, count), self._generator)
        alone = max(1, count // 3)
        directions[: voxels // 2, :, :alone] = 0
        directions[voxels // 2 + 1 :, :, :alone] = 0
        few = uniform_like(directions[:1], self._generator).argsort(dim=1) < _FEW
        few[:, :, 1::2] = True
        flat = (directions * few).flatten(0, 1)
        unit: torch.Tensor = flat / flat.norm(dim=0).clamp_min(1e-12)
        return unit.T.contiguous()

    def _patches(self, levels: torch.Tensor, spacing: int) -> torch.Tensor:
        """Random patches of 3 voxels a side, ``(patches, voxels, C)``; outside are zeros."""
        dims, count = levels.ndim - 2, self._attack.patches
        padded = functional.pad(levels, [spacing] * 2 * dims).movedim(1, -1)
        sample, *corner = (
            (uniform_like(levels.new_empty(count), self._generator) * size)
            .long()
            .clamp_max(size - 1)
            for size in (len(levels), *levels.shape[2:])
        )
        shifts = product((0, spacing, 2 * spacing), repeat=dims)
        return torch.stack(
            [
                padded[(sample, *(at + by for at, by in zip(corner, shift, strict=True)))]
                for shift in shifts
            ],
            dim=1,
        )

    def _slices(self, count: int) -> Images:
        images = self._auxiliary.images
        drawn = [integer(2 * len(images), self._generator) for _ in range(count)]
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
    for number, channels in zip(layout.crossing, layout.sent_channels, strict=True):
        size = [extent // 2**number for extent in layout.spatial]
        small = functional.interpolate(view, size=size, mode="area")
        turns = -(-channels // view.shape[1])
        repeated = torch.cat([small] * turns, dim=1)[:, :channels]
        levels.append(functional.leaky_relu(functional.instance_norm(repeated), _SLOPE))
    return tuple(levels)


def _shallowest(released: SiteLevels) -> torch.Tensor:
    return torch.cat([levels[0] for levels in released], dim=1)
