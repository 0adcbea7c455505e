"""Fills an `Observation` with what a threat model grants, from a trained system and its patients.

This package is the only place where private images meet the adversary's side; they go in, and only
releases and gradients come out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from functools import partial
from itertools import islice

import numpy as np
import torch

from leakaudit.contracts import AuxiliaryPatients, Capability, Observation, having
from leakaudit.data import Patient
from leakaudit.errors import CellError
from leakaudit.randomness import derive_seed
from leakaudit.target.split_unet import SplitUNetSpec
from leakaudit.target.training import build
from leakaudit.threat.gradients import Companions, gradient_query, gradients_of
from leakaudit.threat.head import head_messages, head_query
from leakaudit.threat.hijacking import HijackedTraining
from leakaudit.threat.own_site import (
    Returned,
    of_site,
    own_gradient_query,
    own_gradients,
    own_images,
)
from leakaudit.threat.presets import Threat
from leakaudit.threat.releasing import ReleasePath, seeds_from
from leakaudit.threat.system import (
    System,
    drawn,
    frozen,
    images_of,
    layout_of,
    masks_of,
    middle_slices,
    path_of,
    release_seeds,
)
from leakaudit.threat.transcript import transcript_of, transcript_paths, transcript_query
from leakaudit.threat.updates import update_query, updates_of
from leakaudit.types import Images, SiteLevels

# What is kept of the cohort's releases: enough for their distribution, and no gigabytes.
_COHORT_PATIENTS = 16
_COHORT_SLICES = 6


def observe(
    threat: Threat,
    system: System,
    *,
    victims: Sequence[Patient],
    auxiliary: Sequence[Patient],
    releases: int,
    site: int | None = None,
    training: Iterable[Patient] = (),
    companions: Companions | None = None,
    gradient_checkpoints: Sequence[int] | None = None,
    round_steps: int = 1,
    shuffled: bool = False,
    returned: Returned = "own",
    candidates: Images | None = None,
    first_release: int = 0,
    paths: list[ReleasePath] | None = None,
) -> Observation:
    """Fill an observation.

    Args:
        threat: what is granted.
        system: the trained target.
        victims: who is attacked, by their middle slice.
        auxiliary: the adversary's own patients.
        releases: how often each victim's slice was released, at least 1.
        site: which site the adversary is, where the threat puts it at a data site.
        training: patients in training, whose releases the label site received, and by whom a
            malicious one has the sites train; of their releases those of the first 16 are held,
            and without any patients none.
        companions: who fills the batches whose gradients are observed; None for batches of one.
        gradient_checkpoints: epochs after which gradients are observed; None for before training
            and at its end.
        round_steps: optimizer steps of the round whose weight updates are observed.
        shuffled: answer queries with the release or the gradients of a random auxiliary slice
            instead, so that a learned attack can learn nothing: its negative control.
        returned: what a data site, or the server of the U-shaped variant, is shown of what came
            back to it.
        candidates: images of candidate patients ``(candidates, modalities, *spatial)``, the victims
            among them; only shown under a threat that grants them, which needs them.
        first_release: number of the first of the victims' releases that are observed.
        paths: takes up each `ReleasePath` that the observation's releases and answers go by.

    Raises:
        CellError: the threat grants candidates, and there are none.
    """
    spatial = tuple(victims[0].images.shape[2:])
    path = path_of(system)
    epochs = transcript_paths(system) if having("every epoch") & threat.capabilities else ()
    if paths is not None:
        paths += [path, *epochs]
    held: dict[Capability, object] = {}
    gradients: list[Capability] = []
    for capability in sorted(threat.capabilities):  # victims first, in every process
        match capability:
            case Capability.ACTIVATIONS if Capability.TRANSCRIPT in threat.capabilities:
                pass  # the last epoch's, below: no pass is counted twice
            case Capability.ACTIVATIONS:
                held[capability] = _releases(system, path, victims, auxiliary, 1, first_release)[0]
            case Capability.REPEATED_RELEASES:
                held[capability] = _releases(
                    system, path, victims, auxiliary, releases, first_release
                )
            case Capability.ENCODER_ARCHITECTURE:
                held[capability] = partial(_untrained_encoders, system.network.spec)
            case Capability.ENCODER_WEIGHTS:
                held[capability] = frozen(system.network.encoders)
            case Capability.ENCODER_QUERIES:
                held[capability] = _query(path, auxiliary if shuffled else None)
            case Capability.TRANSCRIPT:
                transcript = transcript_of(system, victims, epochs)
                held |= {capability: transcript, Capability.ACTIVATIONS: transcript[-1]}
            case Capability.TRANSCRIPT_QUERIES:
                held[capability] = transcript_query(epochs, auxiliary if shuffled else None)
            case Capability.GRADIENT_QUERIES:
                held[capability] = gradient_query(
                    system, companions, auxiliary if shuffled else None, gradient_checkpoints
                )
            case Capability.WEIGHT_UPDATES:
                held[capability] = updates_of(
                    system, victims, companions, round_steps, gradient_checkpoints
                )
            case Capability.UPDATE_QUERIES:
                held[capability] = update_query(
                    system,
                    companions,
                    round_steps,
                    auxiliary if shuffled else None,
                    gradient_checkpoints,
                )
            case Capability.OWN_MODALITIES:
                held[capability] = own_images(system, victims, of_site(threat, site))
            case Capability.OWN_CUT_GRADIENTS:
                held[capability] = own_gradients(
                    system, victims, of_site(threat, site), returned, gradient_checkpoints
                )
            case Capability.OWN_GRADIENT_QUERIES:
                held[capability] = own_gradient_query(
                    system, of_site(threat, site), returned, gradient_checkpoints
                )
            case Capability.HEAD_MESSAGES:
                held[capability] = head_messages(system, victims, returned, gradient_checkpoints)
            case Capability.HEAD_QUERIES:
                held[capability] = head_query(system, returned, gradient_checkpoints)
            case Capability.ACTIVE_MANIPULATION:
                held[capability] = HijackedTraining.of(system, victims, training)
            case Capability.SERVER_WEIGHTS:
                (held[capability],) = frozen([system.network.server])
            case Capability.COHORT_RELEASES:
                attacked = {patient.id for patient in victims}
                received = _cohort_releases(
                    system, path, (patient for patient in training if patient.id not in attacked)
                )
                if received:
                    held[capability] = received
            case Capability.AUXILIARY_PATIENTS:
                # Its own masks are shown to it where it can do something with them.
                masks = bool(having("own masks") & threat.capabilities)
                held[capability] = _auxiliary(auxiliary, system.device, masks=masks)
            case Capability.CANDIDATES:
                if candidates is None:
                    raise CellError(f"threat {threat.name} needs candidates, and there are none")
                held[capability] = candidates.to(system.device)
            case Capability.DEFENSE_PARAMETERS:
                held[capability] = deepcopy(system.defense)
            case Capability.WEIGHT_GRADIENTS | Capability.CUT_GRADIENTS:
                gradients.append(capability)  # one pass through the protocol makes both, below
            case _:
                raise AssertionError(f"no preset grants {capability} yet")
    if gradients:
        weight, cut = gradients_of(system, victims, companions, gradient_checkpoints)
        held.update({one: cut if one == Capability.CUT_GRADIENTS else weight for one in gradients})
    return Observation(
        threat=threat.name,
        layout=layout_of(
            system,
            spatial,
            len(victims),
            site=site,
            gradient_batch=companions.batch if companions else 1,
            candidates=0 if candidates is None else len(candidates),
        ),
        held=held,
    )


def _releases(
    system: System,
    path: ReleasePath,
    victims: Sequence[Patient],
    auxiliary: Sequence[Patient],
    releases: int,
    first: int,
) -> tuple[SiteLevels, ...]:
    """Releases of the victims, made among as many of auxiliary patients as there are."""
    images, seeds = [middle_slices(auxiliary)], auxiliary_seeds(system, auxiliary)
    for release in range(first, first + releases):
        images.append(middle_slices(victims))
        seeds += [
            seed
            for patient in victims
            for seed in release_seeds(system, patient, release, [patient.middle])
        ]
    made = path.release(torch.cat(images), seeds, keep=True)
    counts = [len(each) for each in images]
    split = [[level.split(counts) for level in site] for site in made]
    return tuple(
        tuple(tuple(level[number] for level in site) for site in split)
        for number in range(1, len(counts))
    )


def auxiliary_seeds(system: System, auxiliary: Sequence[Patient]) -> list[int]:
    """Seeds of the draws by which auxiliary middle slices are released beside the victims'."""
    return [derive_seed(system.draws, "release", "auxiliary", one.id) for one in auxiliary]


def _cohort_releases(system: System, path: ReleasePath, cohort: Iterable[Patient]) -> SiteLevels:
    """One release of slices spread evenly over each patient's tumour; empty without patients."""
    images, seeds = [], []
    for patient in islice(cohort, _COHORT_PATIENTS):
        slices = list(patient.tumour_slices) or [patient.middle]
        places = np.linspace(0, len(slices) - 1, min(_COHORT_SLICES, len(slices)))
        chosen = [slices[round(place)] for place in places.tolist()]
        images.append(images_of(patient)[chosen])
        seeds += release_seeds(system, patient, 0, chosen)
    return path.release(torch.cat(images), seeds) if images else ()


def _untrained_encoders(spec: SplitUNetSpec, seed: int) -> tuple[torch.nn.Module, ...]:
    return tuple(build(spec, seed).encoders)


def _query(
    path: ReleasePath, shuffle: Sequence[Patient] | None
) -> Callable[[Images, torch.Generator], SiteLevels]:
    pool = torch.cat([images_of(patient) for patient in shuffle]) if shuffle else None

    def query(images: Images, generator: torch.Generator) -> SiteLevels:
        if pool is not None:
            images = pool[drawn(len(pool), len(images), generator)]
        return path.release(images, seeds_from(generator, len(images)))

    return query


def _auxiliary(
    patients: Sequence[Patient], device: torch.device, *, masks: bool
) -> AuxiliaryPatients:
    counts = [len(patient.images) for patient in patients]
    starts = np.cumsum([0, *counts[:-1]])
    return AuxiliaryPatients(
        images=torch.cat([images_of(patient) for patient in patients]).to(device),
        masks=torch.cat([masks_of(one) for one in patients]).to(device) if masks else None,
        patient=torch.repeat_interleave(torch.arange(len(patients)), torch.tensor(counts)),
        middle=torch.tensor(
            [int(start) + patient.middle for start, patient in zip(starts, patients, strict=True)]
        ),
    )
