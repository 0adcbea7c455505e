"""The gradients that training sends for a batch: of the victims, and of patients in queries."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import final

import torch

from leakaudit.contracts import GradientMessages, GradientQuery, GradientRelease
from leakaudit.data import Patient
from leakaudit.errors import CellError
from leakaudit.randomness import generator_for
from leakaudit.target.protocol import Protocol
from leakaudit.threat.releasing import together
from leakaudit.threat.system import System, checkpoint_name, drawn, frozen, images_of, masks_of
from leakaudit.types import Images, Masks, SiteLevels


@final
@dataclass(frozen=True, kw_only=True)
class Companions:
    """The patients who fill the batches whose gradients are observed.

    Args:
        batch: slices of a batch, the victim's included.
        patients: of the training set, none of them a victim: with a second victim in a batch its
            gradient would be evidence of both.
    """

    batch: int
    patients: Sequence[Patient]

    def of(self, victim: Patient, seed: int, checkpoint: str) -> tuple[Images, Masks]:
        """The other slices of a victim's batch, drawn anew at each checkpoint, as epochs shuffle.

        Raises:
            CellError: the patients have too few slices that bear a tumour, which training uses.
        """
        pool = [(p, index) for p in self.patients for index in p.tumour_slices]
        wanted = self.batch - 1
        if len(pool) < wanted:
            raise CellError(
                f"a gradient batch of {self.batch} needs {wanted} slices of training patients who "
                f"are not victims; there are {len(pool)}: gradient_batch can be {len(pool) + 1}"
            )
        generator = generator_for(seed, "companions", checkpoint, victim.id)
        chosen = [pool[i] for i in torch.randperm(len(pool), generator=generator)[:wanted].tolist()]
        return (
            torch.stack([images_of(patient)[index] for patient, index in chosen]),
            torch.stack([masks_of(patient)[index] for patient, index in chosen]),
        )


def gradients_of(
    system: System,
    victims: Sequence[Patient],
    companions: Companions | None,
    epochs: Sequence[int] | None = None,
) -> tuple[tuple[GradientRelease, ...], tuple[SiteLevels, ...]]:
    """Weight and cut gradients of each victim's batch after each of ``epochs``.

    Without any, before training and at its end.
    """
    weight: list[GradientRelease] = []
    cut: list[SiteLevels] = []
    for epoch, protocol in _protocols(system, epochs):
        checkpoint = checkpoint_name(system, epoch)
        labels = [(checkpoint, patient.id) for patient in victims]
        slices = [batch_of(patient, system.draws, checkpoint, companions) for patient in victims]
        images, masks = (torch.cat(each) for each in zip(*slices, strict=True))
        sent = _messages(system, protocol, images, masks, system.draws, labels)
        weight.append(
            GradientRelease(
                checkpoint=checkpoint,
                encoders=frozen(system.after(epoch).encoders),
                gradients=sent.weights,
            )
        )
        cut.append(sent.cut)
    return tuple(weight), tuple(cut)


def batch_of(
    victim: Patient, seed: int, checkpoint: str, companions: Companions | None
) -> tuple[Images, Masks]:
    """The victim's middle slice, and after it its companions'."""
    middle = slice(victim.middle, victim.middle + 1)
    own = images_of(victim)[middle], masks_of(victim)[middle]
    if companions is None or companions.batch == 1:
        return own
    others = companions.of(victim, seed, checkpoint)
    return torch.cat([own[0], others[0]]), torch.cat([own[1], others[1]])


def _protocols(system: System, epochs: Sequence[int] | None) -> tuple[tuple[int, Protocol], ...]:
    """The parties after each epoch; copies, on which gradients leave no trace."""
    return tuple(
        (epoch, Protocol(deepcopy(system.after(epoch)).to(system.device), system.defense))
        for epoch in system.observed(epochs)
    )


def _messages(
    system: System,
    protocol: Protocol,
    images: Images,
    masks: Masks,
    seed: int,
    labels: Sequence[tuple[object, ...]],
) -> GradientMessages:
    """The gradients of as many batches as there are labels, of equally many slices in a row.

    What the defense draws for a batch is keyed by its label.
    """
    channels = list(system.network.spec.channels)
    size = len(images) // len(labels)
    sent, returned = [], []
    for index, label in enumerate(labels):
        one = slice(index * size, (index + 1) * size)
        views = images[one].to(system.device).split(channels, dim=1)
        answers, messages = protocol.splitfed_messages(
            views, masks[one].to(system.device), seed, *label
        )
        sent.append(tuple(tensor for message in messages for tensor in message.tensors))
        returned.append([answer.levels for answer in answers])
    return GradientMessages(weights=tuple(sent), cut=together(returned))


def gradient_query(
    system: System,
    companions: Companions | None,
    shuffle: Sequence[Patient] | None,
    epochs: Sequence[int] | None = None,
) -> GradientQuery:
    """Answers `Observation.query_gradients`, with random slices of ``shuffle`` if given."""
    protocols = _protocols(system, epochs)
    batch = companions.batch if companions else 1
    pool = pool_of(shuffle) if shuffle else None

    def query(
        images: Images, masks: Masks, generator: torch.Generator
    ) -> tuple[GradientMessages, ...]:
        images, masks = batches_asked(images, masks, batch, pool, generator)
        seed = int(drawn(2**62, 1, generator))
        numbers = range(len(images) // batch)
        return tuple(
            _messages(
                system,
                protocol,
                images,
                masks,
                seed,
                [(checkpoint_name(system, epoch), n) for n in numbers],
            )
            for epoch, protocol in protocols
        )

    return query


def pool_of(patients: Sequence[Patient]) -> tuple[Images, Masks]:
    """All their slices and masks."""
    return (
        torch.cat([images_of(patient) for patient in patients]),
        torch.cat([masks_of(patient) for patient in patients]),
    )


def batches_asked(
    images: Images,
    masks: Masks,
    size: int,
    pool: Sequence[torch.Tensor] | None,
    generator: torch.Generator,
) -> tuple[Images, Masks]:
    """Return the slices that a query is answered about: as asked, or random ones of ``pool_of``.

    Raises:
        CellError: they are not whole batches.
    """
    if not len(images) or len(images) % size:
        raise CellError(f"{len(images)} slices were asked about, in batches of {size}")
    if pool is None:
        return images, masks
    index = drawn(len(pool[0]), len(images), generator)
    return pool[0][index], pool[1][index]
