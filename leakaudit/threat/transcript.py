"""The releases of training patients' slices after each epoch of the training."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from leakaudit.contracts import TranscriptQuery
from leakaudit.data import Patient
from leakaudit.errors import CellError
from leakaudit.randomness import derive_seed
from leakaudit.threat.releasing import ReleasePath, seeds_from
from leakaudit.threat.system import System, drawn, frozen, images_of, middle_slices
from leakaudit.types import Images, SiteLevels


def transcript_paths(system: System) -> tuple[ReleasePath, ...]:
    """By which each epoch's encoders release.

    Raises:
        CellError: the encoders of the epochs were not kept.
    """
    if not system.transcript:
        raise CellError("the encoders of the epochs were not kept")
    channels = system.network.spec.channels
    return tuple(
        ReleasePath(frozen(encoders), system.defense, channels, system.device)
        for encoders in system.transcript
    )


def transcript_of(
    system: System, victims: Sequence[Patient], paths: Sequence[ReleasePath]
) -> tuple[SiteLevels, ...]:
    """Per epoch one release of each victim's middle slice, the defense's draws anew."""
    images = middle_slices(victims)
    return tuple(
        path.release(
            images,
            [derive_seed(system.draws, "transcript", epoch, patient.id) for patient in victims],
            keep=True,
        )
        for epoch, path in enumerate(paths)
    )


def transcript_query(
    paths: Sequence[ReleasePath], shuffle: Sequence[Patient] | None
) -> TranscriptQuery:
    """Answers `Observation.query_transcript`, with random slices of ``shuffle`` if given."""
    pool = torch.cat([images_of(patient) for patient in shuffle]) if shuffle else None

    def query(images: Images, generator: torch.Generator) -> tuple[SiteLevels, ...]:
        if pool is not None:
            images = pool[drawn(len(pool), len(images), generator)]
        return tuple(path.release(images, seeds_from(generator, len(images))) for path in paths)

    return query
