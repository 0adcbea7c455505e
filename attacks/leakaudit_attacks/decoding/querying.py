"""The base of attacks whose decoder learns from the system's releases of own patients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch

from leakaudit.api import Attack, AuxiliaryPatients, Images, Levels, Progress, Work, require_between
from leakaudit_attacks.decoding.decoder import Decoder, Pairs, fit, fresh_decoder, integer
from leakaudit_attacks.optimising.starts import middle_slices
from leakaudit_attacks.reading_releases.reader import Reading, best_reading
from leakaudit_attacks.reading_releases.screening import Own

# Own slices by whose releases a way to read is chosen, and how many values these may have: all of
# them are in memory at once.
_SLICES, _VALUES = 48, 2**25

# Seed of their second release, by which it is seen what draws do.
_AGAIN = 11

# Own images in, what is released of them out, per level and joined along channels.
Asked = Callable[[Images, torch.Generator], Levels]


@final
@dataclass(frozen=True, kw_only=True)
class Learned:
    """A trained decoder.

    Args:
        decoder: shown what the reading makes of a release.
        reading: chosen by the adversary's own patients.
        first: the objective on their middle slices before the first step.
        last: and after the last.
    """

    decoder: Decoder
    reading: Reading
    first: float
    last: float


@dataclass(frozen=True, kw_only=True)
class LearnsFromQueries(Attack):
    """An attack whose decoder asks for fresh releases of own slices at every step; abstract.

    So it learns to undo the defense's randomness. Before that it asks for one release of some own
    slices, to see in which unit each channel varies between patients, and by which way of reading
    held-back patients are told best (`reading_releases.reader`). It starts from the auxiliary
    patients' mean and learns where to doubt it: a release that says nothing leaves it with a blind
    guess.

    Args:
        steps: training steps.
        batch_size: auxiliary slices per step, mirrored left to right at random.
        width: channels of the decoder.
        learning_rate: peak of a one-cycle schedule.
    """

    steps: int = 150
    batch_size: int = 8
    width: int = 32
    learning_rate: float = 4e-3

    learns_from_queries: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check the configuration.

        Raises:
            ConfigError: a value is outside its range.
        """
        require_between(self, 1, 1_000_000, "steps", "batch_size", "width")
        require_between(self, 1e-12, 1e6, "learning_rate")

    def work(self) -> Work:
        """The work of one run."""
        return Work(passes=self.steps, samples=self.batch_size)

    @final
    def learned(
        self,
        numbers: Sequence[int],
        auxiliary: AuxiliaryPatients,
        ask: Asked,
        generator: torch.Generator,
        progress: Progress,
        *,
        sites: int = 1,
    ) -> Learned:
        """A trained decoder, and its objective on the own middle slices before and after.

        Args:
            numbers: of the levels that ``ask`` answers with, shallow to deep.
            auxiliary: whose slices it learns from.
            ask: what would be released of them.
            generator: source of all draws; the objective is compared under the same ones.
            progress: called after every step.
            sites: how many sites' channels stand one after another in each of these levels.
        """
        own, released = _released(auxiliary, ask, generator)
        # By draws of its own, so that a look at noise changes nothing where there is none.
        again = _again(own, released, ask, torch.Generator().manual_seed(_AGAIN))
        reading = best_reading(
            numbers, own, released, lambda images: ask(images, generator), sites, generator, again
        )
        decoder = fresh_decoder(reading.entering, self.width, auxiliary, generator)
        middles = middle_slices(auxiliary)
        probe_seed = integer(2**62, generator)

        def pairs(images: Images, draws: torch.Generator) -> Pairs:
            return reading(ask(images, draws)), images

        def batch() -> Pairs:
            count = len(auxiliary.images)
            chosen = [integer(count, generator) for _ in range(self.batch_size)]
            images = auxiliary.images[torch.tensor(chosen, device=auxiliary.images.device)]
            return pairs(images.flip(-1) if integer(2, generator) else images, generator)

        first, last = fit(
            decoder,
            batch,
            lambda: pairs(middles, torch.Generator().manual_seed(probe_seed)),
            steps=self.steps,
            learning_rate=self.learning_rate,
            progress=progress,
        )
        return Learned(decoder=decoder, reading=reading, first=first, last=last)


def _released(
    auxiliary: AuxiliaryPatients, ask: Asked, generator: torch.Generator
) -> tuple[Own, Levels]:
    """Some own slices and one release of each, asked for in batches."""
    one = ask(auxiliary.images[:1], generator)
    most = min(_SLICES, max(2, _VALUES // sum(level.numel() for level in one)))
    own = Own.of(auxiliary, most)
    parts = [ask(images, generator) for images in own.images.split(8)]
    return own, tuple(torch.cat(level) for level in zip(*parts, strict=True))


def _again(own: Own, released: Levels, ask: Asked, generator: torch.Generator) -> Levels | None:
    """Another release of the same slices; None where nothing seems to be drawn."""
    first = ask(own.images[:1], generator)
    if all(torch.equal(one, level[:1]) for one, level in zip(first, released, strict=True)):
        return None
    parts = [first, *(ask(images, generator) for images in own.images[1:].split(8))]
    return tuple(torch.cat(level) for level in zip(*parts, strict=True))
