"""A curious data site: what its own images and what comes back to it say of what it lacks."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import ClassVar, final

import torch

from leakaudit.api import (
    AuxiliaryPatients,
    Capability,
    Images,
    Levels,
    Masks,
    Observation,
    Progress,
    Reconstruction,
    SystemLayout,
)
from leakaudit_attacks.decoding.cut_gradients import LearnsFromExamples, examples, scaled
from leakaudit_attacks.decoding.decoder import fresh_decoder


@dataclass(frozen=True, kw_only=True)
class OwnSiteInversion(LearnsFromExamples):
    """A network from a site's own images and returned cut gradients to what it lacks; abstract.

    Learned on the site's own patients, which it enrols in training, with the defense on. What the
    same network finds where every gradient is zero, from the own images alone, is its floor.
    """

    steps: int = 200

    requires: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.OWN_MODALITIES,
            Capability.OWN_CUT_GRADIENTS,
            Capability.OWN_GRADIENT_QUERIES,
            Capability.AUXILIARY_PATIENTS,
        }
    )

    @abc.abstractmethod
    def wanted(self, images: Images, masks: Masks, layout: SystemLayout) -> torch.Tensor:
        """Return the target for slices of its own patients: ``(N, channels, *spatial)``."""

    @abc.abstractmethod
    def loss(self, found: Images, wanted: Images) -> torch.Tensor:
        """Return the loss that is minimised, over all images together."""

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
            deepest=max(numbers),
        )
        targets = self.wanted(own.images, own.masks, layout)
        first, last = self.learn(decoder, given, targets, generator, progress, self.loss)
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
