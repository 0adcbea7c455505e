"""Pseudo-client inversion: imitate the sites' encoders, then decode what they release."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, final

import torch

from leakaudit.api import (
    Attack,
    Capability,
    Observation,
    Progress,
    Reconstruction,
    Work,
    require_between,
)
from leakaudit_attacks.decoding.decoder import (
    Beside,
    decoded,
    fit,
    fresh_decoder,
    integer,
    level_channels,
    releases_of,
)
from leakaudit_attacks.decoding.simulating import PseudoClients
from leakaudit_attacks.optimising.starts import middle_slices
from leakaudit_attacks.papers import cited


@final
@dataclass(frozen=True, kw_only=True)
class PseudoClientInversion(Attack):
    """Recover images with a decoder trained on encoders that imitate the sites' own.

    Knows what a passive label site does: how the encoders are built, its own part of the network,
    what training patients released, the defense, and patients of its own with masks. It asks no
    site to encode anything and holds no encoder's weights. The imitations are trained together
    with the decoder: the label site's network must segment what they release, its statistics must
    be those of the cohort's releases, and the image decoded from a cohort's release must be
    encoded to that release again.

    Not an adversarial training: SDAR and FORA tell the two kinds of releases apart by a
    discriminator (FORA also by a kernel); matching statistics takes its place here.

    Args:
        steps: training steps of imitations and decoder.
        batch_size: auxiliary slices per step, and as many releases of the cohort; 2 at least.
        width: channels of the decoder.
        learning_rate: peak of a one-cycle schedule, of the decoder.
        imitation_rate: the same of the imitations.
        segmentation: weight of the label site's cross-entropy.
        likeness: weight of the distance between statistics of releases.
        cycle: weight of release to image to release.
        mirror: mirror slices left to right at random, which brains allow and digits do not.
        shuffle: train on pairs that do not match, so that nothing can be learned: a control.

    Reference: Zhu et al. 2025 (SDAR, arXiv:2310.10483), section IV; Xu et al. 2024 (FORA,
    arXiv:2405.04115). The cycle is ours.
    """

    steps: int = 150
    batch_size: int = 4
    width: int = 32
    learning_rate: float = 4e-3
    imitation_rate: float = 4e-3
    segmentation: float = 1.0
    likeness: float = 1.0
    cycle: float = 1.0
    mirror: bool = True
    shuffle: bool = False

    requires: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.ACTIVATIONS,
            Capability.ENCODER_ARCHITECTURE,
            Capability.SERVER_WEIGHTS,
            Capability.COHORT_RELEASES,
            Capability.AUXILIARY_PATIENTS,
            Capability.DEFENSE_PARAMETERS,
        }
    )
    citations = cited("zhu2023passive", "xu2024stealthy")

    def __post_init__(self) -> None:
        """Check the configuration.

        Raises:
            ConfigError: a value is outside its range.
        """
        require_between(self, 1, 1_000_000, "steps", "width")
        require_between(self, 2, 1_000_000, "batch_size")
        require_between(self, 1e-12, 1e6, "learning_rate", "imitation_rate")
        require_between(self, 0, 1e6, "segmentation", "likeness", "cycle")

    def work(self) -> Work:
        """The work of one run."""
        return Work(passes=self.steps, samples=self.batch_size)

    def shuffled(self) -> PseudoClientInversion:
        """Pairs are made by the attack itself, so it shuffles them itself."""
        return replace(self, shuffle=True)

    def run(
        self, observation: Observation, *, generator: torch.Generator, progress: Progress
    ) -> Reconstruction:
        """Train imitations and decoder together, apply the decoder to the victims."""
        clients = PseudoClients(
            observation,
            generator,
            batch_size=self.batch_size,
            weights=(self.segmentation, self.likeness, self.cycle),
            mirror=self.mirror,
            shuffle=self.shuffle,
        )
        auxiliary = observation.auxiliary
        decoder = fresh_decoder(
            level_channels(observation.layout), self.width, auxiliary, generator
        )
        probe_seed = integer(2**62, generator)
        first, last = fit(
            decoder,
            clients.batch,
            lambda: clients.probe(middle_slices(auxiliary), probe_seed),
            steps=self.steps,
            learning_rate=self.learning_rate,
            progress=progress,
            beside=Beside(clients.encoders, self.imitation_rate, lambda: clients.misfit(decoder)),
        )
        return Reconstruction(
            images=decoded(decoder, releases_of(observation), clients.statistics.scaled),
            objective_first=first,
            objective_last=last,
            iterations=self.steps,
        )
