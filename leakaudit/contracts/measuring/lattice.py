"""Values that hide behind multiples of a number: an image in the last digits of something drawn."""

from __future__ import annotations

import torch

# Powers that a defense may count in, as 10^-k and 2^-k.
_DECIMAL = range(-3, 13)
_BINARY = range(-10, 41)
# Values of a channel that are looked at.
_LOOKED = 4096
# What is left of the noise, over the signal, in squares.
_GONE = 0.05


def wrapped(values: torch.Tensor, modulus: torch.Tensor) -> torch.Tensor:
    """The part of ``values (..., C, *spatial)`` nearest to 0 modulo ``modulus (C, 1, ...)``.

    The values themselves where the modulus is infinite.
    """
    finite = modulus.isfinite()
    if not bool(finite.any()):
        return values
    safe = torch.where(finite, modulus, 1.0)
    return torch.where(finite, values - safe * (values / safe).round(), values)


def cells(drawn: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    """Return per channel the step that all drawn values are multiples of, if it reveals itself.

    Args:
        drawn: what other draws add to released values, ``(draws, N, C, *spatial)``, float64.
        steps: what moved levels add, ``(draws, moves, N, C, *spatial)``.

    Returns:
        ``(C, 1, ...)``, infinite where there is no such number: where noise modulo the number is
        not far smaller than the signal, or the signal is larger than the number.
    """
    by_channel = drawn.movedim(2, 0).flatten(1)
    signals = steps.movedim(3, 0).flatten(1)
    found = torch.full((len(by_channel),), torch.inf, dtype=drawn.dtype, device=drawn.device)
    for channel, (noise, signal) in enumerate(zip(by_channel, signals, strict=True)):
        noise, signal = _thinned(noise), _thinned(signal)
        power = float(signal.square().mean())
        if not power or float(noise.square().mean()) <= _GONE * power:
            continue
        for modulus in sorted(_candidates(noise, power**0.5), reverse=True):
            number = torch.tensor(modulus, dtype=noise.dtype)
            left = float(wrapped(noise, number).square().mean())
            kept = float(wrapped(signal, number).square().mean())
            # Where nothing is kept, as of bits, the number is that of the levels as well.
            if kept and left <= _GONE * kept:
                found[channel] = modulus
                break
    return found.view(-1, *(1,) * (drawn.ndim - 3))


def _candidates(noise: torch.Tensor, least: float) -> list[float]:
    """Steps that may be a cell: not smaller than the levels' changes, not larger than the noise."""
    powers = [10.0**-k for k in _DECIMAL] + [2.0**-k for k in _BINARY]
    size = float(noise.abs().max())
    seen = _smallest(noise, least)
    return [one for one in (*powers, *seen) if least < one <= 2 * size]


def _smallest(noise: torch.Tensor, least: float) -> list[float]:
    """The smallest difference that is more than the signal, made more precise by larger ones."""
    # Differences of differences are multiples as well, and smaller ones are among them.
    every = torch.cat([noise, noise - noise.roll(1), noise - noise.roll(7)]).abs()
    above = every[every > 3 * least]
    if not len(above):
        return []
    step = float(above.min())
    for reach in (4, 16, 64, 256, 1024):
        near = above[above < reach * step]
        counted = (near / step).round()
        if not bool(counted.any()):
            break
        step = float((counted * near).sum() / counted.square().sum())
    return [step]


def _thinned(values: torch.Tensor) -> torch.Tensor:
    return values[:: max(1, len(values) // _LOOKED)]
