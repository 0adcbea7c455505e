"""An image in the low-order digits of released values, beneath coarse ones that say nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch


@final
@dataclass(frozen=True, kw_only=True)
class Digits:
    """Where a value lies between two multiples of a modulus, as the sine and cosine of an angle.

    An angle, since a remainder jumps where its value passes a multiple.

    Args:
        modulus: above 0, in units of a value or, for ``of_mantissa``, of its mantissa in [0.5, 1).
        of_mantissa: take the digits of the floating-point mantissa, not of the value.
        beside: the values themselves stand before sine and cosine.
    """

    modulus: float
    of_mantissa: bool = False
    beside: bool = False

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        """``(B, C, ...)`` to float64 ``(B, 2 C or 3 C, ...)``."""
        exact = values.double()
        digits = torch.frexp(exact).mantissa if self.of_mantissa else exact
        angles = torch.remainder(digits / self.modulus, 1.0) * (2 * math.pi)
        parts = [angles.sin(), angles.cos()]
        return torch.cat([exact, *parts] if self.beside else parts, dim=1)

    def __str__(self) -> str:
        """In words."""
        of = "of the mantissa " if self.of_mantissa else ""
        return f"the digits {of}below {self.modulus:.3g}"


def low_digits() -> tuple[Digits, ...]:
    """Powers of ten from 10 to 1e-7 and of two from 8 to 2^-20, and a mantissa's of two."""
    moduli = sorted({10.0**-power for power in range(-1, 8)} | {2.0**-k for k in range(-3, 21)})
    mantissas = [2.0**-power for power in range(5, 21)]
    return tuple(Digits(modulus=each) for each in moduli) + tuple(
        Digits(modulus=each, of_mantissa=True) for each in mantissas
    )
