"""Noise that is added to a release: its scale, and the knowledge of an adversary who knows it."""

from __future__ import annotations

import torch

from leakaudit.api import Evidence, Levels


def noised(levels: Levels, drawn: Levels, factor: float, *, relative: bool) -> Levels:
    """``level + factor * drawn``, or ``level + factor * s * drawn`` with the level's deviation s.

    Args:
        levels: each ``(B, C, *spatial)``.
        drawn: values of the same shapes.
        factor: what the drawn values are multiplied by, at least 0.
        relative: whether by the standard deviation of each sample's level as well. It is
            differentiated like everything else.
    """
    if not relative:
        return tuple(level + factor * noise for level, noise in zip(levels, drawn, strict=True))
    return tuple(
        level + factor * _variance(level).clamp_min(1e-30).sqrt() * noise
        for level, noise in zip(levels, drawn, strict=True)
    )


def told_of_noise(released: Levels, variance: float, *, relative: bool) -> Evidence:
    """The release, unbiased, with the variance of the noise.

    Args:
        released: what crossed the cut.
        variance: of ``factor * drawn``.
        relative: whether that is in units of the level's own variance s^2, which an adversary
            estimates from the release: ``Var(released) = s^2 (1 + variance)``.
    """
    if not relative:
        variances = tuple(level.new_full((), variance).expand_as(level) for level in released)
    else:
        # Noise is this share of all that varies in a release. Not by `told_of_noise_before`: one
        # number for a whole sample stays one number here, which spares an attack a tensor.
        share = variance / (1 + variance)
        variances = tuple((share * _variance(level)).expand_as(level) for level in released)
    return Evidence(values=released, variances=variances)


def told_of_noise_before(estimate: Evidence, variance: float, *, relative: bool) -> Evidence:
    """Return evidence of a release that is known with an error; unknown values tell nothing."""
    values, errors = estimate.values, estimate.variances
    if not relative:
        own: Levels = tuple(level.new_full((), variance) for level in values)
    else:
        share = variance / (1 + variance)
        own = tuple(share * _variance_seen(v, e) for v, e in zip(values, errors, strict=True))
    return Evidence(
        values=values, variances=tuple(e + s.to(e) for e, s in zip(errors, own, strict=True))
    )


def _variance_seen(level: torch.Tensor, error: torch.Tensor) -> torch.Tensor:
    """`_variance` of the values whose error is finite, less that error; at least 0."""
    axes = tuple(range(1, level.ndim))
    seen = error.isfinite()
    count = seen.sum(dim=axes, keepdim=True).clamp_min(1)
    known = torch.where(seen, level, 0.0)
    mean = known.sum(dim=axes, keepdim=True) / count
    squares = torch.where(seen, (level - mean).square() - error, 0.0)
    return (squares.sum(dim=axes, keepdim=True) / count).clamp_min(0)


def _variance(level: torch.Tensor) -> torch.Tensor:
    """Return the variance of each sample over its channels and places, ``(B, 1, ...)``."""
    return level.var(dim=tuple(range(1, level.ndim)), correction=0, keepdim=True)
