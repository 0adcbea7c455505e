"""What protects a setting: its defence, and what of the network never crosses the cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leakaudit.report.formatting import (
    MINUS,
    channels_words,
    configured,
    labelled,
    listed,
    undefended,
)


@dataclass(frozen=True)
class Protection:
    """One of the defences of a setting.

    Args:
        name: ``Gaussian noise``, ``Bottleneck`` or ``Skips withheld``.
        details: how strong it is, in words: ``std 1.0``, ``4 channels``, ``levels 0 and 1``.
        label: both in one short line.
        strengths: a text for each of its parameters, ending in its value.
    """

    name: str
    details: str
    label: str
    strengths: tuple[str, ...]


def protections(
    defense: str, cut_level: int, shared_skips: tuple[int, ...], bottleneck: int | None
) -> tuple[Protection, ...]:
    """What tells a setting from the plain undefended network, its defence first; none for that."""
    found = []
    if not undefended(defense):
        name, details = configured(defense)
        strengths = tuple(details.split(", "))
        found.append(Protection(name, details, labelled(defense), strengths))
    if bottleneck is not None:
        words, strength = channels_words(bottleneck), f"channels {bottleneck}"
        found.append(Protection("Bottleneck", words, f"Bottleneck, {words}", (strength,)))
    withheld = [str(level) for level in range(cut_level) if level not in shared_skips]
    if withheld:
        words = f"{'level' if len(withheld) == 1 else 'levels'} {listed(withheld)}"
        line, strength = f"Skips {'+'.join(withheld)} withheld", f"count {len(withheld)}"
        found.append(Protection("Skips withheld", words, line, (strength,)))
    return tuple(found)


def in_words(parts: Sequence[Protection]) -> tuple[str, str]:
    """All of them together as name and details: ``Gaussian noise + bottleneck``."""
    first, *others = [part.name for part in parts] or ["No defence"]
    details = "; ".join(part.details for part in parts if part.details)
    return " + ".join([first, *map(_inside, others)]), details


def in_lines(parts: Sequence[Protection]) -> tuple[str, ...]:
    """The same as short lines: one alone has its details below it, several have a line each."""
    if len(parts) < 2:
        return tuple(part for part in in_words(parts) if part)
    first, *others = [part.label for part in parts]
    return first, *(f"+ {_inside(other)}" for other in others)


def ranks(parts: Sequence[Protection]) -> tuple[float, ...] | None:
    """Where each stands among others of its name: the value in which they differ.

    None unless they differ in one parameter alone, and that in a number.
    """
    if len({len(part.strengths) for part in parts}) != 1:
        return None
    columns = zip(*(part.strengths for part in parts), strict=True)
    differing = [column for column in columns if len(set(column)) > 1]
    if len(differing) != 1:
        return None
    named = [text.rpartition(" ") for text in differing[0]]
    if len({name for name, _, _ in named}) > 1:
        return None
    try:
        return tuple(float(value.replace(MINUS, "-")) for _, _, value in named)
    except ValueError:
        return None


def _inside(name: str) -> str:
    """A name that does not start a line; ``DP Gaussian`` keeps its capitals."""
    return name if name[1:2].isupper() else name[:1].lower() + name[1:]
