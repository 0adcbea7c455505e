"""What a plug-in and the core promise each other: declared here, filled elsewhere.

An attack turns an `Observation` into a `Reconstruction`. A defence turns the levels a site would
send into the levels that cross the cut. Neither sees the truth, and neither knows the other.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import ClassVar, NoReturn, final

import torch

from leakaudit.errors import CellError, ConfigError, NotGranted
from leakaudit.randomness import generator_for
from leakaudit.records import Citation
from leakaudit.types import Images, Levels, Masks, SiteLevels

Progress = Callable[[int, int], None]


class Capability(StrEnum):
    """One thing an adversary may hold; a threat model is a set of these."""

    ACTIVATIONS = "activations"
    REPEATED_RELEASES = "repeated-releases"
    CUT_GRADIENTS = "cut-gradients"
    ENCODER_WEIGHTS = "encoder-weights"
    ENCODER_ARCHITECTURE = "encoder-architecture"
    ENCODER_QUERIES = "encoder-queries"
    WEIGHT_GRADIENTS = "weight-gradients"
    GRADIENT_QUERIES = "gradient-queries"
    MASKS = "masks"
    OWN_MODALITIES = "own-modalities"
    AUXILIARY_PATIENTS = "auxiliary-patients"
    DEFENSE_PARAMETERS = "defense-parameters"
    ACTIVE_MANIPULATION = "active-manipulation"


# --- defences ---------------------------------------------------------------


@final
@dataclass(frozen=True, kw_only=True)
class PrivacyGuarantee:
    """What a defence claims, or why it claims nothing.

    Args:
        claimed: whether (epsilon, delta) is claimed for the releases of this run.
        epsilon: total per patient over all its releases; None if the mechanism has none.
        delta: the delta of the claim, in (0, 1).
        releases: how many releases of one patient are composed.
        mechanism: what was done, with its parameters, in words.
        assumptions: what must hold for the claim, one sentence each.
        reason: why nothing is claimed; empty if ``claimed``.
    """

    claimed: bool
    epsilon: float | None
    delta: float | None
    releases: int
    mechanism: str
    assumptions: tuple[str, ...]
    reason: str = ""


@final
@dataclass(frozen=True, kw_only=True)
class ReleaseSetting:
    """What a defence may know of the system before it is fixed; no private data.

    Args:
        sites: number of data sites.
        releases_per_patient: how often one inference patient's slices cross, passes x slices.
        auxiliary_levels: per site the undefended levels of auxiliary slices under the freshly
            initialised encoders.
    """

    sites: int
    releases_per_patient: int
    auxiliary_levels: SiteLevels


@final
@dataclass(frozen=True, kw_only=True)
class Evidence:
    """An estimate of `Defense.expected` and how far it can be trusted.

    Args:
        values: per level an estimate of each element.
        variances: per level the variance of the estimate's error, of the same shape; infinity
            where the release says nothing.
    """

    values: Levels
    variances: Levels


class Defense(abc.ABC):
    """What is done to the levels before they cross the cut.

    A subclass is a frozen, keyword-only dataclass; its fields are its whole configuration and its
    repr is its name in records. `release` is called once per site with the crossing levels and
    must treat every sample on its own.
    """

    # The papers that whoever uses this class cites.
    citations: ClassVar[tuple[Citation, ...]] = ()

    def fit(self, setting: ReleaseSetting) -> Defense:
        """Fix what depends on the system (a clip bound, say); called once, before training."""
        del setting
        return self

    @abc.abstractmethod
    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        """The randomness of one release, from `leakaudit.randomness`; empty if there is none."""

    @abc.abstractmethod
    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        """Apply an injected draw; differentiable in ``levels`` unless the class says otherwise."""

    @final
    def release(self, levels: Levels, *, generator: torch.Generator) -> Levels:
        """What crosses the cut.

        Args:
            levels: crossing levels of one site, shallow to deep, each ``(B, C, *spatial)``.
            generator: source of all randomness.

        Returns:
            Tensors of the same shapes.
        """
        return self.apply(levels, self.draw(levels, generator))

    def expected(self, levels: Levels) -> Levels:
        """What `evidence` estimates: the levels after all that the defence does without chance.

        An attack compares this, of its candidate's levels, with the evidence; differentiable.
        """
        return levels

    def evidence(self, released: Levels) -> Evidence:
        """What a release says about `expected` to an adversary who knows the defence.

        By Kerckhoffs's principle an attack may call this. The default takes the release at its
        word, which is right for a defence that changes nothing. A defence that draws randomness
        must say what it does (`adversary_is_told`), else attacks that ask fail to see through it.
        """
        return Evidence(
            values=released, variances=tuple(torch.zeros_like(level) for level in released)
        )

    @final
    def adversary_is_told(self, levels: Levels) -> bool:
        """Whether `evidence` is the defence's own, or nothing is random in releasing ``levels``.

        Args:
            levels: crossing levels of one site, shallow to deep, each ``(B, C, *spatial)``.
        """
        told = type(self).evidence is not Defense.evidence
        return told or not self.draw(levels, generator_for(0, "told"))

    def guarantee(self, releases: int, *, reproducible: bool) -> PrivacyGuarantee | None:
        """The privacy claim for one patient, or None for a defence that never makes one.

        Args:
            releases: releases of one patient that are composed.
            reproducible: whether the noise comes from a published seed, which voids any claim.
        """
        del releases, reproducible
        return None


# --- attacks ----------------------------------------------------------------


@final
@dataclass(frozen=True, kw_only=True)
class SystemLayout:
    """What everybody in the protocol knows about the system.

    Args:
        channels: modalities of each site.
        crossing: the levels that cross the cut, shallow to deep.
        features: channels of each level of a site's encoder.
        spatial: extents of an image in voxels.
        victims: how many images are to be reconstructed.
    """

    channels: tuple[int, ...]
    crossing: tuple[int, ...]
    features: tuple[int, ...]
    spatial: tuple[int, ...]
    victims: int

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape ``(victims, modalities, *spatial)`` of a reconstruction."""
        return (self.victims, sum(self.channels), *self.spatial)

    def views(self, images: Images) -> tuple[torch.Tensor, ...]:
        """Split ``(B, modalities, *spatial)`` into each site's own modalities."""
        return tuple(images.split(list(self.channels), dim=1))


@final
@dataclass(frozen=True, kw_only=True)
class AuxiliaryPatients:
    """The adversary's own patients, disjoint from training patients and victims.

    Args:
        images: all their slices, values in [0, 1].
        masks: their tumour masks ``(slices, *spatial)``, where the threat has a use for them; else
            None.
        patient: index of the patient each slice belongs to.
        middle: index of each patient's middle slice, where a victim is observed.
    """

    images: Images
    masks: Masks | None
    patient: torch.Tensor
    middle: torch.Tensor


@final
@dataclass(frozen=True, kw_only=True)
class GradientRelease:
    """Weight gradients as an aggregator receives them, at one training checkpoint.

    Args:
        checkpoint: ``"initialisation"`` or ``"final"``.
        encoders: every site's encoder with the weights of that checkpoint.
        gradients: per victim the gradients of all encoders' parameters of one batch that holds
            that victim's slice alone, site after site, in ``parameters()`` order.
    """

    checkpoint: str
    encoders: tuple[torch.nn.Module, ...]
    gradients: tuple[tuple[torch.Tensor, ...], ...]


Query = Callable[[Images, torch.Generator], SiteLevels]


@final
@dataclass(frozen=True, kw_only=True)
class GradientMessages:
    """The gradients that training on some slices would send, each slice a batch of its own.

    Args:
        weights: per slice the gradients of all encoders' parameters, site after site.
        cut: per site one cut gradient ``(slices, C, *spatial)`` per crossing level.
    """

    weights: tuple[tuple[torch.Tensor, ...], ...]
    cut: SiteLevels


# Images, their masks and a generator in; for each observed checkpoint the gradients out.
GradientQuery = Callable[[Images, Masks, torch.Generator], tuple[GradientMessages, ...]]


@final
class Observation:
    """Holds what a threat model grants, and nothing else.

    Reading what was not granted raises `NotGranted`, as does asking for a private image.
    """

    __slots__ = ("_held", "granted", "layout", "threat")

    def __init__(
        self,
        *,
        threat: str,
        layout: SystemLayout,
        held: Mapping[Capability, object],
    ) -> None:
        """Keep the granted values.

        Args:
            threat: name of the threat preset, for messages.
            layout: what is public.
            held: a value for each granted capability.
        """
        self.threat = threat
        self.layout = layout
        self.granted = frozenset(held)
        self._held = dict(held)

    def __getattr__(self, name: str) -> NoReturn:
        """Anything else is private.

        Raises:
            NotGranted: always.
        """
        if name in Observation.__slots__:  # unset while a copy is being made
            raise AttributeError(name)
        raise NotGranted(
            f"threat model {self.threat!r} grants no {name!r}; it grants "
            f"{', '.join(sorted(self.granted)) or 'nothing'}"
        )

    def _get(self, capability: Capability) -> object:
        if capability not in self._held:
            self.__getattr__(capability.value)
        return self._held[capability]

    @property
    def activations(self) -> SiteLevels:
        """The victims' released levels, per site, each ``(victims, C, *spatial)``."""
        return self._get(Capability.ACTIVATIONS)  # type: ignore[return-value]

    @property
    def repeated_releases(self) -> tuple[SiteLevels, ...]:
        """Every release of the victims, `activations` being the first."""
        return self._get(Capability.REPEATED_RELEASES)  # type: ignore[return-value]

    @property
    def encoders(self) -> tuple[torch.nn.Module, ...]:
        """Every site's encoder as of the last checkpoint, in evaluation mode, gradients off."""
        return self._get(Capability.ENCODER_WEIGHTS)  # type: ignore[return-value]

    @property
    def untrained_encoders(self) -> Callable[[int], tuple[torch.nn.Module, ...]]:
        """The architecture: ``untrained_encoders(seed)`` builds every site's encoder anew."""
        return self._get(Capability.ENCODER_ARCHITECTURE)  # type: ignore[return-value]

    @property
    def query(self) -> Query:
        """Black-box access: ``query(images, generator)`` is what the sites would release."""
        return self._get(Capability.ENCODER_QUERIES)  # type: ignore[return-value]

    @property
    def query_gradients(self) -> GradientQuery:
        """``query_gradients(images, masks, generator)``: what training on them would send.

        Images ``(slices, modalities, *spatial)`` in [0, 1] and masks ``(slices, *spatial)`` of the
        adversary's own; the answer has one entry for each checkpoint of `weight_gradients`.
        """
        return self._get(Capability.GRADIENT_QUERIES)  # type: ignore[return-value]

    @property
    def weight_gradients(self) -> tuple[GradientRelease, ...]:
        """Weight gradients of one batch per victim, at each observed checkpoint."""
        return self._get(Capability.WEIGHT_GRADIENTS)  # type: ignore[return-value]

    @property
    def cut_gradients(self) -> tuple[SiteLevels, ...]:
        """Cut gradients of one batch per victim, at each checkpoint of `weight_gradients`.

        Per checkpoint and site one tensor ``(victims, C, *spatial)`` per crossing level.
        """
        return self._get(Capability.CUT_GRADIENTS)  # type: ignore[return-value]

    @property
    def auxiliary(self) -> AuxiliaryPatients:
        """The adversary's own patients."""
        return self._get(Capability.AUXILIARY_PATIENTS)  # type: ignore[return-value]

    @property
    def defense(self) -> Defense:
        """The defence with all its parameters (Kerckhoffs's principle), not its draws."""
        return self._get(Capability.DEFENSE_PARAMETERS)  # type: ignore[return-value]


@final
@dataclass(frozen=True, kw_only=True)
class Reconstruction:
    """What an attack returns.

    Args:
        images: ``(victims, modalities, *spatial)``, values in [0, 1].
        objective_first: the attack's own objective before its first step, mean over victims or, for
            an attack that learns, over slices of the adversary's own patients.
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


@final
@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A checked `Reconstruction` and what it cost.

    Args:
        reconstruction: what the attack returned, checked.
        queries: samples that were sent through `Observation.query` or `query_gradients`.
        auxiliary_patients: how many patients of its own the adversary held.
    """

    reconstruction: Reconstruction
    queries: int
    auxiliary_patients: int


class Attack(abc.ABC):
    """An adversary: frozen, keyword-only dataclass whose fields are its whole configuration."""

    requires: ClassVar[frozenset[Capability]]
    # What a reader is told of it: what comes back, its class in NIST AI 100-2, the papers.
    recovers: ClassVar[str] = "images"
    nist: ClassVar[str] = "data reconstruction"
    citations: ClassVar[tuple[Citation, ...]] = ()
    # A learned attack gets its pairs from the observation's queries, where a control can shuffle
    # them.
    learns_from_queries: ClassVar[bool] = False

    @abc.abstractmethod
    def run(
        self, observation: Observation, *, generator: torch.Generator, progress: Progress
    ) -> Reconstruction:
        """Reconstruct every victim's image from ``observation`` alone.

        Args:
            observation: what the threat model grants.
            generator: the only source of randomness.
            progress: call with (done, total) now and then.
        """

    def needs(self) -> frozenset[Capability]:
        """What this configuration requires; at least `requires`."""
        return self.requires

    def shuffled(self) -> Attack:
        """The configuration that is trained on shuffled pairs as a control of the learned part."""
        return self

    @final
    def __call__(
        self,
        observation: Observation,
        *,
        seed: int,
        progress: Progress,
        where: Where | None = None,
    ) -> Attempt:
        """Run the attack, which is not trusted, and check what comes back.

        Args:
            observation: what the threat model grants.
            seed: of all its randomness.
            progress: told (done, total) now and then.
            where: runs it in a process of its own; by default it runs in this one.

        Raises:
            NotGranted: the threat model lacks a capability the attack requires.
            CellError: shape or range of the reconstruction is wrong, or a value is not finite.
        """
        missing = self.needs() - observation.granted
        if missing:
            raise NotGranted(
                f"{type(self).__name__} needs {', '.join(sorted(missing))}, which threat model "
                f"{observation.threat!r} does not grant"
            )
        counter = _QueryCounter(observation)
        result = (where or run_here)(self, counter.observation, seed, progress)
        _check(result, observation.layout)
        auxiliary = 0
        if Capability.AUXILIARY_PATIENTS in observation.granted:
            auxiliary = int(observation.auxiliary.patient.unique().numel())
        return Attempt(
            reconstruction=replace(result, images=result.images.detach().float().cpu()),
            queries=counter.samples,
            auxiliary_patients=auxiliary,
        )


# Runs an attack on an observation with a seed, and tells of its progress.
Where = Callable[[Attack, Observation, int, Progress], Reconstruction]


def run_here(
    attack: Attack, observation: Observation, seed: int, progress: Progress
) -> Reconstruction:
    """Run an attack in this process; nothing of what comes back is checked."""
    return attack.run(observation, generator=generator_for(seed, "attack"), progress=progress)


class _QueryCounter:
    """Counts the samples an attack sends through the observation's queries."""

    def __init__(self, observation: Observation) -> None:
        self.samples = 0
        held = {capability: observation._get(capability) for capability in observation.granted}
        if Capability.ENCODER_QUERIES in held:
            query = observation.query

            def counted(images: Images, generator: torch.Generator) -> SiteLevels:
                self.samples += len(images)
                return query(images, generator)

            held[Capability.ENCODER_QUERIES] = counted
        if Capability.GRADIENT_QUERIES in held:
            query_gradients = observation.query_gradients

            def counted_too(
                images: Images, masks: Masks, generator: torch.Generator
            ) -> tuple[GradientMessages, ...]:
                self.samples += len(images)
                return query_gradients(images, masks, generator)

            held[Capability.GRADIENT_QUERIES] = counted_too
        self.observation = Observation(
            threat=observation.threat, layout=observation.layout, held=held
        )


def _check(result: Reconstruction, layout: SystemLayout) -> None:
    images = result.images
    if tuple(images.shape) != layout.image_shape:
        raise CellError(
            f"the attack returned shape {tuple(images.shape)}, expected {layout.image_shape}"
        )
    if not bool(torch.isfinite(images).all()):
        raise CellError("the attack returned values that are not finite")
    objective = result.objective_first, result.objective_last
    if not all(math.isfinite(value) for value in objective):
        raise CellError(f"the attack's own objective went from {objective[0]} to {objective[1]}")
    low, high = float(images.min()), float(images.max())
    if low < -1e-6 or high > 1 + 1e-6:
        raise CellError(f"the attack returned values in [{low:.3g}, {high:.3g}], expected [0, 1]")


def require_between(owner: object, low: float | int, high: float | int, *names: str) -> None:
    """Check that the named fields of a plug-in lie in [low, high].

    Raises:
        ConfigError: one does not, with its name, its value and the range.
    """
    for name in names:
        value = getattr(owner, name)
        if not low <= value <= high:
            plug_in = type(owner).__name__
            raise ConfigError(f"{plug_in}: {name} is {value}; it must be {low:g} to {high:g}")


__all__ = [
    "Attack",
    "Attempt",
    "AuxiliaryPatients",
    "Capability",
    "Citation",
    "Defense",
    "Evidence",
    "GradientMessages",
    "GradientRelease",
    "Observation",
    "PrivacyGuarantee",
    "Progress",
    "Reconstruction",
    "ReleaseSetting",
    "SystemLayout",
    "require_between",
]
