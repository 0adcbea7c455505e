"""Tensor inversion: train a network from one released tensor, and no other, back to images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from leakaudit.api import (
    Capability,
    CellError,
    Observation,
    Progress,
    Reconstruction,
    ReleasedTensor,
    SiteLevels,
    require_between,
)
from leakaudit_attacks.decoding.decoder import decoded, releases_of
from leakaudit_attacks.decoding.querying import LearnsFromQueries
from leakaudit_attacks.papers import cited


@final
@dataclass(frozen=True, kw_only=True)
class TensorInversion(LearnsFromQueries):
    """Decoder inversion that reads one of the released tensors alone.

    Tells how much this tensor gives away by itself, of the images of the site that sends it and of
    those that other sites hold of the same patient. It is a measurement of the tensor and no
    adversary to be content with: a receiver of one receives the others as well. In everything
    else it is decoder inversion without refinement.

    Args:
        site: number of the data site whose tensor it reads, from 1.
        level: which of that site's levels, from 0; an audit makes the attack where it crosses.
        steps: training steps.
        batch_size: auxiliary slices per step, mirrored left to right at random.
        width: channels of the decoder.
        learning_rate: peak of a one-cycle schedule.

    Reference: He, Zhang, Lee 2019, section 5 (black-box, inverse network).
    """

    site: int = 1
    level: int = 0

    requires: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.ACTIVATIONS, Capability.ENCODER_QUERIES, Capability.AUXILIARY_PATIENTS}
    )
    citations = cited("he2019model")

    def __post_init__(self) -> None:
        """Check the configuration; ConfigError for a value outside its range."""
        super().__post_init__()
        require_between(self, 1, 1_000, "site")
        require_between(self, 0, 100, "level")

    def reads(self) -> ReleasedTensor:
        """The tensor of its site and level."""
        return ReleasedTensor(site=self.site, level=self.level)

    def run(
        self, observation: Observation, *, generator: torch.Generator, progress: Progress
    ) -> Reconstruction:
        """Train the decoder on that tensor and apply it to the victims'."""
        layout = observation.layout
        if self.site > len(layout.channels) or self.level not in layout.crossing:
            raise CellError(f"no tensor of site {self.site}, level {self.level} crosses this cut")
        place = layout.crossing.index(self.level)

        def alone(release: SiteLevels) -> SiteLevels:
            return ((release[self.site - 1][place],),)

        learned = self.learned(
            [self.level],
            observation.auxiliary,
            lambda images, draws: alone(observation.query(images, draws))[0],
            generator,
            progress,
        )
        return Reconstruction(
            images=decoded(
                learned.decoder,
                [alone(release) for release in releases_of(observation)],
                learned.reading,
            ),
            objective_first=learned.first,
            objective_last=learned.last,
            iterations=self.steps,
            notes=learned.reading.notes,
        )
