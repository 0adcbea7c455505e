"""How a release is read before a decoder sees it; the adversary's own patients choose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from leakaudit.api import Levels
from leakaudit_attacks.screening import Own, local_error
from leakaudit_attacks.standardising import Standard

# Whoever departs from the plain way must leave this share of its error or less.
_BETTER = 0.9


@final
@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a decoder is shown of joined levels.

    Args:
        numbers: of the levels, shallow to deep.
        standards: one a level.
        notes: what a reader should know of it.
    """

    numbers: tuple[int, ...]
    standards: tuple[Standard, ...]
    notes: tuple[str, ...] = ()

    @property
    def entering(self) -> dict[int, int]:
        """Channels of each level as a decoder is shown it."""
        return {
            number: standard.channels
            for number, standard in zip(self.numbers, self.standards, strict=True)
        }

    def __call__(self, levels: Levels) -> Levels:
        """Joined levels, shallow to deep, as a decoder is shown them: float32."""
        return tuple(
            standard(level) for standard, level in zip(self.standards, levels, strict=True)
        )


def best_reading(numbers: Sequence[int], own: Own, released: Levels) -> Reading:
    """The way to read that tells most of held-back patients.

    Args:
        numbers: of the levels, shallow to deep.
        own: the adversary's own slices.
        released: what was released of them, joined.
    """
    standards = []
    fixed = []
    for number, level in zip(numbers, released, strict=True):
        plain, still = Standard(level), Standard(level, by_position=True)
        better = local_error(still(level), own) < _BETTER * local_error(plain(level), own)
        standards.append(still if better else plain)
        fixed += [str(number)] * better
    notes: tuple[str, ...] = ()
    if fixed:
        notes = (
            f"Level {', '.join(fixed)} was read after subtracting what is the same in every "
            "release, position by position.",
        )
    return Reading(numbers=tuple(numbers), standards=tuple(standards), notes=notes)
