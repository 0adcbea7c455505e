"""A training whose label site returns what it likes: the malicious server's side of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import final

import torch

from leakaudit.data import Patient
from leakaudit.errors import CellError
from leakaudit.randomness import generator_for
from leakaudit.target.parties import CutGradients
from leakaudit.target.private_party import Records
from leakaudit.target.protocol import Protocol
from leakaudit.target.training import build
from leakaudit.threat.system import System, images_of
from leakaudit.types import Images, SiteLevels


@final
class HijackedTraining:
    """Answers `Observation.exchange`: the sites' half of a training from its first step.

    The sites keep to the protocol: they take one Adam step by whatever gradients return, and send
    the next batch of tumour-bearing training slices, the defence on. Batch size and learning rate
    are those of the audited training, without its schedule: nobody but the label site knows when
    it ends.
    """

    def __init__(
        self, system: System, victims: Sequence[Patient], training: Iterable[Patient]
    ) -> None:
        """Prepare the sites.

        Args:
            system: whose architecture, defence and seed the sites have; its weights are not used.
            victims: whose middle slices are released on demand.
            training: whose tumour-bearing slices make the batches.

        Raises:
            CellError: there is no training slice.
        """
        self._system = system
        self._victims = torch.cat([images_of(one)[one.middle : one.middle + 1] for one in victims])
        slices = [images_of(one)[list(one.tumour_slices)] for one in training]
        if not sum(map(len, slices)):
            raise CellError("a hijacked training needs tumour-bearing slices of training patients")
        self._slices = torch.cat(slices)
        self._begin()

    def _begin(self) -> None:
        network = build(self._system.network.spec, self._system.seed, self._system.defense)
        self._protocol = Protocol(network.to(self._system.device), self._system.defense)
        self._optimizers = [
            torch.optim.Adam(
                [
                    *site.encoder.parameters(),
                    *(each for one in site.companions.values() for each in one.parameters()),
                ],
                self._system.settings.learning_rate,
            )
            for site in self._protocol.sites
        ]
        self._sent = 0
        self._waiting = False

    def __call__(self, gradients: SiteLevels | None, of_victims: bool) -> SiteLevels:
        """One exchange; see `Observation.exchange`.

        Raises:
            CellError: gradients answer no batch, or have another shape than it.
        """
        if gradients is not None:
            self._learn(gradients)
        elif not of_victims:
            self._begin()
        self._waiting = not of_victims
        images = self._victims if of_victims else self._batch()
        views = images.to(self._system.device).split(
            list(self._system.network.spec.channels), dim=1
        )
        self._sent += 1
        messages = self._protocol.send(views, self._system.seed, "hijacked", self._sent)
        return tuple(message.levels for message in messages)

    def _learn(self, gradients: SiteLevels) -> None:
        if not self._waiting:
            raise CellError("gradients were returned, but the sites sent no batch before")
        for site, optimizer, levels in zip(
            self._protocol.sites, self._optimizers, gradients, strict=True
        ):
            optimizer.zero_grad(set_to_none=True)
            try:
                generator = generator_for(self._system.seed, "hijacked update", self._sent)
                site.backward(CutGradients(levels), Records(None, generator))
            except RuntimeError as error:
                raise CellError(f"the returned gradients fit no release: {error}") from error
            optimizer.step()

    def _batch(self) -> Images:
        count = len(self._slices)
        size = min(self._system.settings.batch_size, count)
        rounds = count // size
        epoch, step = divmod(self._sent, rounds)
        order = torch.randperm(
            count, generator=generator_for(self._system.seed, "hijacked order", epoch)
        )
        return self._slices[order[step * size : (step + 1) * size]]
