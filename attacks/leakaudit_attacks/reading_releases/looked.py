"""A defense as it is seen by somebody who looks at its releases in another way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch

from leakaudit.api import Defense, Levels, Measured, measured, normal_like
from leakaudit_attacks.reading_releases.looks import AS_IT_IS, Look, best_looks

# Draws by which it is seen what they share.
_DRAWS = 48
# Values of these that are held at a time.
_MOST = 2**25
# What a trial is worth.
_MORE = 0.1
# Own samples by which looks are compared, and what they are moved by, in deviations.
_SAMPLES, _STEP = 16, 0.5


@final
@dataclass(frozen=True, kw_only=True)
class Looked(Defense):
    """A defense seen through looks: its draws stay, and each level is looked at.

    Args:
        defense: fitted.
        looks: at each level.
    """

    defense: Defense
    looks: tuple[Look, ...]

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        """Draw as the defense does."""
        return self.defense.draw(levels, generator)

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        """Apply the defense and look at the result, in float64."""
        return self.seen(self.defense.apply(levels, drawn))

    def seen(self, released: Levels) -> Levels:
        """Look at a release."""
        return tuple(look(level) for look, level in zip(self.looks, released, strict=True))

    @property
    def words(self) -> str:
        """Describe the looks for a reader."""
        return "; ".join(dict.fromkeys(str(look) for look in self.looks if str(look)))


def looked_at(defense: Defense, levels: Levels) -> tuple[Looked, Measured] | None:
    """The look at each level that tells most; None where it is the values themselves.

    Args:
        defense: fitted; something is drawn.
        levels: of own samples at one site.
    """
    residuals = _residuals(defense, levels)
    samples = _several(levels)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        first, again = (defense.apply(samples, defense.draw(samples, generator)) for _ in range(2))
    chosen = tuple(
        next(iter(best_looks(*level, 1, _MORE)), AS_IT_IS)
        for level in zip(residuals, first, again, strict=True)
    )
    if all(look is AS_IT_IS for look in chosen):
        return None
    looked = Looked(defense=defense, looks=chosen)
    return looked, measured(looked, levels)


def _several(levels: Levels) -> Levels:
    """Own samples, each moved, so that what all have in common, as a background, varies."""
    generator = torch.Generator().manual_seed(2)
    chosen = torch.arange(_SAMPLES) % len(levels[0])
    return tuple(
        level.detach()[chosen] + _STEP * level.std() * normal_like(level[chosen], generator)
        for level in levels
    )


def _residuals(defense: Defense, levels: Levels) -> Sequence[torch.Tensor]:
    """Return the draws' effect on one sample's levels, less the mean, ``(draws, C, *spatial)``."""
    one = tuple(level[:1].detach() for level in levels)
    count = min(_DRAWS, max(4, _MOST // sum(level.numel() for level in one)))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        each = [defense.apply(one, defense.draw(one, generator)) for _ in range(count)]
    stacked = [torch.cat(level).double() for level in zip(*each, strict=True)]
    return [level - level.mean(dim=0) for level in stacked]
