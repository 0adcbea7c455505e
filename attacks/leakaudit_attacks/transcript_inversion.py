"""Transcript inversion: what all epochs of a training released of a patient, read together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, final

import torch

from leakaudit.api import (
    Capability,
    Images,
    Levels,
    Observation,
    Progress,
    Reconstruction,
    SiteLevels,
    require_between,
)
from leakaudit_attacks.decoding.decoder import joined
from leakaudit_attacks.decoding.querying import LearnsFromQueries
from leakaudit_attacks.papers import cited


@final
@dataclass(frozen=True, kw_only=True)
class TranscriptInversion(LearnsFromQueries):
    """Recover training images from what every epoch released of them, by one decoder of all epochs.

    Each epoch sends the same slice once more, through an encoder that has moved on and with fresh
    draws of the defense. The adversary asks what the epochs' encoders release of its own patients,
    the defense on, and learns the way back from all epochs together, so that the network itself
    finds how much to trust each. Knows no weights.

    Args:
        steps: training steps.
        batch_size: auxiliary slices per step, mirrored left to right at random.
        width: channels of the decoder.
        learning_rate: peak of a one-cycle schedule.
        groups: of neighbouring epochs whose releases are averaged, where there are more epochs than
            that: the decoder keeps the levels of all groups in memory.

    Reference: He, Zhang, Lee 2019, section 5, for the inverse network; that it reads a training's
    releases together is ours.
    """

    steps: int = 200
    groups: int = 16

    requires: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.TRANSCRIPT, Capability.TRANSCRIPT_QUERIES, Capability.AUXILIARY_PATIENTS}
    )
    citations = cited("he2019model")

    def __post_init__(self) -> None:
        """Check the configuration; ConfigError for a value outside its range."""
        super().__post_init__()
        require_between(self, 1, 1_000, "groups")

    def run(
        self, observation: Observation, *, generator: torch.Generator, progress: Progress
    ) -> Reconstruction:
        """Train the decoder on own patients' transcripts, apply it to the victims'."""
        kept = len(observation.transcript)
        groups = _groups(kept, self.groups)
        observed = _together(observation.transcript, groups)
        learned = self.learned(
            observation.layout.crossing,
            observation.auxiliary,
            lambda images, draws: _together(observation.query_transcript(images, draws), groups),
            generator,
            progress,
        )
        with torch.no_grad():
            found: Images = learned.decoder(learned.reading(observed))
        return Reconstruction(
            images=found,
            objective_first=learned.first,
            objective_last=learned.last,
            iterations=self.steps,
            notes=(
                f"Read {kept} releases, one an epoch, in {len(groups)} groups.",
                *learned.reading.notes,
            ),
        )


def _groups(count: int, most: int) -> list[range]:
    """``count`` epochs in a row, in ``most`` groups of neighbours at most, as even as can be."""
    ends = [round(count * number / min(most, count)) for number in range(min(most, count) + 1)]
    return [range(first, after) for first, after in pairwise(ends)]


def _together(transcript: Sequence[SiteLevels], groups: Sequence[range]) -> Levels:
    """Per level the releases of all sites, each group's mean, group after group along channels."""
    means = []
    for group in groups:
        epochs = [joined(transcript[epoch]) for epoch in group]
        means.append([torch.stack(level).mean(dim=0) for level in zip(*epochs, strict=True)])
    return tuple(torch.cat(level, dim=1) for level in zip(*means, strict=True))
