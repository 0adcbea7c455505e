"""The updates that federated averaging sends: how far several local steps move the encoders."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import torch

from leakaudit.contracts import GradientRelease, UpdateQuery
from leakaudit.data import Patient
from leakaudit.target.protocol import Protocol
from leakaudit.threat.gradients import Companions, batch_of, batches_asked, pool_of
from leakaudit.threat.system import System, checkpoint_name, drawn, frozen
from leakaudit.types import Images, Masks


def updates_of(
    system: System,
    victims: Sequence[Patient],
    companions: Companions | None,
    steps: int,
    epochs: Sequence[int] | None = None,
) -> tuple[GradientRelease, ...]:
    """Per epoch and victim the movement of all encoders' weights in a round on its batch."""
    return tuple(
        GradientRelease(
            checkpoint=checkpoint_name(system, epoch),
            encoders=frozen(system.after(epoch).encoders),
            gradients=tuple(
                _moved(
                    system,
                    epoch,
                    *batch_of(one, system.draws, checkpoint_name(system, epoch), companions),
                    steps,
                    system.draws,
                    one.id,
                )
                for one in victims
            ),
        )
        for epoch in system.observed(epochs)
    )


def update_query(
    system: System,
    companions: Companions | None,
    steps: int,
    shuffle: Sequence[Patient] | None,
    epochs: Sequence[int] | None = None,
) -> UpdateQuery:
    """Answers `Observation.query_updates`, with random slices of ``shuffle`` if given."""
    size = companions.batch if companions else 1
    pool = pool_of(shuffle) if shuffle else None

    def query(
        images: Images, masks: Masks, generator: torch.Generator
    ) -> tuple[tuple[tuple[torch.Tensor, ...], ...], ...]:
        images, masks = batches_asked(images, masks, size, pool, generator)
        seed = int(drawn(2**62, 1, generator))
        return tuple(
            tuple(
                _moved(system, epoch, image, mask, steps, seed, number)
                for number, (image, mask) in enumerate(
                    zip(images.split(size), masks.split(size), strict=True)
                )
            )
            for epoch in system.observed(epochs)
        )

    return query


def _moved(
    system: System,
    epoch: int,
    images: Images,
    masks: Masks,
    steps: int,
    seed: int,
    label: object,
) -> tuple[torch.Tensor, ...]:
    """One round: every party takes ``steps`` steps of a fresh optimizer on the same batch."""
    network = deepcopy(system.after(epoch)).to(system.device)
    before = [parameter.detach().clone() for parameter in network.encoders.parameters()]
    protocol = Protocol(network, system.defense)
    views = images.to(system.device).split(list(system.network.spec.channels), dim=1)
    optimizer = torch.optim.Adam(network.parameters(), system.settings.learning_rate)
    for step in range(steps):
        optimizer.zero_grad(set_to_none=True)
        protocol.backward(
            views,
            masks.to(system.device),
            seed,
            "round",
            checkpoint_name(system, epoch),
            label,
            step,
        )
        optimizer.step()
    after = network.encoders.parameters()
    return tuple(one.detach() - was for one, was in zip(after, before, strict=True))
