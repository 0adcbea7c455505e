"""Fills an `Observation` with what a threat model grants, from a trained system and its patients.

This is the only place where private images meet the adversary's side; they go in, and only
releases and gradients come out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import final

import numpy as np
import torch

from leakaudit.contracts import (
    AuxiliaryPatients,
    Capability,
    Defense,
    GradientMessages,
    GradientQuery,
    GradientRelease,
    Observation,
    SystemLayout,
)
from leakaudit.data import Patient
from leakaudit.target.protocol import Protocol
from leakaudit.target.split_unet import SplitUNet, SplitUNetSpec
from leakaudit.target.training import build
from leakaudit.threat.presets import Threat
from leakaudit.types import Images, Masks, SiteLevels

_FIRST = "initialisation"


@final
@dataclass(frozen=True, kw_only=True)
class System:
    """A trained target as the auditor holds it.

    Args:
        network: with its final weights.
        initial: the same network before its first step.
        defense: fitted.
        seed: seed of the target; every release of a patient is keyed by it.
        device: where the parties compute.
    """

    network: SplitUNet
    initial: SplitUNet
    defense: Defense
    seed: int
    device: torch.device


def layout_of(system: System, spatial: tuple[int, ...], victims: int) -> SystemLayout:
    """What is public about a system."""
    spec = system.network.spec
    return SystemLayout(
        channels=spec.channels,
        crossing=spec.crossing,
        features=spec.features,
        spatial=spatial,
        victims=victims,
    )


def images_of(patient: Patient) -> Images:
    """All slices of a patient, ``(slices, M, *spatial)`` float32."""
    return torch.from_numpy(np.ascontiguousarray(patient.images))


def masks_of(patient: Patient) -> Masks:
    """Their masks, ``(slices, *spatial)`` int64."""
    return torch.from_numpy(patient.masks.astype(np.int64))


def release_patient(system: System, patient: Patient, release: int) -> SiteLevels:
    """What crosses the cut when a patient's slices are segmented for the ``release``-th time.

    The same draw serves the utility and the adversary's observation: one pass is one release.

    Returns:
        Per site its crossing levels, each ``(slices, C, *spatial)``, detached.
    """
    protocol = Protocol(system.network, system.defense)
    views = images_of(patient).to(system.device).split(list(system.network.spec.channels), dim=1)
    with torch.no_grad():
        messages = protocol.send(views, system.seed, "inference", patient.id, release)
    return tuple(message.levels for message in messages)


def observe(
    threat: Threat,
    system: System,
    *,
    victims: Sequence[Patient],
    auxiliary: Sequence[Patient],
    releases: int,
    shuffled: bool = False,
) -> Observation:
    """Fill an observation.

    Args:
        threat: what is granted.
        system: the trained target.
        victims: who is attacked, by their middle slice.
        auxiliary: the adversary's own patients.
        releases: how often each victim's slice was released, at least 1.
        shuffled: answer queries with the release or the gradients of a random auxiliary slice
            instead, so that a learned attack can learn nothing: its negative control.
    """
    spatial = tuple(victims[0].images.shape[2:])
    held: dict[Capability, object] = {}
    for capability in threat.capabilities:
        match capability:
            case Capability.ACTIVATIONS:
                held[capability] = _releases(system, victims, 1)[0]
            case Capability.REPEATED_RELEASES:
                held[capability] = _releases(system, victims, releases)
            case Capability.ENCODER_ARCHITECTURE:
                held[capability] = partial(_untrained_encoders, system.network.spec)
            case Capability.ENCODER_WEIGHTS:
                held[capability] = _frozen(system.network.encoders)
            case Capability.ENCODER_QUERIES:
                held[capability] = _query(system, auxiliary if shuffled else None)
            case Capability.GRADIENT_QUERIES:
                held[capability] = _gradient_query(system, auxiliary if shuffled else None)
            case Capability.AUXILIARY_PATIENTS:
                held[capability] = _auxiliary(
                    auxiliary,
                    system.device,
                    masks=Capability.GRADIENT_QUERIES in threat.capabilities,
                )
            case Capability.DEFENSE_PARAMETERS:
                held[capability] = deepcopy(system.defense)
            case Capability.WEIGHT_GRADIENTS | Capability.CUT_GRADIENTS:
                pass  # one pass through the protocol makes both, below
            case _:
                raise AssertionError(f"no preset grants {capability} yet")
    gradients = {Capability.WEIGHT_GRADIENTS, Capability.CUT_GRADIENTS} & threat.capabilities
    if gradients:
        weight, cut = _gradients(system, victims)
        made: dict[Capability, object] = {
            Capability.WEIGHT_GRADIENTS: weight,
            Capability.CUT_GRADIENTS: cut,
        }
        held.update({capability: made[capability] for capability in gradients})
    return Observation(
        threat=threat.name, layout=layout_of(system, spatial, len(victims)), held=held
    )


def _releases(system: System, victims: Sequence[Patient], releases: int) -> tuple[SiteLevels, ...]:
    observed = []
    for release in range(releases):
        of_patient = [
            [
                [level[patient.middle : patient.middle + 1] for level in levels]
                for levels in release_patient(system, patient, release)
            ]
            for patient in victims
        ]
        observed.append(_stack(of_patient))
    return tuple(observed)


def _stack(of_patient: Sequence[Sequence[Sequence[torch.Tensor]]]) -> SiteLevels:
    sites, levels = len(of_patient[0]), len(of_patient[0][0])
    return tuple(
        tuple(
            torch.cat([patient[site][level] for patient in of_patient]) for level in range(levels)
        )
        for site in range(sites)
    )


def _frozen(encoders: torch.nn.ModuleList) -> tuple[torch.nn.Module, ...]:
    copies = deepcopy(encoders).eval().requires_grad_(False)
    return tuple(copies)


def _untrained_encoders(spec: SplitUNetSpec, seed: int) -> tuple[torch.nn.Module, ...]:
    return tuple(build(spec, seed).encoders)


def _query(
    system: System, shuffle: Sequence[Patient] | None
) -> Callable[[Images, torch.Generator], SiteLevels]:
    encoders = _frozen(system.network.encoders)
    channels = list(system.network.spec.channels)
    pool = torch.cat([images_of(patient) for patient in shuffle]) if shuffle else None

    def query(images: Images, generator: torch.Generator) -> SiteLevels:
        if pool is not None:
            images = pool[_drawn(len(pool), len(images), generator)]
        views = images.to(system.device).split(channels, dim=1)
        with torch.no_grad():
            return tuple(
                system.defense.release(encoder(view), generator=generator)
                for encoder, view in zip(encoders, views, strict=True)
            )

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


def _gradients(
    system: System, victims: Sequence[Patient]
) -> tuple[tuple[GradientRelease, ...], tuple[SiteLevels, ...]]:
    middles = [slice(patient.middle, patient.middle + 1) for patient in victims]
    images = torch.cat([images_of(p)[one] for p, one in zip(victims, middles, strict=True)])
    masks = torch.cat([masks_of(p)[one] for p, one in zip(victims, middles, strict=True)])
    weight: list[GradientRelease] = []
    cut: list[SiteLevels] = []
    for checkpoint, protocol in _protocols(system):
        labels = [(checkpoint, patient.id) for patient in victims]
        sent = _messages(system, protocol, images, masks, system.seed, labels)
        encoders = (system.initial if checkpoint == _FIRST else system.network).encoders
        weight.append(
            GradientRelease(
                checkpoint=checkpoint, encoders=_frozen(encoders), gradients=sent.weights
            )
        )
        cut.append(sent.cut)
    return tuple(weight), tuple(cut)


def _protocols(system: System) -> tuple[tuple[str, Protocol], ...]:
    """The parties at each observed checkpoint; copies, on which gradients leave no trace."""
    networks = ((_FIRST, system.initial), ("final", system.network))
    return tuple(
        (checkpoint, Protocol(deepcopy(network).to(system.device), system.defense))
        for checkpoint, network in networks
    )


def _messages(
    system: System,
    protocol: Protocol,
    images: Images,
    masks: Masks,
    seed: int,
    labels: Sequence[tuple[object, ...]],
) -> GradientMessages:
    """The gradients of each slice as a batch of its own; its draw is keyed by its label."""
    channels = list(system.network.spec.channels)
    sent, returned = [], []
    for index, label in enumerate(labels):
        one = slice(index, index + 1)
        views = images[one].to(system.device).split(channels, dim=1)
        answers, messages = protocol.splitfed_messages(
            views, masks[one].to(system.device), seed, *label
        )
        sent.append(tuple(tensor for message in messages for tensor in message.tensors))
        returned.append([answer.levels for answer in answers])
    return GradientMessages(weights=tuple(sent), cut=_stack(returned))


def _gradient_query(system: System, shuffle: Sequence[Patient] | None) -> GradientQuery:
    protocols = _protocols(system)
    pool: tuple[Images, Masks] | None = None
    if shuffle:
        pool = (
            torch.cat([images_of(patient) for patient in shuffle]),
            torch.cat([masks_of(patient) for patient in shuffle]),
        )

    def query(
        images: Images, masks: Masks, generator: torch.Generator
    ) -> tuple[GradientMessages, ...]:
        if pool is not None:
            index = _drawn(len(pool[0]), len(images), generator)
            images, masks = pool[0][index], pool[1][index]
        seed = int(_drawn(2**62, 1, generator))
        numbers = range(len(images))
        return tuple(
            _messages(system, protocol, images, masks, seed, [(checkpoint, n) for n in numbers])
            for checkpoint, protocol in protocols
        )

    return query


def _drawn(below: int, count: int, generator: torch.Generator) -> torch.Tensor:
    """``count`` integers from 0 up to ``below``, on the CPU."""
    return torch.randint(below, (count,), generator=generator, device=generator.device).cpu()
