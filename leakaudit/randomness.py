"""Randomness: derived seeds and the one function per distribution that draws.

A draw is always made on ``generator.device`` and then moved, so that the same seed gives the same
numbers on any device the data is on.
"""

from __future__ import annotations

import hashlib

import torch


def derive_seed(seed: int, *labels: object) -> int:
    """A seed for one purpose: the first 63 bits of SHA-256 over ``seed`` and ``labels``.

    Args:
        seed: the seed of the audit.
        *labels: what the randomness is for; equal labels give equal seeds.
    """
    text = "\x1f".join([str(seed), *(str(label) for label in labels)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator_for(seed: int, *labels: object) -> torch.Generator:
    """A CPU generator seeded for one purpose by `derive_seed`."""
    return torch.Generator().manual_seed(derive_seed(seed, *labels))


def normal_like(tensor: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Standard normal values of the shape, type and device of ``tensor``."""
    drawn = torch.randn(tensor.shape, generator=generator, device=generator.device)
    return drawn.to(device=tensor.device, dtype=tensor.dtype)


def laplace_like(tensor: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Laplace values of mean 0 and scale 1 of the shape, type and device of ``tensor``.

    The inverse distribution function of a uniform value in float64: one in float32 reaches the end
    of its range within 2^24 draws, where the logarithm is infinite.
    """
    uniform = torch.rand(
        tensor.shape, generator=generator, device=generator.device, dtype=torch.float64
    )
    centred = 2 * uniform - 1
    drawn = -centred.sign() * torch.log1p(-centred.abs().clamp_max(1 - 2**-53))
    return drawn.float().to(device=tensor.device, dtype=tensor.dtype)


def uniform_like(tensor: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Values uniform on [0, 1) of the shape, type and device of ``tensor``."""
    drawn = torch.rand(tensor.shape, generator=generator, device=generator.device)
    return drawn.to(device=tensor.device, dtype=tensor.dtype)
