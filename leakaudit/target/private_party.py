"""A party that learns from clipped and noised gradients alone (DP-SGD)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import nn

from leakaudit.contracts import Defense
from leakaudit.errors import CellError
from leakaudit.target.effects import Effects
from leakaudit.target.per_sample import PerSampleGradients


@final
@dataclass(frozen=True)
class Records:
    """The patients of a step's samples, and its randomness.

    Args:
        patients: which patient each sample belongs to, ``(B,)``; each its own if None.
        generator: of the noise.
    """

    patients: torch.Tensor | None
    generator: torch.Generator


@final
class PrivateParty:
    """Turns what a backward pass leaves in a network into what its defense lets it learn.

    Reference: Abadi et al. 2016 (arXiv:1607.00133), algorithm 1, with the gradients of one
    patient's samples added up before they are clipped, so that the record is the patient.
    """

    def __init__(self, network: nn.Module, defense: Defense, part: int) -> None:
        """Serve one network.

        Args:
            network: of the party.
            defense: the part of the defense that privatizes it.
            part: its index in the whole defense.
        """
        self._network = network
        self._defense = defense
        self._part = part
        self._listening: PerSampleGradients | None = None

    @classmethod
    def of(cls, network: nn.Module, defense: Defense, party: str) -> PrivateParty | None:
        """The party's, or None where no part of the defense privatizes it."""
        for index, part in enumerate(defense.parts):
            if part.privatizes(party):
                return cls(network, part, index)
        return None

    def listen(self) -> None:
        """Record per-sample gradients from here to `learned`."""
        # The hooks record in training mode alone; none of its layers behaves differently there.
        self._network.train()
        if self._listening is not None:  # to a forward pass that was never answered
            self._listening.close()
        self._listening = PerSampleGradients(self._network)

    def learned(
        self, batch: int, records: Records | None, watch: Effects | None
    ) -> tuple[torch.Tensor, ...]:
        """Return the update of the party: the defense's sum over records, by samples of the batch.

        Args:
            batch: samples in the step.
            records: whose they are, and the randomness.
            watch: sees what was done.

        Raises:
            CellError: nothing was recorded, or it was not said whose samples they are.
        """
        if self._listening is None or records is None:
            raise CellError("a private step needs a forward pass that was listened to, and records")
        samples = self._listening.take(batch)
        self._listening.close()
        self._listening = None
        gradients = _by_patient(samples, records.patients)
        drawn = self._defense.draw_update(tuple(self._network.parameters()), records.generator)
        applied = self._defense.apply_update(gradients, drawn)
        if watch is not None and watch.looking:
            watch.update(self._part, gradients, applied)
        return tuple(tensor / batch for tensor in applied)


def _by_patient(
    samples: tuple[torch.Tensor, ...], patients: torch.Tensor | None
) -> tuple[torch.Tensor, ...]:
    if patients is None:
        return samples
    names, index = torch.unique(patients, return_inverse=True)
    return tuple(
        one.new_zeros(len(names), *one.shape[1:]).index_add_(0, index.to(one.device), one)
        for one in samples
    )
