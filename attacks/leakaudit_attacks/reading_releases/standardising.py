"""Released values in the unit in which they differ between the adversary's own patients."""

from __future__ import annotations

from typing import final

import torch

# Beyond so many standard deviations a value says no more than that it is extreme.
_EXTREME = 30.0
# What varies less than this share of a channel's size is the rounding of float64.
_ROUNDING = 1e-12
# A direction of channels whose share of the variance is less than this is rounding of float32.
_FAINTEST = 1e-9


@final
class Standard:
    """Channels of one level, of mean 0 and variance 1, uncorrelated.

    Variances are those over what own patients released. A channel is so read at any scale
    and offset, and an image that the others' sum or difference carries as well as one in a channel
    of its own. Measured in float64. Values that are not finite count as the channel's mean; a
    channel that is the same for every own patient is left out.
    """

    def __init__(
        self,
        released: torch.Tensor,
        *,
        by_position: bool = False,
        scaled: bool = False,
    ) -> None:
        """Measure.

        Args:
            released: one level of own patients, ``(samples, C, *spatial)``.
            by_position: subtract each position's own mean instead of the channel's. What is the
                same in every release is gone then, such as noise from a fixed seed.
            scaled: take each position in its own unit as well, so that those that vary most, by
                noise, say, do not drown the others.
        """
        values, known = _finite(released)
        axes = (0, *range(2, released.ndim))
        positions = _mean(values, known, (0,))
        varied = _mean((values - positions).square(), known, axes)
        size = values.abs().amax(axes, keepdim=True)
        self._varies = (varied.sqrt() > _ROUNDING * size) & known.any(dim=0, keepdim=True).amax(
            axes, keepdim=True
        )
        self._mean = positions if by_position else _mean(values, known, axes)
        apart = _mean((values - self._mean).square(), known, (0,) if scaled else axes).sqrt()
        if scaled:
            self._varies = self._varies & (apart > _ROUNDING * size)
        self._deviation = torch.where(self._varies, apart, 1.0)
        self._turn = _whitening(self._standard(released))
        self._kept = self._varies.flatten(2).any(dim=-1)[0]
        self.channels = len(self._turn)
        self.channels_beside = self.channels + int(self._kept.sum())

    def __call__(self, level: torch.Tensor) -> torch.Tensor:
        """``(B, C, *spatial)`` of any float to float32 ``(B, channels, *spatial)`` within +-30."""
        return _within(self._turned(self._standard(level)))

    def beside(self, level: torch.Tensor) -> torch.Tensor:
        """Uncorrelated channels, and beside these the channels that they are made of.

        Where values are noisy or dropped at random, the turn to uncorrelated channels mixes good
        values with bad; and it makes faint channels as large as those that tell most.

        Args:
            level: ``(B, C, *spatial)`` of any float.

        Returns:
            Float32 ``(B, channels_beside, *spatial)`` within +-30.
        """
        standard = self._standard(level)
        return _within(torch.cat([self._turned(standard), standard[:, self._kept]], dim=1))

    def _turned(self, standard: torch.Tensor) -> torch.Tensor:
        turned: torch.Tensor = torch.einsum("dc,bc...->bd...", self._turn, standard)
        return turned

    def _standard(self, level: torch.Tensor) -> torch.Tensor:
        values, known = _finite(level)
        return torch.where(known & self._varies, (values - self._mean) / self._deviation, 0.0)


def _whitening(standard: torch.Tensor) -> torch.Tensor:
    """Rows that turn channels into uncorrelated ones of variance 1; one row of zeros if none vary.

    The covariance is that of what differs from one sample to another at the same position.
    """
    apart = (standard - standard.mean(dim=0)).transpose(0, 1).flatten(1)
    sizes, axes = torch.linalg.eigh(apart @ apart.T / apart.shape[1])
    large = sizes > _FAINTEST * sizes[-1].clamp_min(1e-300)
    if not bool(large.any()):
        return standard.new_zeros(1, standard.shape[1])
    rows: torch.Tensor = (axes[:, large] / sizes[large].sqrt()).T
    return rows.flip(0)


def _within(values: torch.Tensor) -> torch.Tensor:
    return values.clamp(-_EXTREME, _EXTREME).float()


def _mean(values: torch.Tensor, known: torch.Tensor, axes: tuple[int, ...]) -> torch.Tensor:
    """Over the known values; 0 where none is."""
    total = torch.where(known, values, 0.0).sum(axes, keepdim=True)
    return total / known.sum(axes, keepdim=True).clamp_min(1)


def _finite(level: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Float64 values, 0 where not finite, and which are finite."""
    known = torch.isfinite(level)
    return torch.where(known, level.double(), 0.0), known
