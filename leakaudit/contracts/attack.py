"""The contract of an attack: an observation in, a reconstruction out, neither of them trusted."""

from __future__ import annotations

import abc
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from inspect import signature
from typing import Any, ClassVar, final

import torch

from leakaudit.capabilities import Capability
from leakaudit.contracts.attack_facts import AttackFacts, Work
from leakaudit.contracts.messages import Recovers
from leakaudit.contracts.observation import Observation
from leakaudit.errors import CellError, NotGranted
from leakaudit.randomness import generator_for
from leakaudit.records import Citation, ReleasedTensor
from leakaudit.types import Images

Progress = Callable[[int, int], None]


@final
@dataclass(frozen=True, kw_only=True)
class Reconstruction:
    """The result of an attack.

    Args:
        images: ``(victims, modalities, *spatial)``, values in [0, 1]; of an attack that recovers
            masks the probability of tumour, ``(victims, 1, *spatial)``, of one that recovers
            other sites' images their modalities alone; of one that recovers identities the
            `scores` of the candidates.
        objective_first: the attack's own objective before its first step, mean over victims or, for
            an attack that learns, over slices of the adversary's own patients. It must fall, else
            an audit calls the attack not working.
        objective_last: the same objective, with the same randomness, at what is returned. An attack
            that learns has seen these slices in training: that it falls shows that it trained, not
            that it can be trusted.
        iterations: optimisation steps taken, training of a decoder included.
        notes: what a reader should know, one sentence each.
    """

    images: Images
    objective_first: float
    objective_last: float
    iterations: int
    notes: tuple[str, ...] = ()

    @classmethod
    def of_scores(
        cls, scores: torch.Tensor, *, iterations: int, notes: tuple[str, ...] = ()
    ) -> Reconstruction:
        """Return the result of an attack that recovers identities; it has no objective to lower.

        Args:
            scores: ``(victims, candidates)``, finite; the higher, the better a candidate fits what
                was released for that victim. Only their order within a victim counts.
            iterations: how often it asked about every candidate.
            notes: what a reader should know, one sentence each.
        """
        return cls(
            images=scores,
            objective_first=0.0,
            objective_last=0.0,
            iterations=iterations,
            notes=notes,
        )

    @property
    def scores(self) -> torch.Tensor:
        """The scores of an attack that recovers identities, ``(victims, candidates)``."""
        return self.images


@final
@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A checked `Reconstruction` and what it cost.

    Args:
        reconstruction: what the attack returned, checked.
        queries: samples that were sent through the functions of the `Observation`, or that came
            back through `exchange`.
        auxiliary_patients: how many patients of its own the adversary held.
    """

    reconstruction: Reconstruction
    queries: int
    auxiliary_patients: int


class Attack(abc.ABC):
    """An adversary: frozen, keyword-only dataclass whose fields are its whole configuration."""

    requires: ClassVar[frozenset[Capability]]
    # What a reader is told of it: what comes back, its class in NIST AI 100-2, the papers.
    recovers: ClassVar[Recovers] = "images"
    nist: ClassVar[str] = "data reconstruction"
    citations: ClassVar[tuple[Citation, ...]] = ()
    # A learned attack gets its pairs from the observation's queries, where a control can shuffle
    # them.
    learns_from_queries: ClassVar[bool] = False
    # It runs the defense on own patients and goes by no hint of the defense's that these do not
    # bear out; of another attack a figure is doubted where the hints do not hold.
    measures: ClassVar[bool] = False

    @abc.abstractmethod
    def run(
        self, observation: Observation, *, generator: torch.Generator, progress: Progress
    ) -> Reconstruction:
        """Reconstruct every victim's image from ``observation`` alone.

        Args:
            observation: what the threat model grants.
            generator: the only source of randomness.
            progress: call with (done, total) now and then; ``done`` grows, and ends at the
                iterations that are returned.
        """

    def needs(self) -> frozenset[Capability]:
        """The capabilities that this configuration requires; at least `requires`.

        Without activations, repeated releases or a transcript in it, `run` can read no release.
        """
        return self.requires

    def work(self) -> Work:
        """The work of one run of this configuration; it moves the estimate of a plan alone."""
        return Work()

    def shuffled(self) -> Attack:
        """The configuration that is trained on shuffled pairs as a control of the learned part.

        An attack that makes its pairs itself returns one that shuffles them itself.
        """
        return self

    def reads(self) -> ReleasedTensor | None:
        """The one released tensor that it reads; None for all that it is granted.

        An audit makes such an attack where that tensor crosses the cut. What it recovers counts as
        that of any attack, but says nothing of what an adversary who reads everything can do.
        """
        return None

    @final
    def learns(self) -> bool:
        """Whether it must be compared with the same attack trained on shuffled pairs."""
        return self.learns_from_queries or self.shuffled() != self

    @final
    def describe(self) -> str:
        """Describe the attack: what it does, recovers and knows, its papers, its configuration."""
        return AttackFacts.of(self).describe()

    @final
    def __call__(self, observation: Observation, *, seed: int, progress: Progress) -> Attempt:
        """Run the attack, which is not trusted, in this process and check what comes back.

        An audit runs it in a process of its own.

        Args:
            observation: what the threat model grants.
            seed: of all its randomness.
            progress: told (done, total) now and then.

        Raises:
            NotGranted: the threat model lacks a capability the attack requires, or grants images
                of candidate patients to an attack that does not recover identities.
            CellError: shape or range of the reconstruction is wrong, or a value is not finite.
        """
        return attempted(
            observation,
            name=type(self).__name__,
            needs=self.needs(),
            recovers=self.recovers,
            run=lambda counted: run_here(self, counted, seed, progress),
        )


def attempted(
    observation: Observation,
    *,
    name: str,
    needs: frozenset[Capability],
    recovers: Recovers,
    run: Callable[[Observation], Reconstruction],
) -> Attempt:
    """Let an attack run, wherever it does, and check what comes back.

    An attack that requires no releases is shown none, even where they are granted.

    Args:
        observation: what the threat model grants.
        name: of the attack, for messages.
        needs: what it requires.
        recovers: what comes back.
        run: runs it on an observation whose queries are counted.

    Raises:
        NotGranted: the threat model lacks a capability the attack requires, or grants images
            of candidate patients to an attack that does not recover identities.
        CellError: shape or range of the reconstruction is wrong, or a value is not finite.
    """
    missing = needs - observation.granted
    if missing:
        raise NotGranted(
            f"{name} needs {', '.join(sorted(missing))}, which threat model "
            f"{observation.threat!r} does not grant"
        )
    if Capability.CANDIDATES in observation.granted and recovers != "identities":
        raise NotGranted(
            f"{name} recovers {recovers}; threat model "
            f"{observation.threat!r} shows images of the victims among its candidates, so only "
            "an attack that recovers identities may run under it"
        )
    counter = _QueryCounter(observation.for_needs(needs))
    result = run(counter.observation)
    _check(result, observation.layout.shape_of(recovers), recovers)
    auxiliary = 0
    if Capability.AUXILIARY_PATIENTS in observation.granted:
        auxiliary = int(observation.auxiliary.patient.unique().numel())
    return Attempt(
        reconstruction=replace(result, images=_kept(result.images, recovers)),
        queries=counter.samples,
        auxiliary_patients=auxiliary,
    )


def run_here(
    attack: Attack, observation: Observation, seed: int, progress: Progress
) -> Reconstruction:
    """Run an attack in this process; nothing of what comes back is checked."""
    return attack.run(observation, generator=generator_for(seed, "attack"), progress=progress)


class _QueryCounter:
    """Counts the samples that an attack sends or receives through the observation's functions."""

    def __init__(self, observation: Observation) -> None:
        self.samples = 0
        held = {each: self._counted(each, observation._get(each)) for each in observation.granted}
        self.observation = Observation(
            threat=observation.threat, layout=observation.layout, held=held
        )

    def _counted(self, capability: Capability, value: Any) -> object:
        how = capability.row.asked
        if how in (None, "uncounted"):
            return value
        parameters = signature(value)

        def counted(*arguments: object, **named: object) -> Any:
            call = parameters.bind(*arguments, **named)
            if how == "images sent":
                self.samples += len(call.args[0])
            answer = value(*call.args, **call.kwargs)
            if how == "slices received":
                self.samples += len(answer[0][0])
            return answer

        return counted


def _kept(images: torch.Tensor, recovers: Recovers) -> torch.Tensor:
    """On the CPU; scores in float64, in which log-likelihoods of many values still differ."""
    return images.detach().to("cpu", torch.float64 if recovers == "identities" else torch.float32)


def _check(result: Reconstruction, shape: tuple[int, ...], recovers: Recovers) -> None:
    images = result.images.detach()
    if tuple(images.shape) != shape:
        raise CellError(f"the attack returned shape {tuple(images.shape)}, expected {shape}")
    if not bool(torch.isfinite(images).all()):
        raise CellError("the attack returned values that are not finite")
    objective = result.objective_first, result.objective_last
    if not all(math.isfinite(value) for value in objective):
        raise CellError(f"the attack's own objective went from {objective[0]} to {objective[1]}")
    if recovers == "identities":
        return
    low, high = float(images.min()), float(images.max())
    if low < -1e-6 or high > 1 + 1e-6:
        raise CellError(f"the attack returned values in [{low:.3g}, {high:.3g}], expected [0, 1]")
