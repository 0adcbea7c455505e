"""How candidates are told apart by what they release: value by value, however faint it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias, final

import torch

from leakaudit_attacks.reading_releases.looks import best_looks

# What is looked at of a released tensor, in float64, and how that follows from two passes of it.
Look: TypeAlias = Callable[[torch.Tensor], torch.Tensor]
Way: TypeAlias = Callable[[torch.Tensor, torch.Tensor], Look]

# What a value may be off by beyond its measured variance, in standard deviations of its channel
# over the candidates. What rounding leaves between two releases of one image is far below it,
# what tells two patients apart far above.
_FLOOR = 1e-3
# Randomness that is a multiple of one step, except for so much, is taken out step by step.
_OFF_STEP = 0.02
# Values that are compared at a time, of all victims and candidates together.
_AT_A_TIME = 2**23


@final
class Reading:
    """One released tensor of all candidates, over all passes."""

    def __init__(
        self, look: Look, first: torch.Tensor, again: torch.Tensor, *, alike: bool
    ) -> None:
        """Take the first two passes, each ``(candidates, C, *spatial)``.

        Args:
            look: what is looked at of each of them.
            first: what each candidate was released as.
            again: the same once more.
            alike: whether nothing is random in any released tensor.
        """
        # Differences to one release: what all releases share, large or not, says nothing.
        self._look = look
        self._origin = look(first[:1])
        self._steps = self._origin.new_zeros(())
        if not alike:
            self._steps = _steps(look(again) - look(first))
        self._first = self._read(first).float()
        self._passes = 1
        # Of later passes the differences to the first alone; without noise there are none to keep.
        self._sum: torch.Tensor | None = None
        self._squares: torch.Tensor | None = None
        if not alike:
            self.add(again)

    def add(self, released: torch.Tensor) -> None:
        """Count another pass."""
        apart = self._wrapped(self._read(released) - self._first.double())
        squares = apart.square().sum(dim=0)
        if self._sum is None or self._squares is None:
            self._sum, self._squares = apart.float(), squares
        else:
            self._sum += apart.float()
            self._squares += squares
        self._passes += 1

    def log_likelihoods(self, kept: Sequence[torch.Tensor]) -> torch.Tensor:
        """How well each candidate fits what was released for each victim.

        Args:
            kept: the victims' passes, each ``(victims, C, *spatial)``.

        Returns:
            ``(victims, candidates)`` in float64, without the terms that all candidates share.
        """
        seen = torch.stack([self._read(each) for each in kept]).mean(dim=0)
        found = seen.new_zeros(len(seen), len(self._first))
        step = max(1, _AT_A_TIME // ((len(seen) + len(self._first)) * self._first[0, 0].numel()))
        for start in range(0, self._first.shape[1], step):
            channels = slice(start, start + step)
            means, noise = self._measured(channels)
            centre = means.mean(dim=0)
            spread = (means - centre).square().mean(dim=0)
            of_channel = spread.flatten(1).mean(dim=1).view(-1, *(1,) * (spread.ndim - 1))
            # Both the victim's release and the candidate's mean are off by noise.
            variance = noise * (1 / len(kept) + 1 / self._passes) + _FLOOR**2 * of_channel
            weight = torch.where(variance > 0, variance.rsqrt(), 0.0)
            mine = ((seen[:, channels] - centre) * weight).flatten(1)
            theirs = ((means - centre) * weight).flatten(1)
            own = mine.square().sum(dim=1, keepdim=True)
            found += mine @ theirs.T - (own + theirs.square().sum(dim=1)) / 2
        return found.cpu()

    def _measured(self, channels: slice) -> tuple[torch.Tensor, torch.Tensor]:
        """Each candidate's mean over the passes, and the variance of one pass, pooled over them."""
        means = self._first[:, channels].double()
        if self._sum is None or self._squares is None:
            return means, torch.zeros_like(means[0])
        total = self._sum[:, channels].double()
        scatter = self._squares[channels] - total.square().sum(dim=0) / self._passes
        noise = (scatter / (len(means) * (self._passes - 1))).clamp_min(0)
        return means + total / self._passes, noise

    def _read(self, released: torch.Tensor) -> torch.Tensor:
        return self._wrapped(self._look(released) - self._origin)

    def _wrapped(self, apart: torch.Tensor) -> torch.Tensor:
        """``apart`` without the multiples of a channel's step, which are drawn afresh."""
        whole = torch.where(self._steps > 0, (apart / self._steps).round(), 0.0)
        return torch.where(self._steps > 0, apart - whole * self._steps, apart)


def _steps(apart: torch.Tensor) -> torch.Tensor:
    """Return per channel the step of its randomness; 0 if there is none.

    Args:
        apart: how far two passes of the same images are apart, ``(candidates, C, *spatial)``.

    Returns:
        Float64 ``(C, 1, ...)``.
    """
    values = apart.transpose(0, 1).flatten(1).abs()
    largest = values.amax(dim=1, keepdim=True)
    random = values > 1e-6 * largest
    least = torch.where(random, values, torch.inf).amin(dim=1, keepdim=True)
    multiples = (values / least).round()
    # The least difference is off by rounding; the mean over all of them is not.
    step = torch.where(random, values, 0.0).sum(dim=1, keepdim=True) / torch.where(
        random, multiples, 0.0
    ).sum(dim=1, keepdim=True)
    off = (values / step - (values / step).round()).abs().amax(dim=1, keepdim=True)
    # One multiple alone is a step by itself, such as a value that is dropped or not.
    several = torch.where(random, multiples, 0.0).amax(dim=1, keepdim=True) > 1
    found = torch.where(several & (off < _OFF_STEP), step, 0.0).nan_to_num(0.0)
    return found.view(-1, *(1,) * (apart.ndim - 2))


def by_place(first: torch.Tensor, again: torch.Tensor) -> Look:
    """Look at every value where it stands."""
    del first, again
    return torch.Tensor.double


def by_size(first: torch.Tensor, again: torch.Tensor) -> Look:
    """Look at the sizes of each channel's values, at any place and with any sign."""
    del first, again
    return lambda released: released.double().flatten(2).abs().sort(dim=2).values


def by_mix(first: torch.Tensor, again: torch.Tensor) -> Look:
    """Look at the mixes of channels whose noise is uncorrelated, by size; some may have none."""
    apart = (again.double() - first.double()).flatten(2).transpose(0, 1).flatten(1)
    mixes = torch.linalg.eigh(apart @ apart.T).eigenvectors.T
    return lambda released: (mixes @ released.double().flatten(2)).view_as(released)


def by_shape(first: torch.Tensor, again: torch.Tensor) -> Look:
    """Look at every value as a share of its release, which no factor changes."""
    del first, again

    def look(released: torch.Tensor) -> torch.Tensor:
        values = released.double()
        size = values.flatten(1).square().sum(dim=1).sqrt().clamp_min(1e-300)
        return values / size.view(-1, *(1,) * (values.ndim - 1))

    return look


def by_usual_values(first: torch.Tensor, again: torch.Tensor) -> Look:
    """Look at every value bounded to what is usual in its channel, so that huge noise counts less.

    What is usual are four times the median distance to the median, which a quarter of huge values
    hardly moves.
    """
    del again
    values = first.double().transpose(0, 1).flatten(1)
    shape = (1, -1, *(1,) * (first.ndim - 2))
    middle = values.median(dim=1, keepdim=True).values
    reach = 4 * (values - middle).abs().median(dim=1).values.view(shape)
    middle = middle.view(shape)
    return lambda released: (released.double() - middle).maximum(-reach).minimum(reach)


def by_shared(first: torch.Tensor, again: torch.Tensor) -> Look:
    """Look at every value without the noise that many share; where it stands if there is none."""
    apart = again.double() - first.double()
    found = best_looks(apart - apart.mean(dim=0), first, again, 1)
    return found[0] if found else torch.Tensor.double


# The first comes first where several are as good.
WAYS: tuple[Way, ...] = (by_place, by_mix, by_usual_values, by_size, by_shape, by_shared)
