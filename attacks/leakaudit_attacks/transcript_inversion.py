"""Transcript inversion: what all epochs of a training released of a patient, read together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch

from leakaudit.api import (
    Capability,
    Citation,
    Images,
    Levels,
    Observation,
    Progress,
    Reconstruction,
    SiteLevels,
    require_between,
)
from leakaudit_attacks.decoding import joined
from leakaudit_attacks.papers import HE_2019
from leakaudit_attacks.querying import LearnsFromQueries


@final
@dataclass(frozen=True, kw_only=True)
class TranscriptInversion(LearnsFromQueries):
    """Recover training images from what every epoch released of them, by one decoder of all epochs.

    Each epoch sends the same slice once more, through an encoder that has moved on and with fresh
    draws of the defence. The adversary asks what the epochs' encoders release of its own patients,
    the defence on, and learns the way back from all epochs together, so that the network itself
    finds how much to trust each. Knows no weights.

    Args:
        steps: training steps.
        batch_size: auxiliary slices per step, mirrored left to right at random.
        width: channels of the decoder.
        learning_rate: peak of a one-cycle schedule.
        epochs: read at most, spread evenly over the training, the first and the last among them;
            the decoder keeps the levels of all of them in memory.

    Reference: He, Zhang, Lee 2019, section 5, for the inverse network; that it reads a training's
    releases together is ours.
    """

    steps: int = 200
    epochs: int = 16

    requires: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.TRANSCRIPT, Capability.TRANSCRIPT_QUERIES, Capability.AUXILIARY_PATIENTS}
    )
    citations: ClassVar[tuple[Citation, ...]] = (HE_2019,)

    def __post_init__(self) -> None:
        """Check the configuration; ConfigError for a value outside its range."""
        super().__post_init__()
        require_between(self, 1, 1_000, "epochs")

    def run(
        self, observation: Observation, *, generator: torch.Generator, progress: Progress
    ) -> Reconstruction:
        """Train the decoder on own patients' transcripts, apply it to the victims'."""
        kept = len(observation.transcript)
        read = _spread(kept, self.epochs)
        observed = _together(observation.transcript, read)
        crossing = observation.layout.crossing
        decoder, first, last = self.learned(
            {number: level.shape[1] for number, level in zip(crossing, observed, strict=True)},
            observation.auxiliary,
            lambda images, draws: _together(observation.query_transcript(images, draws), read),
            generator,
            progress,
        )
        with torch.no_grad():
            found: Images = decoder(observed)
        return Reconstruction(
            images=found,
            objective_first=first,
            objective_last=last,
            iterations=self.steps,
            notes=(f"Read {len(read)} of the {kept} releases, one an epoch, that were kept.",),
        )


def _spread(count: int, most: int) -> list[int]:
    """Positions of ``most`` of ``count`` epochs, evenly spread; the last alone if one is wanted."""
    if most == 1:
        return [count - 1]
    return sorted(
        {round(place) for place in torch.linspace(0, count - 1, min(most, count)).tolist()}
    )


def _together(transcript: Sequence[SiteLevels], read: Sequence[int]) -> Levels:
    """Per level the releases of all sites and of the epochs to read, along channels."""
    of_epochs = [joined(transcript[epoch]) for epoch in read]
    return tuple(torch.cat(level, dim=1) for level in zip(*of_epochs, strict=True))
