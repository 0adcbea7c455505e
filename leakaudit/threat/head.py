"""The U-shaped variant: what the server between the two cuts sends and gets back for a slice."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import torch

from leakaudit.contracts import HeadMessages, HeadQuery
from leakaudit.data import Patient
from leakaudit.randomness import generator_for
from leakaudit.target.loss import segmentation_loss
from leakaudit.target.parties import BodySite, HeadSite
from leakaudit.target.protocol import Protocol
from leakaudit.threat.own_site import Returned, shown
from leakaudit.threat.system import System, checkpoint_name, drawn, images_of, masks_of
from leakaudit.types import Images, Masks


def head_messages(
    system: System,
    victims: Sequence[Patient],
    returned: Returned,
    epochs: Sequence[int] | None = None,
) -> tuple[HeadMessages, ...]:
    """Per epoch what crossed the second cut for each victim's middle slice, a batch of its own."""
    found = []
    for epoch in system.observed(epochs):
        parties = _parties(system, epoch)
        each = [
            _step(
                system,
                parties,
                images_of(one)[one.middle : one.middle + 1],
                masks_of(one)[one.middle : one.middle + 1],
                system.draws,
                (checkpoint_name(system, epoch), one.id),
            )
            for one in victims
        ]
        features, gradients = (torch.cat(part) for part in zip(*each, strict=True))
        found.append(HeadMessages(features=features, gradients=shown(gradients, returned)))
    return tuple(found)


def head_query(
    system: System, returned: Returned, epochs: Sequence[int] | None = None
) -> HeadQuery:
    """Answers `Observation.query_head`; with gradients of zero if nothing is returned."""
    parties = [(epoch, _parties(system, epoch)) for epoch in system.observed(epochs)]

    def query(images: Images, masks: Masks, generator: torch.Generator) -> tuple[HeadMessages, ...]:
        seed = int(drawn(2**62, 1, generator))
        answers = []
        for epoch, each in parties:
            steps = [
                _step(
                    system,
                    each,
                    images[index : index + 1],
                    masks[index : index + 1],
                    seed,
                    (checkpoint_name(system, epoch), index),
                )
                for index in range(len(images))
            ]
            features, gradients = (torch.cat(part) for part in zip(*steps, strict=True))
            if returned == "nothing":
                gradients = torch.zeros_like(gradients)
            answers.append(HeadMessages(features=features, gradients=gradients))
        return tuple(answers)

    return query


_Parties = tuple[Protocol, BodySite, HeadSite]


def _parties(system: System, epoch: int) -> _Parties:
    """Copies, on which gradients leave no trace."""
    network = deepcopy(system.after(epoch)).to(system.device)
    protocol = Protocol(network, system.defense)
    head = HeadSite(network.server, segmentation_loss(), system.defense)
    return protocol, BodySite(network.server), head


def _step(
    system: System,
    parties: _Parties,
    images: Images,
    masks: Masks,
    seed: int,
    labels: tuple[object, ...],
) -> tuple[torch.Tensor, torch.Tensor]:
    """The features that the server sends and the gradient that returns, for one batch."""
    protocol, body, head = parties
    views = images.to(system.device).split(list(system.network.spec.channels), dim=1)
    with torch.no_grad():  # nothing comes back to the sites here
        messages = protocol.send(views, seed, *labels)
    sent = body.forward(messages)
    draw = generator_for(seed, "returned", *labels)
    _, answer = head.step(sent, masks.to(system.device), draw)
    return sent.tensor, answer.tensor
