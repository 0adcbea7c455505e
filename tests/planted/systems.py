"""Systems whose truth is known: what leaks however it looks, and what does not.

Each is a defense that says nothing of itself unless its name says that it lies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import final

import torch

from leakaudit.contracts import Defense, Evidence
from leakaudit.randomness import derive_seed, generator_for, uniform_like
from leakaudit.testing import disguises
from leakaudit.threat.disguises.composed import Composed
from leakaudit.threat.disguises.faint import LowDigits
from leakaudit.threat.disguises.places import ChannelMix, OneChannel, PositionMix, PositionOrder
from leakaudit.threat.disguises.values import ChannelScales, FixedNoise, Offset, Scale, Signs
from leakaudit.types import Levels
from leakaudit_defenses.dp_gaussian import DpGaussian


@dataclass(frozen=True, kw_only=True)
class Planted(Defense):
    """A change of each level by itself, with as many fresh draws of its shape as it asks for."""

    draws = 0

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        return tuple(uniform_like(each, generator) for each in levels for _ in range(self.draws))

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return tuple(
            self.changed(level, *drawn[index * self.draws : (index + 1) * self.draws])
            for index, level in enumerate(levels)
        )

    def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError


def gaussian(uniform: torch.Tensor) -> torch.Tensor:
    """Standard normal values out of uniform ones."""
    return torch.erfinv((2 * uniform - 1).clamp(-1 + 1e-6, 1 - 1e-6)) * 2**0.5


def gathered(level: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    return level.flatten(2).gather(2, order).view_as(level)


@final
class KeyedOrder(Planted):
    """A fresh order of positions; the key crosses in the first channel."""

    draws = 1

    def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        keys = drawn[0][:, :1].flatten(2)
        order = keys.argsort(-1)
        moved = gathered(level, order.expand_as(level.flatten(2)))
        key = (order / order.shape[-1]).view_as(level[:, :1]).to(level)
        return torch.cat([key, moved[:, 1:]], 1)


@final
class NoiseForQueries(Planted):
    """Noise on batches of the size that an adversary asks for, none on a patient's slices."""

    draws = 1

    def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        looked = len(level) != SLICES
        return level + 10.0 * gaussian(drawn[0]) * looked


@final
class NoiseForGradients(Planted):
    """Noise where somebody differentiates, none where the system runs."""

    draws = 1

    def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        return level + 10.0 * gaussian(drawn[0]) * level.requires_grad


@final
class LyingEvidence(Planted):
    """Everything crosses as it is; the evidence says that nothing can be known."""

    def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        return 1.0 * level

    def evidence(self, released: Levels) -> Evidence:
        return Evidence(
            values=tuple(torch.zeros_like(each) for each in released),
            variances=tuple(torch.full_like(each, torch.inf) for each in released),
        )


@final
class LyingLarge(Planted):
    """Everything crosses as it is; the evidence says that the error is large, but finite."""

    def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        return 1.0 * level

    def evidence(self, released: Levels) -> Evidence:
        return Evidence(
            values=released, variances=tuple(torch.full_like(each, 1e6) for each in released)
        )

    def expected(self, levels: Levels) -> Levels:
        return tuple(0.0 * each for each in levels)


@final
class SignOfRank(Planted):
    """One bit for each value: whether it exceeds its channel's median."""

    def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        median = level.flatten(2).median(-1).values[..., None, None]
        bit = (level > median).to(level) * 2 - 1
        return level + (bit - level).detach()


@final
class Logarithm(Planted):
    """The logarithm of each value's distance to -10."""

    def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        return 1e-3 * (level + 10.0).clamp_min(1e-3).log()


@final
class FlippedBits(Planted):
    """Sign and digits of each value combined with a fixed key by exclusive or."""

    def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        shape = level[:1].shape
        generator = generator_for(5, "bits", *shape)
        key = torch.randint(0, 2**23, shape, generator=generator, dtype=torch.int32)
        signs = torch.randint(0, 2, shape, generator=generator, dtype=torch.int32) << 31
        if level.device.type == "meta" or level.dtype != torch.float32:
            return 1.0 * level
        bits = level.detach().contiguous().view(torch.int32) ^ (key | signs)
        flipped: torch.Tensor = bits.view(torch.float32)
        return level + (flipped - level).detach()


@final
class Differences(Planted):
    """Each value's difference to its neighbour on the left."""

    def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        return level - torch.nn.functional.pad(level, (1, 0))[..., :-1]


@final
class Phase(Planted):
    """The phases of the Fourier transform, all amplitudes made equal."""

    def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        turned = torch.fft.fft2(level, norm="ortho")
        phases: torch.Tensor = torch.fft.ifft2(turned / (turned.abs() + 1e-6), norm="ortho")
        return phases.real.clone()


@final
class Monotone(Planted):
    """A steep function of each value."""

    def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        return (4.0 * level).clamp(-40, 40).sinh()


@final
class AcrossLevels(Planted):
    """Each level plus 30 times what lies above it: the shallow levels hide in the deep ones."""

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        sent = []
        for number, level in enumerate(levels):
            other = levels[number - 1]
            size = level.shape[2:]
            carried = torch.nn.functional.interpolate(
                other.mean(1, keepdim=True), size=size, mode="nearest"
            )
            sent.append(0.01 * level + 30.0 * carried)
        return tuple(sent)


@final
class Blocks(Planted):
    """Blocks of 4 x 4 values in a fixed order."""

    def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        batch, channels, rows, columns = level.shape
        tall, wide = rows // 4, columns // 4
        tiles = level.view(batch, channels, tall, 4, wide, 4).permute(0, 1, 2, 4, 3, 5)
        flat = tiles.reshape(batch, channels, tall * wide, 4, 4)
        order = torch.randperm(tall * wide, generator=generator_for(5, "blocks", tall))
        moved = flat[:, :, order.to(level.device)].view(batch, channels, tall, wide, 4, 4)
        return moved.permute(0, 1, 2, 4, 3, 5).reshape(level.shape)


@final
class Shares(Planted):
    """Each pair of channels holds noise, and the first of them less that noise."""

    draws = 1

    def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        noise = 30.0 * gaussian(drawn[0])[:, 0::2]
        sent = torch.stack([noise, level[:, 0::2] - noise], 2)
        return sent.flatten(1, 2)[:, : level.shape[1]]


@final
class SharedNoise(Planted):
    """Large noise drawn for each position, the same in every channel."""

    draws = 1

    def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        return level + 30.0 * gaussian(drawn[0])[:, :1]


@final
class Products(Planted):
    """Each pair of channels holds random signs, and the first of them times these signs."""

    draws = 1

    def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        signs = (drawn[0][:, 0::2] < 0.5).to(level) * 2 - 1
        return torch.stack([signs, level[:, 0::2] * signs], 2).flatten(1, 2)


@final
class FreshScale(Planted):
    """Each release times a number drawn afresh."""

    draws = 1

    def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        return level * 10.0 ** (8 * drawn[0][:, :1, :1, :1] - 4)


@final
class FreshSign(Planted):
    """Each release times 1 or -1, drawn afresh."""

    draws = 1

    def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        return level * ((drawn[0][:, :1, :1, :1] < 0.5).to(level) * 2 - 1)


@final
class FreshChannels(Planted):
    """The channels in an order drawn afresh."""

    draws = 1

    def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        order = drawn[0][:, :, 0, 0].argsort(1)
        return level[torch.arange(len(level))[:, None].to(level.device), order]


@final
class FreshRoll(Planted):
    """The image moved by a distance drawn afresh, what leaves on the right entering on the left."""

    draws = 1

    def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        width = level.shape[-1]
        by = (drawn[0][:, :1, :1, :1] * width).long()
        places = (torch.arange(width, device=level.device) + by) % width
        return level.gather(3, places.expand_as(level))


@final
class FewPixels(Planted):
    """One value in nine as it is, the others noise."""

    draws = 1

    def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        kept = torch.zeros_like(level[:1, :1], dtype=torch.bool)
        kept[..., ::3, ::3] = True
        return torch.where(kept, level, gaussian(drawn[0]))


@final
class TrueNowAndThen(Planted):
    """Every value as it is with a chance of 0.15, else noise fifty times as large."""

    draws = 2

    def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        return torch.where(drawn[0] < 0.15, level, 50 * gaussian(drawn[1]))


@final
class HeavyTails(Planted):
    """Noise that is huge in one value of five and absent elsewhere."""

    draws = 2

    def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        return level + 1e4 * gaussian(drawn[0]) * (drawn[1] < 0.2)


@final
class Constant(Planted):
    """Zeros."""

    def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        return 0.0 * level


@final
class Unconnected(Planted):
    """Zeros that no gradient leads back from."""

    def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(level)


@final
class FreshNoise(Planted):
    """Noise alone."""

    draws = 1

    def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        return 0.0 * level + gaussian(drawn[0])


@final
class FreshOrderAndSign(Planted):
    """Every value at a place and with a sign that are drawn afresh for each channel."""

    draws = 2

    def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        moved = gathered(level, drawn[0].flatten(2).argsort(-1))
        return moved * ((drawn[1] < 0.5).to(level) * 2 - 1)


@final
class SpatialMean(Planted):
    """One number for each channel: its mean over all positions."""

    def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        return level.mean((2, 3), keepdim=True).expand_as(level)


@final
class FreshSum(Planted):
    """The sum of all channels in noise so large that nothing of it is left in float32."""

    draws = 1

    def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        return level + 1e9 * gaussian(drawn[0])


@final
class FreshOffset(Planted):
    """A huge number drawn afresh for each channel added at all its positions."""

    draws = 1

    def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        return level + 1000.0 * (drawn[0][:, :, :1, :1] - 0.5)


@final
class FreshLines(Planted):
    """The same for each row of a channel."""

    draws = 1

    def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        return level + 100.0 * gaussian(drawn[0][:, :, :, :1])


@final
class FreshTiles(Planted):
    """The same for each tile of 4 x 4 values."""

    draws = 1

    def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        tile = gaussian(drawn[0][:, :, ::4, ::4])
        return level + 100.0 * tile.repeat_interleave(4, 2).repeat_interleave(4, 3)


@final
class FreshWaves(Planted):
    """Smooth noise, interpolated from 4 x 4 drawn values."""

    draws = 1

    def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        coarse = gaussian(drawn[0][..., :4, :4])
        waves = torch.nn.functional.interpolate(coarse, size=level.shape[2:], mode="bilinear")
        return level + 50.0 * waves


@final
class FreshPatterns(Planted):
    """Three fixed patterns, each of a strength drawn afresh."""

    draws = 1

    def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        shape = (3, *level.shape[1:])
        patterns = torch.randn(shape, generator=generator_for(21, "patterns")).to(level)
        strengths = gaussian(drawn[0]).flatten(1)[:, :3]
        return level + 100.0 * torch.einsum("bk,k...->b...", strengths, patterns)


@final
class FreshGains(Planted):
    """Each channel in a unit and from an origin drawn afresh."""

    draws = 2

    def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        gain, origin = (each[:, :, :1, :1] for each in drawn)
        return level * 10.0 ** (2 * gain - 1) + 100.0 * (origin - 0.5)


@final
class FreshSigns(Planted):
    """Each value with a sign of its own."""

    draws = 1

    def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        return (level + 1.0) * ((drawn[0] < 0.5).to(level) * 2 - 1)


class SeedSent(Planted):
    """Noise from a seed, and the seed in one value."""

    draws = 1
    sent = True

    def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        released = []
        for one, uniform in zip(level, drawn[0], strict=True):
            seed = int(float(uniform.flatten()[0]) * 1000)
            noise = torch.randn(one.shape, generator=generator_for(seed, "sent")).to(one)
            noisy = one + 100.0 * noise
            if self.sent:
                noisy[0, 0, 0] = seed
            released.append(noisy)
        return torch.stack(released)


@final
class SeedKept(SeedSent):
    """Noise from one of a thousand seeds."""

    sent = False


# A seed out of the values of one sample, drawn ones or those of a level.
SEEDS: Mapping[str, Callable[[torch.Tensor], int]] = {
    "two of 16": lambda values: 16 * int(16 * values[0]) + int(16 * values[1]),
    "two": lambda values: derive_seed(0, *values[:2].tolist()),
    "three": lambda values: derive_seed(0, *values[:3].tolist()),
    "eight": lambda values: derive_seed(0, *values[:8].tolist()),
    "sum": lambda values: int(1e3 * values.double().sum().abs()) % 256,
    "mean": lambda values: int(1e4 * values.double().mean().abs()) % 256,
    "coarse mean": lambda values: int(10 * values.double().mean().abs()) % 256,
    "one value": lambda values: int(1e6 * values[7].double().abs()) % 256,
    "how many are positive": lambda values: int((values > 0).sum()) % 256,
}


@dataclass(frozen=True, kw_only=True)
class Seeded(Planted):
    """Noise, or an order of all values of a level, from a seed made of drawn numbers.

    Args:
        of: what the seed is made of, a key of `SEEDS`.
        ordered: an order, and no noise.
    """

    of: str
    ordered: bool = False
    draws = 1

    def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        released = []
        for one, values in zip(level, self.seeding(level, *drawn), strict=True):
            generator = generator_for(SEEDS[self.of](values.detach().flatten()), "seeded")
            if self.ordered:
                order = torch.randperm(one.numel(), generator=generator).to(one.device)
                released.append(one.flatten()[order].view_as(one))
            else:
                released.append(one + 100.0 * torch.randn(one.shape, generator=generator).to(one))
        return torch.stack(released)

    def seeding(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        return drawn[0]


@final
@dataclass(frozen=True, kw_only=True)
class Hashed(Seeded):
    """The same from a seed made of the level itself: nothing is drawn."""

    draws = 0

    def seeding(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        return level


@final
class FreshDirection(Planted):
    """Noise of the length that the level has: one number for each level."""

    draws = 1

    def changed(self, level: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
        noise = gaussian(drawn[0])
        length = level.flatten(1).norm(dim=1) / noise.flatten(1).norm(dim=1)
        released: torch.Tensor = noise * length[:, None, None, None]
        return released


SLICES = 4
_OF_ISSUE = disguises(11)
# What the issue of 2026-11-30 lists, and what got PASS then.
LISTED: Mapping[str, Defense] = {
    "times 0.001": Scale(by=1e-3),
    "times 1e-6": Scale(by=1e-6),
    "times 1e-12": Scale(by=1e-12),
    "the same noise every time": FixedNoise(seed=11),
    "a fixed order of pixels": PositionOrder(seed=11),
    "a fixed rotation of pixels": PositionMix(seed=11),
    "one faint channel": OneChannel(seed=11, noise=1.0, scale=1e-6),
    "the third decimal": LowDigits(),
    "below 6e-8": Scale(by=1e-8),
    "last digits below 6e-8": _OF_ISSUE["below 6e-8"],
    "a fresh order and its key": KeyedOrder(),
    "noise for queries": NoiseForQueries(),
    "noise for gradients": NoiseForGradients(),
    "an evidence that lies": LyingEvidence(),
}
# What got PASS after that, and has a test of its own attack.
FOUND: Mapping[str, Defense] = {
    "a fresh offset of each channel": FreshOffset(),
    "a seed that is sent": SeedSent(),
}
MORE: Mapping[str, Defense] = {
    "an evidence that lies a little": LyingLarge(),
    "one faintest channel": OneChannel(seed=11, noise=1.0, scale=1e-9),
    "order, noise and scale": Composed(
        chain=(PositionOrder(seed=3), FixedNoise(seed=3, std=1.0), Scale(by=1e-9))
    ),
    "all that a control may be": Composed(
        chain=(
            *(Signs(seed=3), ChannelMix(seed=3), FixedNoise(seed=3)),
            *(Offset(seed=3), ChannelScales(seed=3)),
        )
    ),
    "sign of rank": SignOfRank(),
    "logarithm": Logarithm(),
    "flipped bits": FlippedBits(),
    "differences": Differences(),
    "phase": Phase(),
    "monotone": Monotone(),
    "across levels": AcrossLevels(),
    "blocks": Blocks(),
    "shares": Shares(),
    "noise of all channels": SharedNoise(),
    "products": Products(),
    "fresh scale": FreshScale(),
    "fresh sign": FreshSign(),
    "fresh channels": FreshChannels(),
    "fresh roll": FreshRoll(),
    "few pixels": FewPixels(),
    "heavy tails": HeavyTails(),
    "true now and then": TrueNowAndThen(),
    "fresh lines": FreshLines(),
    "fresh tiles": FreshTiles(),
    "fresh waves": FreshWaves(),
    "fresh patterns": FreshPatterns(),
    "fresh gains": FreshGains(),
    "fresh signs": FreshSigns(),
    "one seed of a thousand": SeedKept(),
    "one seed of 256 out of two numbers": Seeded(of="two of 16"),
    "a seed out of two numbers": Seeded(of="two"),
    "a seed out of eight numbers": Seeded(of="eight"),
    "noise out of a sum of draws": Seeded(of="sum"),
    "an order out of a sum of draws": Seeded(of="sum", ordered=True),
    "noise out of the mean": Hashed(of="mean"),
    "an order out of the mean": Hashed(of="mean", ordered=True),
    "noise out of one value": Hashed(of="one value"),
}
PRIVATE: Mapping[str, Defense] = {
    "constant": Constant(),
    "constant without a gradient": Unconnected(),
    "fresh noise": FreshNoise(),
    "fresh order and sign": FreshOrderAndSign(),
    "one number per channel": SpatialMean(),
    "dp-gaussian(epsilon=0.1)": DpGaussian(epsilon=0.1),
}
# Private too, with next to nothing to descend on: of one only the size comes from the image, of the
# other what rounding leaves beneath the noise. The white box may not be shown to work there.
HARDLY_TOLD: Mapping[str, Defense] = {
    "a fresh direction": FreshDirection(),
    "noise without end": FreshSum(),
}
