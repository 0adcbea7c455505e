"""How far a candidate's weight gradients are from those that were observed."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from copy import copy, deepcopy
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal, final

import torch

from leakaudit.api import (
    Attack,
    Capability,
    Images,
    Observation,
    Progress,
    Reconstruction,
    SiteLevels,
    require_between,
)
from leakaudit_attacks.engine import Found, Objective, StepRule, best_of, search

Distance = Literal["cosine", "squared"]


@final
class GradientMatch:
    """Distance between a candidate's weight gradients and the observed ones at one checkpoint.

    The cut gradient is known, so that the label site's network needs not be simulated. The defence
    is simulated with draws of the adversary's own, which are those of the step; what the victim's
    site drew is unknown.

    A candidate is a whole batch, its slices after one another along the axis of the modalities: the
    gradient is the sum over all of them, and the cut gradients say which place each has.
    """

    def __init__(
        self,
        observation: Observation,
        checkpoint: int,
        generator: torch.Generator,
        distance: Distance = "cosine",
    ) -> None:
        """Take one checkpoint of ``observation``.

        Args:
            observation: with weight gradients, cut gradients, encoders and the defence.
            checkpoint: index into ``observation.weight_gradients``.
            generator: source of the draws; step -1 always sees the same.
            distance: ``cosine``, 1 - cosine over all parameters together, 0 to 2; or ``squared``,
                the squared difference over the observed gradient's square.
        """
        release = observation.weight_gradients[checkpoint]
        self.distance = distance
        self.layout = observation.layout
        self.victims = range(observation.layout.victims)
        self.defense = observation.defense
        # Copies: the observation's own encoders keep their gradients off.
        self.encoders = [deepcopy(encoder).requires_grad_(True) for encoder in release.encoders]
        self.parameters = [p for encoder in self.encoders for p in encoder.parameters()]
        self.observed = release.gradients
        self.returned: SiteLevels = observation.cut_gradients[checkpoint]
        self.seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))

    def __call__(self, images: Images, step: int) -> torch.Tensor:
        """One value for each of ``(restarts * victims, gradient_batch * M, *spatial)``."""
        count = len(self.victims)
        distances = [
            self._known(images[index : index + 1], self.victims[index % count], step)
            for index in range(len(images))
        ]
        return torch.stack(distances)

    def alone(self, victim: int) -> GradientMatch:
        """The same for candidates of one victim only."""
        one = copy(self)
        one.victims = self.victims[victim : victim + 1]
        return one

    def _known(self, image: Images, victim: int, step: int) -> torch.Tensor:
        """The distance and its slope at the image; all candidates' graphs would fill the memory."""
        here = image.detach().requires_grad_()
        distance = self._distance(here, victim, step)
        (slope,) = torch.autograd.grad(distance, here)
        return distance.detach() + (slope * (image - here.detach())).sum()

    def _distance(self, image: Images, victim: int, step: int) -> torch.Tensor:
        draws = torch.Generator().manual_seed((self.seed + step + 1) % 2**62)
        size = self.layout.gradient_batch
        batch, mine = slices_of(image, size), slice(victim * size, (victim + 1) * size)
        caused = image.new_zeros(())
        for encoder, view, returned in zip(
            self.encoders, self.layout.views(batch), self.returned, strict=True
        ):
            released = self.defense.release(encoder(view), generator=draws)
            for level, gradient in zip(released, returned, strict=True):
                caused = caused + (level * gradient[mine]).sum()
        gradients = torch.autograd.grad(
            caused, self.parameters, create_graph=True, materialize_grads=True
        )
        observed = self.observed[victim]
        if self.distance == "squared":
            apart = [(a - b).square().sum() for a, b in zip(gradients, observed, strict=True)]
            return torch.stack(apart).sum() / _square(observed)
        dot = sum((a * b).sum() for a, b in zip(gradients, observed, strict=True))
        cosine = dot / (_square(gradients).sqrt() * _square(observed).sqrt())
        return torch.as_tensor(1 - cosine)


def slices_of(batches: torch.Tensor, size: int) -> Images:
    """``(B, size * M, *spatial)`` as ``(B * size, M, *spatial)``: every slice of every batch."""
    slices: torch.Tensor = batches.unflatten(1, (size, -1)).flatten(0, 1)
    return slices


def _square(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """Squared norm of all of them together, at least 1e-24."""
    return torch.stack([tensor.square().sum() for tensor in tensors]).sum().clamp_min(1e-24)


@dataclass(frozen=True, kw_only=True)
class GradientMatching(Attack):
    """An attack that matches weight gradients at every observed checkpoint; abstract.

    Knows the encoders, one batch's weight gradient and the cut gradients that caused it. The whole
    batch is searched for, and the victim's slice is what is returned. A preset says what is
    minimised (`objective`), from where (`starts`) and how (`rule`). Per victim the candidate with
    the lowest own objective is kept.

    Args:
        iterations: steps per checkpoint, all victims and restarts together.
        learning_rate: of the first step.
    """

    iterations: int = 100
    learning_rate: float = 0.02

    requires: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.WEIGHT_GRADIENTS,
            Capability.CUT_GRADIENTS,
            Capability.ENCODER_WEIGHTS,
            Capability.DEFENSE_PARAMETERS,
        }
    )

    def __post_init__(self) -> None:
        """Check the configuration.

        Raises:
            ConfigError: a value is outside its range.
        """
        require_between(self, 1, 1_000_000, "iterations")
        require_between(self, 1e-12, 1e6, "learning_rate")

    @abc.abstractmethod
    def objective(
        self, observation: Observation, checkpoint: int, generator: torch.Generator
    ) -> Objective:
        """What is minimised at one checkpoint."""

    @abc.abstractmethod
    def starts(self, observation: Observation, generator: torch.Generator) -> torch.Tensor:
        """Where the search for each slice starts, ``(restarts, victims, M, *spatial)``."""

    def rule(self) -> StepRule:
        """Adam with a cosine schedule unless a preset says otherwise."""
        return StepRule(learning_rate=self.learning_rate)

    @final
    def run(
        self, observation: Observation, *, generator: torch.Generator, progress: Progress
    ) -> Reconstruction:
        """Attack every checkpoint, keep each victim's best candidate."""
        names = [release.checkpoint for release in observation.weight_gradients]
        total = len(names) * self.iterations
        starts = self.starts(observation, generator)
        modalities = starts.shape[2]
        starts = torch.cat([starts] * observation.layout.gradient_batch, dim=2)
        searches = [
            search(
                self.objective(observation, index, generator),
                starts,
                self.rule(),
                iterations=self.iterations,
                progress=partial(_shifted, progress, index * self.iterations, total),
            )
            for index in range(len(names))
        ]
        found, best = best_of(searches)
        counts = torch.bincount(best.cpu(), minlength=len(names)).tolist()
        return Reconstruction(
            images=found.images[:, :modalities],
            objective_first=float(found.first.mean()),
            objective_last=float(found.last.mean()),
            iterations=total,
            notes=(
                *(
                    f"{count} of {len(best)} victims reconstructed from the checkpoint {name!r}."
                    for name, count in zip(names, counts, strict=True)
                ),
                *_caveats(observation, found),
            ),
        )


def _caveats(observation: Observation, found: Found) -> Iterator[str]:
    stuck = int((~(found.last < found.first)).sum())
    if stuck:
        yield f"The objective of {stuck} of {len(found.last)} victims did not fall."
    levels = observation.cut_gradients[0][0]
    if observation.defense.draw(levels, torch.Generator().manual_seed(0)):
        yield (
            "The defense is random, and what it drew for a victim is unknown: the attack matches "
            "with draws of its own, which weakens it."
        )


def gradient_device(observation: Observation) -> torch.device:
    """Where the observed gradients are."""
    return observation.weight_gradients[0].gradients[0][0].device


def _shifted(progress: Progress, offset: int, total: int, done: int, _: int) -> None:
    progress(offset + done, total)
