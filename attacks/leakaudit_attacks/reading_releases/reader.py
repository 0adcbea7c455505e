"""How a release is read before a decoder sees it; the adversary's own patients choose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import final

import torch

from leakaudit.api import Images, Levels
from leakaudit_attacks.reading_releases.digits import low_digits
from leakaudit_attacks.reading_releases.looks import best_looks
from leakaudit_attacks.reading_releases.mixing import FromEverywhere, varied
from leakaudit_attacks.reading_releases.ordering import fixed_orders, keys, patterns
from leakaudit_attacks.reading_releases.screening import Own, Places, local_error
from leakaudit_attacks.reading_releases.standardising import Standard

# What is first made of one level: ``(B, C, *spatial)`` to ``(B, K, *spatial)``.
Way = Callable[[torch.Tensor], torch.Tensor]
# What would be released of images, joined.
Released = Callable[[Images], Levels]

# Another way must leave this share of the plain way's error or less.
_BETTER = 0.9
# Above this the values at a position say next to nothing of the image there.
_NOTHING = 0.9
# Probe images by which a fixed order is found, and the positions beyond which it is not sought:
# every released one is compared with every one of an image.
_PROBES, _POSITIONS = 256, 2**14
# Looks that are tried where noise is shared.
_LOOKS = 6
# Probe images for a ridge from all positions.
_MIXED_PROBES = 768


@final
@dataclass(frozen=True, kw_only=True)
class LevelReading:
    """How one level is read.

    Args:
        ways: what is made of it, one after another.
        standard: what is made of that.
        error: of `screening.local_error`, on held-back patients.
        words: what a reader should know of it.
    """

    ways: tuple[Way, ...]
    standard: Standard
    error: float
    words: tuple[str, ...] = ()

    def __call__(self, level: torch.Tensor) -> torch.Tensor:
        """``(B, C, *spatial)`` to float32 ``(B, standard.channels_beside, *spatial)``."""
        for way in self.ways:
            level = way(level)
        return self.standard.beside(level)


@final
@dataclass(frozen=True, kw_only=True)
class Reading:
    """The joined levels as a decoder sees them.

    Args:
        levels: how each is read, by its number, shallow to deep.
    """

    levels: dict[int, LevelReading]

    @property
    def entering(self) -> dict[int, int]:
        """Channels of each level as a decoder is shown it."""
        return {number: level.standard.channels_beside for number, level in self.levels.items()}

    @property
    def notes(self) -> tuple[str, ...]:
        """Describe the readings for a reader, a sentence each."""
        return tuple(
            f"Level {number} was read with {' and '.join(level.words)}."
            for number, level in self.levels.items()
            if level.words
        )

    def __call__(self, levels: Levels) -> Levels:
        """Joined levels, shallow to deep, as a decoder is shown them: float32."""
        read = zip(self.levels.values(), levels, strict=True)
        return tuple(reading(level) for reading, level in read)


def best_reading(
    numbers: Sequence[int],
    own: Own,
    released: Levels,
    ask: Released,
    sites: int,
    generator: torch.Generator,
    again: Levels | None = None,
) -> Reading:
    """The way to read each level that tells most of held-back patients.

    Args:
        numbers: of the levels, shallow to deep.
        own: the adversary's own slices.
        released: what was released of them, joined.
        ask: what would be released of any images.
        sites: how many sites' channels stand one after another in a level.
        generator: of every draw.
        again: what was released of the own slices another time, joined.
    """
    chosen: dict[int, LevelReading] = {}
    sought, mixed = True, False
    for place, (number, level) in enumerate(zip(numbers, released, strict=True)):
        other = level if again is None else again[place]
        best = _plain(level, own)
        best = _better(best, _digits(level, own, generator), level, own)
        if not torch.equal(level, other):
            best = _better(best, _shared(level, other), level, own)
        if best.error > _NOTHING:
            best = _better(best, keys(level, sites), level, own)
        if best.error > _NOTHING and sought and bool((level != level[:1]).any()):
            ways = _orders(level, own.images, ask, place, generator)
            best = _better(best, ways, level, own)
            if best.error > _NOTHING and not mixed:
                mixed = True
                ways = (_mixed(level, own, ask, place, generator),)
                best = _better(best, ways, level, own)
        # Where a level is read well, deeper ones add little: not worth the search.
        sought = sought and best.error > _NOTHING
        chosen[number] = best
    return Reading(levels=chosen)


def _plain(level: torch.Tensor, own: Own, ways: tuple[Way, ...] = ()) -> LevelReading:
    """Standardised by channel or, if that is clearly better, by position.

    In a unit for each position only where nothing is told otherwise.
    """
    words = tuple(str(way) for way in ways)

    def read(said: str = "", **how: bool) -> LevelReading:
        standard = Standard(level, **how)
        error = local_error(standard(level), own)
        named = (*words, said) if said else words
        return LevelReading(ways=ways, standard=standard, error=error, words=named)

    best = read()
    position = read("what is the same in every release subtracted", by_position=True)
    if position.error < _BETTER * best.error:
        best = position
    if best.error > _NOTHING:
        scaled = read("each position in its own unit", by_position=True, scaled=True)
        if scaled.error < _BETTER * best.error:
            best = scaled
    return best


def _better(
    best: LevelReading,
    ways: Sequence[Way],
    level: torch.Tensor,
    own: Own,
) -> LevelReading:
    """The best of what was there and of what other ways give, if that is clearly better."""
    least = best.error
    for way in ways:
        found = _plain(way(level), own, (way,))
        if found.error < _BETTER * least and found.error < best.error:
            best = found
    return best


def _digits(level: torch.Tensor, own: Own, generator: torch.Generator) -> tuple[Way, ...]:
    """The low-order digits that tell most, alone and beside the values; none if they tell less."""
    places = Places(level, own, generator)
    least, best = min((places.error(way), number) for number, way in enumerate(low_digits()))
    if least > _BETTER * places.error(lambda values: values):
        return ()
    found = low_digits()[best]
    return found, replace(found, beside=True)


def _shared(level: torch.Tensor, again: torch.Tensor) -> tuple[Way, ...]:
    """Looks in which noise that many values share is gone; most levels have none.

    A decoder averages noisy values better than blocks do: it is shown a coarse look beside them.
    """
    drawn = again.double() - level.double()
    found = best_looks(drawn - drawn.mean(dim=0), level, again, _LOOKS)
    return tuple(look.with_values for look in found)


def _orders(
    level: torch.Tensor, images: Images, ask: Released, place: int, generator: torch.Generator
) -> tuple[Way, ...]:
    """Fixed orders that probe images tell of the level at this place of an answer."""
    spatial = level.shape[2:]
    if spatial.numel() > _POSITIONS:
        return ()
    probes, shown = patterns(images, spatial, _PROBES, generator)
    return fixed_orders((ask(some)[place] for some in probes.split(16)), shown)


def _mixed(
    level: torch.Tensor, own: Own, ask: Released, place: int, generator: torch.Generator
) -> Way:
    """A coarse image from all positions of the level at this place of an answer."""
    probes = varied(own, _MIXED_PROBES, generator)
    return FromEverywhere(level, (ask(some)[place] for some in probes.split(16)), probes, own)
