"""A training whose label site returns what it likes: the malicious server's side of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import final

import torch

from leakaudit.data import Patient
from leakaudit.errors import CellError
from leakaudit.randomness import generator_for
from leakaudit.target.parties import CutGradients, DataSite
from leakaudit.target.private_party import Records
from leakaudit.target.protocol import Protocol, sent_by
from leakaudit.target.training import build
from leakaudit.threat.system import System, images_of
from leakaudit.types import SiteLevels


@final
class HijackedTraining:
    """Answers `Observation.exchange`: the sites' half of a training from its first step.

    The sites keep to the protocol: they take one Adam step by the gradients that return, and send
    the next batch of training slices, the defense on.
    """

    def __init__(
        self,
        begin: Callable[[], Sequence[DataSite]],
        victims: Sequence[torch.Tensor],
        slices: Sequence[torch.Tensor],
        *,
        batch_size: int,
        learning_rate: float,
        seed: int,
    ) -> None:
        """Prepare the sites.

        Args:
            begin: builds every site anew, the same each time, where it computes.
            victims: per site its images of what is released on demand.
            slices: per site its images of what makes the batches, in the same order.
            batch_size: slices of a batch, or all there are.
            learning_rate: of every site's Adam, always the same.
            seed: of the order of slices and of the defense.

        Raises:
            CellError: there is no training slice.
        """
        if not len(slices[0]):
            raise CellError("a hijacked training needs tumour-bearing slices of training patients")
        self._build, self._victims, self._slices = begin, tuple(victims), tuple(slices)
        self._batch_size = min(batch_size, len(slices[0]))
        self._learning_rate, self._seed = learning_rate, seed
        self._begin()

    @classmethod
    def of(
        cls, system: System, victims: Sequence[Patient], training: Iterable[Patient]
    ) -> HijackedTraining:
        """Prepare the hijacked training of an audited system.

        Batch size and learning rate are those of the audited training, without its schedule:
        nobody but the label site knows when it ends.

        Args:
            system: whose architecture, defense and seed the sites have; its weights are not used.
            victims: whose middle slices are released on demand.
            training: whose tumour-bearing slices make the batches.

        Raises:
            CellError: there is no training slice.
        """
        spec = system.network.spec

        def begin() -> Sequence[DataSite]:
            network = build(spec, system.seed, system.defense).to(system.device)
            return Protocol(network, system.defense).sites

        def views(images: Sequence[torch.Tensor]) -> Sequence[torch.Tensor]:
            together = torch.cat([*images]) if images else torch.empty(0, sum(spec.channels))
            return tuple(together.split(list(spec.channels), dim=1))

        return cls(
            begin,
            views([images_of(one)[one.middle : one.middle + 1] for one in victims]),
            views([images_of(one)[list(one.tumour_slices)] for one in training]),
            batch_size=system.settings.batch_size,
            learning_rate=system.settings.learning_rate,
            seed=system.draws,
        )

    def _begin(self) -> None:
        self._sites = self._build()
        self._optimizers = [
            torch.optim.Adam(
                [
                    *site.encoder.parameters(),
                    *(each for one in site.companions.values() for each in one.parameters()),
                ],
                self._learning_rate,
            )
            for site in self._sites
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
        views = self._victims if of_victims else self._batch()
        self._sent += 1
        there = [
            view.to(next(site.encoder.parameters()).device)
            for site, view in zip(self._sites, views, strict=True)
        ]
        messages = sent_by(self._sites, there, self._seed, "hijacked", self._sent)
        return tuple(message.levels for message in messages)

    def _learn(self, gradients: SiteLevels) -> None:
        if not self._waiting:
            raise CellError("gradients were returned, but the sites sent no batch before")
        for site, optimizer, levels in zip(self._sites, self._optimizers, gradients, strict=True):
            optimizer.zero_grad(set_to_none=True)
            try:
                generator = generator_for(self._seed, "hijacked update", self._sent)
                site.backward(CutGradients(levels), Records(None, generator))
            except RuntimeError as error:
                raise CellError(f"the returned gradients fit no release: {error}") from error
            optimizer.step()

    def _batch(self) -> Sequence[torch.Tensor]:
        count, size = len(self._slices[0]), self._batch_size
        epoch, step = divmod(self._sent, count // size)
        order = torch.randperm(count, generator=generator_for(self._seed, "hijacked order", epoch))
        chosen = order[step * size : (step + 1) * size]
        return [view[chosen] for view in self._slices]
