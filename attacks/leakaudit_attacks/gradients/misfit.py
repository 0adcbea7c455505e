"""How far a candidate's weight gradients are from those that were observed."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from copy import copy, deepcopy
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal, final

import torch
from torch.func import functional_call, vmap

from leakaudit.api import (
    Attack,
    Capability,
    Images,
    Observation,
    Progress,
    Reconstruction,
    SiteLevels,
    Work,
    require_between,
)
from leakaudit_attacks.optimising.engine import (
    Found,
    Objective,
    StepRule,
    best_of,
    differentiable_once,
    search,
)

Distance = Literal["cosine", "squared"]

# Slices whose graphs are in memory at a time.
_TOGETHER = 8


@final
class GradientMatch:
    """Distance between a candidate's weight gradients and the observed ones at one checkpoint.

    The cut gradient is known, so that the label site's network needs not be simulated. The defense
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
            observation: with weight gradients, cut gradients, encoders and the defense.
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
        self.observed = [torch.stack(each) for each in zip(*release.gradients, strict=True)]
        self.returned: SiteLevels = observation.cut_gradients[checkpoint]
        self.seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))

    def __call__(self, images: Images, step: int) -> torch.Tensor:
        """One value for each of ``(restarts * victims, gradient_batch * M, *spatial)``."""
        victims = torch.tensor(self.victims, device=images.device)
        victims = victims.repeat(len(images) // len(victims))
        some = max(1, _TOGETHER // self.layout.gradient_batch)
        parts = [
            self._known(candidates, whose, step)
            for candidates, whose in zip(images.split(some), victims.split(some), strict=True)
        ]
        return torch.cat(parts)

    def alone(self, victim: int) -> GradientMatch:
        """Restrict the match to candidates of one victim."""
        one = copy(self)
        one.victims = self.victims[victim : victim + 1]
        return one

    def _known(self, images: Images, victims: torch.Tensor, step: int) -> torch.Tensor:
        """Distances with their slopes at the images; the graphs of all would fill the memory."""
        here = images.detach().requires_grad_()
        distances = self._distances(here, victims, step)
        (slopes,) = torch.autograd.grad(distances.sum(), here)
        return differentiable_once(distances.detach(), images, slopes)

    def _distances(self, images: Images, victims: torch.Tensor, step: int) -> torch.Tensor:
        gradients = self._gradients(images, victims, step)
        observed = [each[victims] for each in self.observed]
        if self.distance == "squared":
            apart = [a - b for a, b in zip(gradients, observed, strict=True)]
            return _dot(apart, apart) / _square(observed)
        cosine = _dot(gradients, observed) / (_square(gradients).sqrt() * _square(observed).sqrt())
        return 1 - cosine

    def _gradients(
        self, images: Images, victims: torch.Tensor, step: int
    ) -> tuple[torch.Tensor, ...]:
        """Per parameter the gradient that each batch causes, ``(candidates, *parameter)``."""
        draws = torch.Generator().manual_seed((self.seed + step + 1) % 2**62)
        size, count = self.layout.gradient_batch, len(images)
        caused = images.new_zeros(())
        every: list[torch.Tensor] = []
        for encoder, view, returned in zip(
            self.encoders, self.layout.views(slices_of(images, size)), self.returned, strict=True
        ):
            # Each candidate has weights of its own, so that one pass tells their gradients apart.
            copies = {
                name: parameter.expand(count, *parameter.shape).contiguous()
                for name, parameter in encoder.named_parameters()
            }
            every += copies.values()
            batches = view.unflatten(0, (count, size))
            levels = vmap(partial(functional_call, encoder))(copies, batches)
            # Every candidate meets the same draw, beside any other victims.
            drawn = self.defense.draw(tuple(level[0] for level in levels), draws)
            alike = tuple(each.repeat(count, *[1] * (each.ndim - 1)) for each in drawn)
            released = self.defense.apply(tuple(level.flatten(0, 1) for level in levels), alike)
            for level, gradient in zip(released, returned, strict=True):
                wanted = gradient.unflatten(0, (-1, size))[victims].flatten(0, 1)
                caused = caused + (level * wanted).sum()
        return torch.autograd.grad(caused, every, create_graph=True, materialize_grads=True)


def _dot(first: Sequence[torch.Tensor], second: Sequence[torch.Tensor]) -> torch.Tensor:
    """Per candidate the inner product over all tensors together."""
    parts = [(a * b).flatten(1).sum(dim=1) for a, b in zip(first, second, strict=True)]
    return torch.stack(parts).sum(dim=0)


def slices_of(batches: torch.Tensor, size: int) -> Images:
    """``(B, size * M, *spatial)`` as ``(B * size, M, *spatial)``: every slice of every batch."""
    slices: torch.Tensor = batches.unflatten(1, (size, -1)).flatten(0, 1)
    return slices


def _square(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """Per candidate the squared norm of all tensors together, at least 1e-24."""
    return _dot(tensors, tensors).clamp_min(1e-24)


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

    def work(self) -> Work:
        """The work of one run."""
        return Work(passes=self.iterations)

    @abc.abstractmethod
    def objective(
        self, observation: Observation, checkpoint: int, generator: torch.Generator
    ) -> Objective:
        """Return the objective that is minimised at one checkpoint."""

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
                    f"{count} of {len(best)} victims: of all checkpoints' candidates that from "
                    f"{name!r} matches best and is kept."
                    for name, count in zip(names, counts, strict=True)
                    if count
                ),
                *_caveats(found),
            ),
        )


def _caveats(found: Found) -> Iterator[str]:
    stuck = int((~(found.last < found.first)).sum())
    if stuck:
        yield f"The objective of {stuck} of {len(found.last)} victims did not fall."


def gradient_device(observation: Observation) -> torch.device:
    """Where the observed gradients are."""
    return observation.weight_gradients[0].gradients[0][0].device


def _shifted(progress: Progress, offset: int, total: int, done: int, _: int) -> None:
    progress(offset + done, total)
