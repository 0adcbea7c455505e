"""The gradients that training sends for a slice: of the victims, and of whoever is asked about."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import torch

from leakaudit.contracts import GradientMessages, GradientQuery, GradientRelease
from leakaudit.data import Patient
from leakaudit.target.protocol import Protocol
from leakaudit.threat.system import System, drawn, frozen, images_of, masks_of, stack
from leakaudit.types import Images, Masks, SiteLevels

_FIRST = "initialisation"


def gradients_of(
    system: System, victims: Sequence[Patient]
) -> tuple[tuple[GradientRelease, ...], tuple[SiteLevels, ...]]:
    """Weight and cut gradients of the victims' middle slices at each observed checkpoint."""
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
                checkpoint=checkpoint, encoders=frozen(encoders), gradients=sent.weights
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
    return GradientMessages(weights=tuple(sent), cut=stack(returned))


def gradient_query(system: System, shuffle: Sequence[Patient] | None) -> GradientQuery:
    """Answers `Observation.query_gradients`, with a random slice of ``shuffle`` if given."""
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
            index = drawn(len(pool[0]), len(images), generator)
            images, masks = pool[0][index], pool[1][index]
        seed = int(drawn(2**62, 1, generator))
        numbers = range(len(images))
        return tuple(
            _messages(system, protocol, images, masks, seed, [(checkpoint, n) for n in numbers])
            for checkpoint, protocol in protocols
        )

    return query
