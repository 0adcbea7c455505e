"""Release matching: ask what each candidate patient would release, and compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch

from leakaudit.api import (
    Attack,
    Capability,
    Observation,
    Progress,
    Reconstruction,
    Recovers,
    SiteLevels,
    Work,
    require_between,
)
from leakaudit_attacks.papers import cited
from leakaudit_attacks.reading_releases.release_readings import WAYS, Reading, Way, by_place

# Candidates that are asked about in one query.
_TOGETHER = 8
# Larger values, infinity among them, count as this; the sums below then stay finite.
_LARGEST = 1e37


@final
@dataclass(frozen=True, kw_only=True)
class ReleaseMatching(Attack):
    """Say which candidate patient was released, by asking what each of them would release.

    Knows images of candidate patients, the victims among them, and queries the trained encoders,
    the defense on. Every candidate is released several times, which shows the mean and the variance
    of every released value. A candidate's score is the Gaussian log-likelihood of what was released
    for the victim. A value counts by how well it is known, in units of its channel's own spread: a
    channel without noise is read however faint it is, and so is what stands in the last digits of
    whole random steps. What the defense says of itself is not used.

    Where releases are random it looks at them in other ways as well: at the sizes of a channel's
    values at any place and with any sign, at mixes of the channels in which the noise cancels,
    as shares of the release, with huge values cut off, and without noise that many
    values share. It takes the way that names
    most candidates by a pass of their own.

    Not a reconstruction: it needs the victim's image on the list, and shows that the messages tell
    patients apart, whether or not anybody can turn them into pictures. That it names nobody shows
    protection from this adversary alone: randomness that another one can undo may still tell all.

    Args:
        passes: how often each candidate is asked about; twice if both releases are equal.

    Reference: Hayes, Mahloujifar, Balle 2023 (an adversary whose prior is a list of candidates);
    Carlini et al. 2022 (Gaussian likelihoods, measured by asking).
    """

    passes: int = 8

    requires: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.ACTIVATIONS, Capability.ENCODER_QUERIES, Capability.CANDIDATES}
    )
    recovers: ClassVar[Recovers] = "identities"
    nist: ClassVar[str] = "membership inference"
    citations = cited("hayes2023bounding", "carlini2022membership")

    def __post_init__(self) -> None:
        """Check the configuration.

        Raises:
            ConfigError: ``passes`` is outside its range: two show the variance, and a third which
                way of looking is better.
        """
        require_between(self, 3, 10_000, "passes")

    def work(self) -> Work:
        """The work of one run."""
        return Work(passes=self.passes)

    def run(
        self, observation: Observation, *, generator: torch.Generator, progress: Progress
    ) -> Reconstruction:
        """Ask about all candidates again and again, then score them."""
        first = _asked(observation, generator)
        again = _asked(observation, generator)
        alike = all(map(torch.equal, first, again))
        passes = 2 if alike else self.passes
        progress(1, passes)
        progress(2, passes)
        further: list[list[torch.Tensor]] = []
        way: Way = by_place
        if not alike:
            further = [_asked(observation, generator)]
            way = _best_way(first, again, further[0])
        readings = _readings(way, first, again, alike=alike)
        del first, again
        for number in range(2, passes):
            released = further.pop() if further else _asked(observation, generator)
            for reading, tensor in zip(readings, released, strict=True):
                reading.add(tensor)
            progress(number + 1, passes)
        kept = [_flat(one) for one in _kept_passes(observation)]
        return Reconstruction.of_scores(_scores(readings, kept), iterations=passes)


def _best_way(
    first: list[torch.Tensor], again: list[torch.Tensor], held: list[torch.Tensor]
) -> Way:
    """The way of looking at two passes that names most candidates by a third one."""
    # One after the other: of a large list each reading takes gigabytes.
    return max(WAYS, key=lambda way: _named(_readings(way, first, again), held))


def _readings(
    way: Way, first: list[torch.Tensor], again: list[torch.Tensor], *, alike: bool = False
) -> list[Reading]:
    pairs = zip(first, again, strict=True)
    return [Reading(way(one, other), one, other, alike=alike) for one, other in pairs]


def _scores(readings: Sequence[Reading], kept: Sequence[list[torch.Tensor]]) -> torch.Tensor:
    """How well each candidate fits, over all released tensors; ``kept`` are passes."""
    of_tensors = zip(readings, zip(*kept, strict=True), strict=True)
    found = [reading.log_likelihoods(seen) for reading, seen in of_tensors]
    return torch.stack(found).sum(dim=0)


def _named(readings: Sequence[Reading], released: list[torch.Tensor]) -> float:
    """The share of the candidates that are named right by a pass of their own, not counted yet."""
    scores = _scores(readings, [released])
    return float((scores.argmax(dim=1) == torch.arange(len(scores))).double().mean())


def _asked(observation: Observation, generator: torch.Generator) -> list[torch.Tensor]:
    """Return the releases of all candidates in one pass, per site and level."""
    batches = observation.candidates.split(_TOGETHER)
    answers = [_flat(observation.query(batch, generator)) for batch in batches]
    return [torch.cat(parts) for parts in zip(*answers, strict=True)]


def _kept_passes(observation: Observation) -> tuple[SiteLevels, ...]:
    """All passes of the victims that the adversary has kept."""
    if Capability.REPEATED_RELEASES in observation.granted:
        return observation.repeated_releases
    return (observation.activations,)


def _flat(released: SiteLevels) -> list[torch.Tensor]:
    """Every released tensor in which each value is a number that can be squared."""
    return [
        level.to(torch.promote_types(level.dtype, torch.float32))
        .nan_to_num(nan=0.0, posinf=_LARGEST, neginf=-_LARGEST)
        .clamp(-_LARGEST, _LARGEST)
        for site in released
        for level in site
    ]
