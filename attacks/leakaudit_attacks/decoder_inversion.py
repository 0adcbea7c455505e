"""Decoder inversion: train a network from releases back to images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, final

import torch

from leakaudit.api import (
    Capability,
    Images,
    Observation,
    Progress,
    Reconstruction,
    SiteLevels,
    require_between,
)
from leakaudit_attacks.activation_inversion import ActivationInversion
from leakaudit_attacks.decoding.decoder import decoded, difference, joined, releases_of
from leakaudit_attacks.decoding.querying import LearnsFromQueries
from leakaudit_attacks.optimising.starts import middle_slices
from leakaudit_attacks.papers import cited


@final
@dataclass(frozen=True, kw_only=True)
class DecoderInversion(LearnsFromQueries):
    """Recover images with a decoder trained on the adversary's own patients, the defense on.

    Knows no weights: it queries the sites' encoders with auxiliary patients, gets what they would
    release, and learns the way back; every step asks for fresh releases, so that it learns to
    undo the defense's randomness. It starts from the auxiliary patients' mean and learns where to
    doubt it, so that a release that says nothing leaves it with a blind guess. Repeated releases
    of a victim are decoded one by one and averaged.

    Where the threat grants the encoders' weights as well, the decoder's image is also moved to
    match the release, held near to where it was. Whether that is any better the adversary sees on
    its own patients, whom it treats alike; if it is not, the decoder's image stands.

    Args:
        steps: training steps.
        batch_size: auxiliary slices per step, mirrored left to right at random.
        width: channels of the decoder.
        learning_rate: peak of a one-cycle schedule.
        refine: iterations of activation inversion from the decoder's image, where the threat grants
            what that requires. 0 for none.
        near: what it costs to leave the decoder's image: the mean squared distance at which all the
            misfit of that image is worth explaining is one over this.

    Reference: He, Zhang, Lee 2019, section 5 (black-box, inverse network).
    """

    refine: int = 100
    near: float = 40.0

    requires: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.ACTIVATIONS, Capability.ENCODER_QUERIES, Capability.AUXILIARY_PATIENTS}
    )
    citations = cited("he2019model")

    def __post_init__(self) -> None:
        """Check the configuration; ConfigError for a value outside its range."""
        super().__post_init__()
        require_between(self, 0, 1_000_000, "refine")
        require_between(self, 0, 1e6, "near")

    def shuffled(self) -> DecoderInversion:
        """Without refinement, which uses the victim's own activations and so must succeed."""
        return replace(self, refine=0)

    def run(
        self, observation: Observation, *, generator: torch.Generator, progress: Progress
    ) -> Reconstruction:
        """Train the decoder, apply it to the victims, refine where that is granted and helps."""
        refine = self.refine if ActivationInversion.requires <= observation.granted else 0
        total = self.steps + refine
        learned = self.learned(
            observation.layout.crossing,
            observation.auxiliary,
            lambda images, draws: joined(observation.query(images, draws)),
            generator,
            lambda done, _: progress(done, total),
            sites=len(observation.layout.channels),
        )
        releases = releases_of(observation)
        images = decoded(learned.decoder, releases, learned.reading)
        notes, last = learned.reading.notes, learned.last
        if refine:
            joint, mine = _with_own_patients(observation, releases, generator)
            start = decoded(learned.decoder, joint.repeated_releases, learned.reading)
            moved = (
                ActivationInversion(iterations=refine)
                .invert(
                    joint,
                    start,
                    lambda done, _: progress(self.steps + done, total),
                    hold=self.near,
                )
                .images
            )
            victims = len(images)
            before, after = (float(difference(each[victims:], mine)) for each in (start, moved))
            if after < before:
                images, last = moved[:victims], after
            outcome = "refined" if after < before else "not refined"
            notes += (
                f"Decoded images are {outcome}: on the adversary's own patients refining takes "
                f"the decoder's objective from {before:.3f} to {after:.3f}.",
            )
        return Reconstruction(
            images=images,
            objective_first=learned.first,
            objective_last=last,
            iterations=total,
            notes=notes,
        )


def _with_own_patients(
    observation: Observation, releases: tuple[SiteLevels, ...], generator: torch.Generator
) -> tuple[Observation, Images]:
    """The observation with the adversary's own patients behind the victims, and their images."""
    mine = middle_slices(observation.auxiliary)
    joint = tuple(
        tuple(
            tuple(torch.cat(level) for level in zip(*site, strict=True))
            for site in zip(release, observation.query(mine, generator), strict=True)
        )
        for release in releases
    )
    layout = replace(observation.layout, victims=observation.layout.victims + len(mine))
    held = {
        Capability.ACTIVATIONS: joint[0],
        Capability.REPEATED_RELEASES: joint,
        Capability.ENCODER_WEIGHTS: observation.encoders,
        Capability.DEFENSE_PARAMETERS: observation.defense,
        Capability.AUXILIARY_PATIENTS: observation.auxiliary,
    }
    return Observation(threat=observation.threat, layout=layout, held=held), mine
