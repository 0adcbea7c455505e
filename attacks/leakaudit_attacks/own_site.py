"""A curious data site: what its own images and what comes back to it say of what it lacks."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import ClassVar, final

import torch

from leakaudit.api import (
    Attack,
    AuxiliaryPatients,
    Capability,
    Images,
    Levels,
    Masks,
    Observation,
    Progress,
    Reconstruction,
    SystemLayout,
    require_between,
)
from leakaudit_attacks.cut_gradients import examples, scaled
from leakaudit_attacks.decoding import Pairs, fit, fresh_decoder, integer


@dataclass(frozen=True, kw_only=True)
class OwnSiteInversion(Attack):
    """A network from a site's own images and returned cut gradients to what it lacks; abstract.

    Learned on the site's own patients, which it enrols in training, with the defence on. What the
    same network finds where every gradient is zero, from the own images alone, is its floor.

    Args:
        steps: training steps.
        batch_size: slices per step.
        width: channels of the network.
        learning_rate: peak of a one-cycle schedule.
        examples: slices of its own patients, mirrored ones included, that it enrols at most.
    """

    steps: int = 200
    batch_size: int = 8
    width: int = 32
    learning_rate: float = 4e-3
    examples: int = 200

    requires: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.OWN_MODALITIES,
            Capability.OWN_CUT_GRADIENTS,
            Capability.OWN_GRADIENT_QUERIES,
            Capability.AUXILIARY_PATIENTS,
        }
    )
    learns_from_queries: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check the configuration.

        Raises:
            ConfigError: a value is outside its range.
        """
        require_between(self, 1, 1_000_000, "steps", "batch_size", "width", "examples")
        require_between(self, 1e-12, 1e6, "learning_rate")

    @abc.abstractmethod
    def wanted(self, images: Images, masks: Masks, layout: SystemLayout) -> torch.Tensor:
        """What is to be recovered, of slices of its own patients: ``(N, channels, *spatial)``."""

    @abc.abstractmethod
    def loss(self, found: Images, wanted: Images) -> torch.Tensor:
        """What is minimised, over all images together."""

    @final
    def run(
        self, observation: Observation, *, generator: torch.Generator, progress: Progress
    ) -> Reconstruction:
        """Enrol the own patients, learn, apply to what came back for the victims."""
        layout, auxiliary = observation.layout, observation.auxiliary
        own = examples(
            auxiliary,
            self.examples,
            lambda image, mask: [
                (levels,) for levels in observation.query_own_gradients(image, mask, generator)
            ],
            generator,
        )
        observed = scaled([(levels,) for levels in observation.own_cut_gradients])
        numbers, given = _entering(layout, own.levels, _own(own.images, layout))
        decoder = fresh_decoder(
            dict(zip(numbers, (level.shape[1] for level in given), strict=True)),
            self.width,
            auxiliary,
            generator,
            base=self._usual(auxiliary, layout),
        )
        targets = self.wanted(own.images, own.masks, layout)

        def at(index: torch.Tensor) -> Pairs:
            return tuple(level[index] for level in given), targets[index]

        def batch() -> Pairs:
            drawn = [integer(len(targets), generator) for _ in range(self.batch_size)]
            return at(torch.tensor(drawn, device=targets.device))

        few = torch.arange(min(len(targets), self.batch_size), device=targets.device)
        first, last = fit(
            decoder,
            batch,
            lambda: at(few),
            steps=self.steps,
            learning_rate=self.learning_rate,
            progress=progress,
            loss=self.loss,
        )
        with torch.no_grad():
            found = decoder(_entering(layout, observed, observation.own_images)[1])
        return Reconstruction(
            images=found, objective_first=first, objective_last=last, iterations=self.steps
        )

    def _usual(self, auxiliary: AuxiliaryPatients, layout: SystemLayout) -> torch.Tensor:
        """The mean over the middle slices of its own patients."""
        assert auxiliary.masks is not None  # the examples were made with them
        middle = auxiliary.middle.to(auxiliary.images.device)
        wanted = self.wanted(auxiliary.images[middle], auxiliary.masks[middle], layout)
        return wanted.mean(dim=0, keepdim=True)


def _own(images: Images, layout: SystemLayout) -> torch.Tensor:
    held = [index for index in range(images.shape[1]) if index not in layout.foreign]
    return images[:, held]


def _entering(layout: SystemLayout, levels: Levels, own: Images) -> tuple[list[int], Levels]:
    """The own images enter at the resolution of an image, with level 0 if that crosses."""
    by_number = dict(zip(layout.crossing, levels, strict=True))
    by_number[0] = torch.cat([by_number[0], own], dim=1) if 0 in by_number else own
    numbers = sorted(by_number)
    return numbers, tuple(by_number[number] for number in numbers)
