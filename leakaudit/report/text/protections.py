"""The protection of a setting: its defense, and levels that never cross the cut."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from leakaudit.records import Configured, Plain
from leakaudit.report.text.formatting import (
    channels_words,
    configured,
    labelled,
    listed,
    value_words,
)


@dataclass(frozen=True)
class Strength:
    """One parameter of a protection: its name and its value."""

    name: str
    value: Plain

    @property
    def words(self) -> str:
        """``std 1.0``."""
        return f"{self.name} {self.shown}"

    @property
    def shown(self) -> str:
        """The value alone: ``1.0``."""
        return value_words(self.value)

    @property
    def number(self) -> float | None:
        """The value if it is a number, infinity included; None otherwise."""
        if self.value in ("inf", "-inf") and isinstance(self.value, str):
            return float(self.value)
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            return None
        return None if math.isnan(self.value) else float(self.value)


@dataclass(frozen=True)
class Protection:
    """One of the defenses of a setting.

    Args:
        name: ``Gaussian noise``, ``Bottleneck`` or ``Skips withheld``.
        details: how strong it is, in words: ``std 1.0``, ``4 channels``, ``levels 0 and 1``.
        label: both in one short line.
        strengths: each of its parameters; of what does not cross ``channels`` or, if the shallowest
            skips are withheld, their ``count``.
    """

    name: str
    details: str
    label: str
    strengths: tuple[Strength, ...]


def protections(
    defense: Sequence[Configured],
    cut_level: int,
    shared_skips: tuple[int, ...],
    bottleneck: int | None,
) -> tuple[Protection, ...]:
    """List what a setting adds to the plain undefended network, its defense first."""
    found = []
    if defense:
        name, details = configured(defense)
        strengths = tuple(Strength(*one) for part in defense for one in part.switched_on)
        found.append(Protection(name, details, labelled(defense), strengths))
    if bottleneck is not None:
        words, strength = channels_words(bottleneck), Strength("channels", bottleneck)
        found.append(Protection("Bottleneck", words, f"Bottleneck, {words}", (strength,)))
    withheld = [str(level) for level in range(cut_level) if level not in shared_skips]
    if withheld:
        words = f"{'level' if len(withheld) == 1 else 'levels'} {listed(withheld)}"
        line, shallowest = f"Skips {'+'.join(withheld)} withheld", len(withheld)
        known = withheld == [str(level) for level in range(shallowest)]
        strength = Strength("count", shallowest) if known else Strength("levels", line)
        found.append(Protection("Skips withheld", words, line, (strength,)))
    return tuple(found)


def in_words(parts: Sequence[Protection]) -> tuple[str, str]:
    """All of them together as name and details: ``Gaussian noise + bottleneck``."""
    first, *others = [part.name for part in parts] or ["No defense"]
    details = "; ".join(part.details for part in parts if part.details)
    return " + ".join([first, *map(_inside, others)]), details


def in_lines(parts: Sequence[Protection]) -> tuple[str, ...]:
    """Return protections as short lines: one alone has its details below, several a line each."""
    if len(parts) < 2:
        return tuple(part for part in in_words(parts) if part)
    first, *others = [part.label for part in parts]
    return first, *(f"+ {_inside(other)}" for other in others)


def _inside(name: str) -> str:
    """A name that does not start a line; ``DP Gaussian`` keeps its capitals."""
    return name if name[1:2].isupper() else name[:1].lower() + name[1:]
