"""Measures the effect of a defense on levels, which `Defense.expected` cannot hide.

An adversary with a defense and own levels releases these repeatedly, in float64 after the
release: how far each released value moves between draws, how far it follows the levels, and what of
it is drawn alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, final

import torch

from leakaudit.contracts.defense import Defense
from leakaudit.contracts.measuring.lattice import cells, wrapped
from leakaudit.randomness import generator_for, normal_like
from leakaudit.types import Levels

# Draws that all samples share, for what depends on the draw alone; moves of the levels under each;
# draws of their own, for noise; samples. The first of these that fits into memory. Few shared draws
# would take a drawn sign, which a few times in a row is the same, for nothing.
_PLANS = ((6, 6, 16, 6), (6, 6, 16, 2), (6, 1, 4, 2), (6, 1, 3, 1))
# Levels are moved by so much of their channel's deviation to see what follows.
_STEP = 0.5
# Bytes of float64 that what is released of one site's levels may take.
_MOST = 2**27
# An interaction of draw and levels below this share of noise or of signal is none.
_LITTLE = 0.02
# Below this share of the variance most draws do little, and a mean says less than a median.
_CALM = 0.05
# Channels whose least mixture has less than this share of the largest hide it behind the others.
_ENTANGLED = 1e-2
# Pairs that a correlation is made of: of fewer it is large by chance.
_PAIRS = 6


@final
@dataclass(frozen=True, kw_only=True)
class MeasuredLevel:
    """One released level of one site.

    Args:
        noise: variance over draws of each value, ``(C, *spatial)``, float64; modulo ``modulus``.
        usual: the same of most draws: the squared median distance to the median, as if normal. Far
            smaller than ``noise`` where most draws leave a value alone and some throw it far off.
        signal: variance of each value's mean over draws when the level moves by its own deviation,
            of the same shape; at least what the means of different samples differ by.
        signal_across: covariance of a channel's response with another's, ``(C, C)``.
        noise_across: the same of what is drawn.
        offset: mean over draws of each value, less the value under draw 0; 0 where draws do more
            than to add something.
        modulus: of each channel, ``(C, 1, ...)``: what is drawn is a multiple of this, and what is
            left of a value modulo it is the level's. Infinite where there is no such number.
        additive: what is drawn is added to what follows from the levels, modulo ``modulus``.
        followed: correlation of what autograd says of `Defense.apply` with what a step of the
            levels does, -1 to 1; nan where nothing depends on the levels.
    """

    noise: torch.Tensor
    usual: torch.Tensor
    signal: torch.Tensor
    signal_across: torch.Tensor
    noise_across: torch.Tensor
    offset: torch.Tensor
    modulus: torch.Tensor
    additive: bool
    followed: float

    @property
    def follows(self) -> bool:
        """Whether anything moves with the levels."""
        return self.followed == self.followed

    @property
    def entangled(self) -> bool:
        """Whether channels share so much that mixtures of them tell more than each alone."""
        both = self.signal_across + self.noise_across
        size = both.diagonal()
        seen = size > 0
        if not self.additive or not bool(self.modulus.isinf().all()) or int(seen.sum()) < 2:
            return False
        unit = 1 / size[seen].sqrt()
        sizes = torch.linalg.eigvalsh(unit[:, None] * both[seen][:, seen] * unit)
        return bool(sizes.min() < _ENTANGLED * sizes.max())


@final
@dataclass(frozen=True, kw_only=True)
class Measured:
    """All levels of one site, and the draw that they were measured under.

    Args:
        levels: shallow to deep.
        drawn: draw 0, of one sample.
    """

    levels: tuple[MeasuredLevel, ...]
    drawn: Levels

    @property
    def random(self) -> bool:
        """Whether anything is drawn."""
        return bool(self.drawn)


def measured(defense: Defense, levels: Levels, seed: int = 0) -> Measured:
    """Release levels again and again, and moved a little.

    Args:
        defense: fitted.
        levels: of samples of one's own at one site, each ``(N, C, *spatial)``, one at least.
        seed: of draws and moves.
    """
    plan = _plan(levels)
    levels = tuple(level.detach()[: plan.samples] for level in levels)
    generator = generator_for(seed, "measured")
    count = len(levels[0])
    none = not defense.draw(_first(levels), generator)
    shared = [defense.draw(_first(levels), generator) for _ in range(1 if none else plan.shared)]
    spreads = [_spread(level) for level in levels]
    moves = [
        tuple(
            _STEP * spread * normal_like(level, generator)
            for level, spread in zip(levels, spreads, strict=True)
        )
        for _ in range(plan.moves)
    ]
    moved = [tuple(map(torch.add, levels, move)) for move in moves]
    with torch.no_grad():
        # Per draw what is released of the levels, and of each way in which they are moved.
        still = [_wide(defense.apply(levels, expanded(each, count))) for each in shared]
        after = [
            [_wide(defense.apply(each, expanded(one, count))) for each in moved] for one in shared
        ]
        own = [
            _wide(defense.apply(levels, defense.draw(levels, generator)))
            for _ in range(0 if none else plan.own)
        ]
    drawn = expanded(shared[0], count)
    followed = agreement(lambda leaves: defense.apply(leaves, drawn), levels, moves, after[0])
    return Measured(
        levels=tuple(
            _level(
                torch.stack([each[index] for each in still]),
                torch.stack([torch.stack([move[index] for move in each]) for each in after]),
                torch.stack([each[index] for each in own]) if own else None,
                followed[index],
            )
            for index in range(len(still[0]))
        ),
        drawn=shared[0],
    )


def expanded(drawn: Levels, count: int) -> Levels:
    """The draw of one sample, for ``count`` samples."""
    return tuple(each.expand(count, *each.shape[1:]) for each in drawn)


def _level(
    still: torch.Tensor, after: torch.Tensor, own: torch.Tensor | None, followed: float
) -> MeasuredLevel:
    """From ``still (draws, N, C, ...)``, ``after (draws, moves, N, ...)``, ``own`` as ``still``."""
    zero = torch.zeros_like(still[0, 0])
    if own is None:
        step = after[0] - still[0]
        modulus = torch.full_like(zero[:, *(slice(0, 1),) * (zero.ndim - 1)], torch.inf)
        signal = step.square().mean(dim=(0, 1)) / _STEP**2
        apart = _variance(still[0]) if still.shape[1] > 1 else zero
        return MeasuredLevel(
            noise=zero,
            usual=zero,
            signal=torch.maximum(signal, _pooled(apart)),
            signal_across=_across(step) / _STEP**2,
            noise_across=torch.zeros_like(_across(step)),
            offset=zero,
            modulus=modulus,
            additive=True,
            followed=followed,
        )
    step = after - still.unsqueeze(1)
    modulus = cells(still - still[:1], step)
    step = wrapped(step, modulus)
    # How samples differ in what a draw does to them: nothing, where noise is added.
    drawn = wrapped(still - still[:1], modulus)
    interaction = _variance(drawn[1:].transpose(0, 1)).mean(dim=0) if drawn.shape[1] > 1 else zero
    apart = wrapped(own - still[0], modulus)
    noise = _variance(apart).mean(dim=0)
    middle = apart.flatten(0, 1).median(dim=0).values
    usual = _usual(apart)
    calm = bool(usual.mean() < _CALM * noise.mean())
    mean = step.mean(dim=0)
    response = (mean.square() - _variance(step) / len(step)).mean(dim=(0, 1)) / _STEP**2
    straight = step[0].square().mean(dim=(0, 1)) / _STEP**2
    bound = _LITTLE * torch.maximum(noise, straight).mean()
    additive = bool(interaction.mean() <= bound) and bool(
        _variance(step).mean() / _STEP**2 <= _LITTLE * straight.mean()
    )
    signal = straight if additive else _pooled(response.clamp_min(0))
    offset = (middle if calm else apart.mean(dim=(0, 1))) if additive else zero
    return MeasuredLevel(
        noise=noise,
        usual=usual,
        signal=signal,
        signal_across=_across(step[0]) / _STEP**2,
        noise_across=_across(apart - apart.mean(dim=0)),
        offset=offset,
        modulus=modulus,
        additive=additive,
        followed=followed,
    )


def agreement(
    made: Callable[[Levels], Levels],
    levels: Levels,
    moves: Sequence[Levels],
    after: Sequence[Levels],
) -> list[float]:
    """Compare autograd with what moving the levels does, for random weights of the release.

    Args:
        made: from levels.
        levels: each ``(N, C, *spatial)``.
        moves: what is added to them, several times.
        after: what is made then, each time.

    Returns:
        Per level made a correlation, -1 to 1; nan where it did not move.
    """
    leaves = tuple(level.detach().clone().requires_grad_() for level in levels)
    with torch.enable_grad():
        released = made(leaves)
    weights = generator_for(0, "weights")
    found = []
    for index, level in enumerate(released):
        steps = [each[index].double() - level.detach().double() for each in after]
        scale = _channel_root(torch.stack(steps))
        pairs = []
        repeats = -(-_PAIRS // (len(moves) * len(level)))
        for step, move in repeats * list(zip(steps, moves, strict=True)):
            weight = normal_like(step, weights) / scale
            weight = torch.where(scale > 0, weight, 0.0)
            top = weight.abs().amax().clamp_min(1e-300)
            seen = (weight * step).flatten(1).sum(dim=1)
            said = torch.zeros_like(seen)
            if level.requires_grad:
                slopes = torch.autograd.grad(
                    level,
                    leaves,
                    (weight / top).to(level),
                    retain_graph=True,
                    materialize_grads=True,
                )
                for slope, change in zip(slopes, move, strict=True):
                    said = said + (slope.double() * change.double()).flatten(1).sum(dim=1) * top
            pairs.append(torch.stack([said, seen], dim=1))
        found.append(_agreement(torch.cat(pairs)))
    return found


def _agreement(pairs: torch.Tensor) -> float:
    """Correlation about 0 of two columns; nan where the second is 0, 0 where only the first is."""
    said, seen = pairs[:, 0], pairs[:, 1]
    if not bool(seen.any()):
        return float("nan")
    if not bool(said.isfinite().all()) or not bool(said.any()):
        return 0.0
    return float(said @ seen / (said.norm() * seen.norm()))


@final
class _Plan(NamedTuple):
    """The number of releases, and of levels in each."""

    shared: int
    moves: int
    own: int
    samples: int


def _plan(levels: Levels) -> _Plan:
    """The most that fits into memory; of large levels little, which their many values make up."""
    numbers = sum(level[0].numel() for level in levels)
    for plan in map(_Plan._make, _PLANS):
        copies = plan.samples * (plan.shared * (plan.moves + 1) + plan.own)
        if 8 * numbers * copies <= _MOST:
            break
    return plan


def _first(levels: Levels) -> Levels:
    return tuple(level[:1] for level in levels)


def _wide(levels: Levels) -> Levels:
    return tuple(level.detach().double() for level in levels)


def _across(values: torch.Tensor) -> torch.Tensor:
    """Mean product of channels of ``(., N, C, ...)`` over all else, ``(C, C)``."""
    rows = values.transpose(0, 2).flatten(1)
    return rows @ rows.T / rows.shape[1]


def _usual(apart: torch.Tensor) -> torch.Tensor:
    """Squared spread of most of ``(draws, N, C, ...)``, as of normal values."""
    middle = apart.median(dim=0, keepdim=True).values
    distance = (apart - middle).abs().flatten(0, 1).median(dim=0).values
    return (distance / 0.6745).square()


def _variance(values: torch.Tensor) -> torch.Tensor:
    """Over the first axis, unbiased."""
    return values.var(dim=0)


def _spread(level: torch.Tensor) -> torch.Tensor:
    """Standard deviation of each channel over samples and places, ``(1, C, 1, ...)``."""
    return level.transpose(0, 1).flatten(1).std(dim=1).view(1, -1, *(1,) * (level.ndim - 2))


def _pooled(variance: torch.Tensor) -> torch.Tensor:
    """The mean of each channel, at every place."""
    mean = variance.flatten(1).mean(dim=1).view(-1, *(1,) * (variance.ndim - 1))
    return mean.expand_as(variance)


def _channel_root(steps: torch.Tensor) -> torch.Tensor:
    """Root mean square of ``(moves, N, C, ...)`` by channel, ``(1, C, 1, ...)``."""
    square = steps.square().transpose(0, 2).flatten(1).mean(dim=1)
    return square.sqrt().view(1, -1, *(1,) * (steps.ndim - 3))
