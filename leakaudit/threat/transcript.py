"""What training patients' slices were released as after each epoch of the training."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from leakaudit.contracts import TranscriptQuery
from leakaudit.data import Patient
from leakaudit.errors import CellError
from leakaudit.randomness import generator_for
from leakaudit.threat.system import System, drawn, frozen, images_of, stack
from leakaudit.types import Images, SiteLevels


def transcript_of(system: System, victims: Sequence[Patient]) -> tuple[SiteLevels, ...]:
    """Per epoch one release of each victim's middle slice, the defence's draws anew.

    Raises:
        CellError: the encoders of the epochs were not kept.
    """
    epochs = _encoders(system)
    return tuple(
        stack([_of_patient(system, encoders, epoch, patient) for patient in victims])
        for epoch, encoders in enumerate(epochs)
    )


def transcript_query(system: System, shuffle: Sequence[Patient] | None) -> TranscriptQuery:
    """Answers `Observation.query_transcript`, with random slices of ``shuffle`` if given."""
    epochs = _encoders(system)
    pool = torch.cat([images_of(patient) for patient in shuffle]) if shuffle else None

    def query(images: Images, generator: torch.Generator) -> tuple[SiteLevels, ...]:
        if pool is not None:
            images = pool[drawn(len(pool), len(images), generator)]
        return tuple(_sent(system, each, images, lambda _: generator) for each in epochs)

    return query


def _encoders(system: System) -> tuple[tuple[torch.nn.Module, ...], ...]:
    if not system.transcript:
        raise CellError("the encoders of the epochs were not kept")
    return tuple(frozen(encoders) for encoders in system.transcript)


def _of_patient(
    system: System, encoders: Sequence[torch.nn.Module], epoch: int, patient: Patient
) -> SiteLevels:
    middle = images_of(patient)[patient.middle : patient.middle + 1]
    return _sent(
        system,
        encoders,
        middle,
        lambda site: generator_for(system.seed, "transcript", epoch, patient.id, site),
    )


def _sent(
    system: System,
    encoders: Sequence[torch.nn.Module],
    images: Images,
    draws: Callable[[int], torch.Generator],
) -> SiteLevels:
    views = images.to(system.device).split(list(system.network.spec.channels), dim=1)
    with torch.no_grad():
        return tuple(
            system.defense.release(encoder(view), generator=draws(site))
            for site, (encoder, view) in enumerate(zip(encoders, views, strict=True))
        )
