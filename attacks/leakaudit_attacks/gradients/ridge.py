"""Kernel ridge regression of images, its strength chosen by whom it did not learn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch

_STRENGTHS = tuple(10.0 ** (power / 2) for power in range(-6, 7))
_WIDEST = 4096


@final
class Ridge:
    """A linear map that was fitted to ``(examples, features)`` and ``(examples, values)``.

    Features are standardised over the examples; those that do not vary are left out.
    """

    def __init__(self, features: torch.Tensor, values: torch.Tensor, strength: float) -> None:
        """Fit; ``strength`` is in units of an example's mean squared norm."""
        self._usual, self._spread = features.mean(dim=0), features.std(dim=0)
        self._examples = self._standard(features)
        self._mean = values.mean(dim=0)
        kernel = self._examples @ self._examples.T
        ridge = strength * kernel.diag().mean().clamp_min(1e-12)
        kernel = kernel + ridge * torch.eye(len(kernel), device=kernel.device)
        self._weights = torch.linalg.solve(kernel, values - self._mean)

    def __call__(self, features: torch.Tensor) -> torch.Tensor:
        """Values ``(n, values)`` for ``(n, features)``."""
        kernel = self._standard(features) @ self._examples.T
        predicted: torch.Tensor = kernel @ self._weights + self._mean
        return predicted

    def _standard(self, features: torch.Tensor) -> torch.Tensor:
        varies = self._spread > 1e-8
        return ((features - self._usual) / self._spread.clamp_min(1e-8))[:, varies]


@final
@dataclass(frozen=True, kw_only=True)
class Choice:
    """A strength and what it achieves.

    Args:
        strength: of the ridge.
        error: squared error on examples that were left out over that of the others' mean.
    """

    strength: float
    error: float


def best_ridge(features: torch.Tensor, values: torch.Tensor, folds: torch.Tensor) -> Choice:
    """The strength with the least error on folds left out in turn.

    Args:
        features: ``(examples, features)``.
        values: ``(examples, values)``.
        folds: per example the number of the fold it belongs to; at least two folds.
    """
    errors = torch.zeros(len(_STRENGTHS), dtype=torch.float64)
    of_mean = 0.0
    for fold in folds.unique().tolist():
        out = folds == fold
        usual, spread = features[~out].mean(dim=0), features[~out].std(dim=0).clamp_min(1e-8)
        standard = (features - usual) / spread
        standard = standard[:, features[~out].std(dim=0) > 1e-8]
        mean = values[~out].mean(dim=0)
        apart, known = values[out] - mean, values[~out] - mean
        # All strengths share one decomposition.
        kernel = standard[~out] @ standard[~out].T
        sizes, axes = torch.linalg.eigh(kernel)
        turned, across = axes.T @ known, (standard[out] @ standard[~out].T) @ axes
        scale = kernel.diag().mean().clamp_min(1e-12)
        for index, strength in enumerate(_STRENGTHS):
            predicted = (across / (sizes.clamp_min(0) + strength * scale)) @ turned
            errors[index] += float((apart - predicted).square().sum())
        of_mean += float(apart.square().sum())
    best = int(errors.argmin())
    return Choice(strength=_STRENGTHS[best], error=float(errors[best]) / max(of_mean, 1e-30))


def sketched(rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Rows of at most 4096 values whose inner products are about those of ``rows``.

    Every value is added to a random one of the 4096 with a random sign (Charikar, Chen,
    Farach-Colton 2002), which bounds the memory of deep encoders' gradients.
    """
    width = rows.shape[1]
    if width <= _WIDEST:
        return rows
    place = torch.randint(_WIDEST, (width,), generator=generator).to(rows.device)
    sign = 2 * torch.randint(2, (width,), generator=generator).to(rows) - 1
    return rows.new_zeros(len(rows), _WIDEST).index_add_(1, place, rows * sign)
