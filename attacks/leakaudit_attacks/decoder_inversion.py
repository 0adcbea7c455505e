"""Decoder inversion: train a network from releases back to images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, final

import torch

from leakaudit.api import (
    Attack,
    Capability,
    Citation,
    Images,
    Observation,
    Progress,
    Reconstruction,
    require_between,
)
from leakaudit_attacks.activation_inversion import ActivationInversion
from leakaudit_attacks.decoding import (
    Decoder,
    Pairs,
    decoded,
    fit,
    fresh_decoder,
    integer,
    joined,
    level_channels,
)
from leakaudit_attacks.papers import HE_2019


@final
@dataclass(frozen=True, kw_only=True)
class DecoderInversion(Attack):
    """Recover images with a decoder trained on the adversary's own patients, the defence on.

    Knows no weights: it queries the sites' encoders with auxiliary patients, gets what they would
    release, and learns the way back; every step asks for fresh releases, so that it learns to
    undo the defence's randomness. It starts from the auxiliary patients' mean and learns where to
    doubt it, so that a release that says nothing leaves it with a blind guess. Repeated releases
    of a victim are decoded one by one and averaged.

    Args:
        steps: training steps.
        batch_size: auxiliary slices per step, mirrored left to right at random.
        width: channels of the decoder.
        learning_rate: peak of a one-cycle schedule.
        refine: iterations of activation inversion from the decoder's output, which need the
            encoders' weights and the defence's parameters. 0 for none.

    Reference: He, Zhang, Lee 2019, section 5 (black-box, inverse network).
    """

    steps: int = 150
    batch_size: int = 8
    width: int = 32
    learning_rate: float = 4e-3
    refine: int = 0

    requires: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.ACTIVATIONS, Capability.ENCODER_QUERIES, Capability.AUXILIARY_PATIENTS}
    )
    citations: ClassVar[tuple[Citation, ...]] = (HE_2019,)
    learns_from_queries: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check the configuration.

        Raises:
            ConfigError: a value is outside its range.
        """
        require_between(self, 1, 1_000_000, "steps", "batch_size", "width")
        require_between(self, 0, 1_000_000, "refine")
        require_between(self, 1e-12, 1e6, "learning_rate")

    def needs(self) -> frozenset[Capability]:
        """What `ActivationInversion` requires as well, if it refines."""
        return self.requires | ActivationInversion.requires if self.refine else self.requires

    def shuffled(self) -> DecoderInversion:
        """Without refinement, which uses the victim's own activations and so must succeed."""
        return replace(self, refine=0)

    def run(
        self, observation: Observation, *, generator: torch.Generator, progress: Progress
    ) -> Reconstruction:
        """Train the decoder, apply it to the victims, refine if asked to."""
        total = self.steps + self.refine
        decoder, first, last = self._train(
            observation, generator, lambda done, _: progress(done, total)
        )
        images = decoded(decoder, observation)
        if self.refine:
            refined = ActivationInversion(iterations=self.refine).invert(
                observation, images, lambda done, _: progress(self.steps + done, total)
            )
            return replace(refined, iterations=total)
        return Reconstruction(
            images=images, objective_first=first, objective_last=last, iterations=self.steps
        )

    def _train(
        self, observation: Observation, generator: torch.Generator, progress: Progress
    ) -> tuple[Decoder, float, float]:
        auxiliary = observation.auxiliary
        entering = level_channels(observation.layout)
        decoder = fresh_decoder(entering, self.width, auxiliary, generator)
        # The objective is compared on the same slices with the same draws before and after.
        middles = auxiliary.images[auxiliary.middle.to(auxiliary.images.device)]
        probe_seed = integer(2**62, generator)

        def released(images: Images, draws: torch.Generator) -> Pairs:
            return joined(observation.query(images, draws)), images

        def batch() -> Pairs:
            count = len(auxiliary.images)
            chosen = [integer(count, generator) for _ in range(self.batch_size)]
            images = auxiliary.images[torch.tensor(chosen, device=auxiliary.images.device)]
            return released(images.flip(-1) if integer(2, generator) else images, generator)

        first, last = fit(
            decoder,
            batch,
            lambda: released(middles, torch.Generator().manual_seed(probe_seed)),
            steps=self.steps,
            learning_rate=self.learning_rate,
            progress=progress,
        )
        return decoder, first, last
