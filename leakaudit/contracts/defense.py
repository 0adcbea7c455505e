"""The contract of a defense: levels in, levels out, and its statements about itself."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any, ClassVar, Literal, final

import torch
from torch import nn

from leakaudit.randomness import generator_for
from leakaudit.records import Citation, Configured
from leakaudit.types import Images, Levels, SiteLevels


@final
class Stage(StrEnum):
    """A stage that a defense may change; a run checks that it did, or fails its cells."""

    RELEASE = "release"
    RETURNED_GRADIENT = "returned gradient"
    TRAINING = "training"


@final
@dataclass(frozen=True, kw_only=True)
class SiteLayout:
    """The shape of one data site's messages, as far as it is public.

    Args:
        modalities: channels of its images.
        channels: of each crossing level, shallow to deep.
        scales: by how much each crossing level is smaller than an image, per axis.
        spatial_dims: 2 or 3.
    """

    modalities: int
    channels: tuple[int, ...]
    scales: tuple[int, ...]
    spatial_dims: int


# What a claim is about: what is released of patients in use, of patients in training, the trained
# weights of every party, or the last two together.
Covers = Literal["releases", "training releases", "weights", "training"]


@final
@dataclass(frozen=True, kw_only=True)
class PrivacyGuarantee:
    """The claim of a defense, or the reason why it claims nothing.

    Args:
        claimed: whether (epsilon, delta) is claimed for the releases of this run.
        epsilon: total per patient over all its releases; None if the mechanism has none.
        delta: the delta of the claim, in (0, 1).
        releases: how many releases of one patient are composed.
        mechanism: what was done, with its parameters, in words.
        assumptions: what must hold for the claim, one sentence each.
        reason: why nothing is claimed; empty if ``claimed``.
        mu: Gaussian-DP parameter of all these releases together; None where the mechanism has none.
        clip: C, the L2 bound of one slice's joint vector at every site, from which an auditor
            builds its pairs; None where nothing is bounded.
        covers: ``"releases"`` of patients that nothing was trained on, ``"training releases"``,
            the trained ``"weights"``, or ``"training"``, which is these two together.
        noise_std: standard deviation of the noise on every released value that the claim rests on,
            in units of the activation: a run in which a site's level had less claims nothing.
        update_noise_std: the same of the noise on every sum of clipped gradients.
        lacks_private_training: nothing is claimed for the only reason that some trainable party is
            not under DP-SGD.
    """

    claimed: bool
    epsilon: float | None
    delta: float | None
    releases: int
    mechanism: str
    assumptions: tuple[str, ...]
    reason: str = ""
    mu: float | None = None
    clip: float | None = None
    covers: Covers = "releases"
    noise_std: float | None = None
    update_noise_std: float | None = None
    lacks_private_training: bool = False

    def withdrawn(self, reason: str) -> PrivacyGuarantee:
        """Withdraw the claim, for a reason that secret noise would not cure.

        Nothing is left of epsilon, delta and mu, which a reader could take for a claim.
        """
        return replace(self, claimed=False, epsilon=None, delta=None, mu=None, reason=reason)


@final
@dataclass(frozen=True, kw_only=True)
class ReleaseSetting:
    """The facts that a defense may know before it is fixed; no private data.

    Args:
        sites: number of data sites.
        releases_per_patient: how often one inference patient's slices cross, passes x slices.
        auxiliary_levels: per site the undefended levels of auxiliary slices under the freshly
            initialised encoders.
        releases_in_training: how often one training patient's slices cross, epochs x slices.
        steps_per_patient: in how many optimizer steps one training patient takes part at most.
    """

    sites: int
    releases_per_patient: int
    auxiliary_levels: SiteLevels
    releases_in_training: int = 1
    steps_per_patient: int = 1


@final
@dataclass(frozen=True, kw_only=True)
class Evidence:
    """An estimate of `Defense.expected` and how far it can be trusted.

    Args:
        values: per level an estimate of each element.
        variances: per level the variance of the estimate's error, of the same shape; infinity
            where the release says nothing. One number for all is best expanded to that shape, which
            spares an attack a tensor.
    """

    values: Levels
    variances: Levels


@final
@dataclass(frozen=True, kw_only=True)
class Applied:
    """One defense at work.

    Args:
        part: index into `Defense.parts`.
        before: what it was given, per level.
        after: what it made of it.
        expected: of a release, what `Defense.expected` makes of it; else ``before``.
    """

    part: int
    before: Levels
    after: Levels
    expected: Levels


# What several claims have in common, said once; a stack lists each sentence once.
NEIGHBORS = (
    "How many slices a patient has is public; the noise is made for the longest patient.",
    "Neighbouring data sets differ by replacing one patient, all of whose slices and sites count.",
)
NOT_COVERED = "Masks, returned gradients and timing are not covered."
PUBLISHED_SEED = (
    "the noise of this run comes from a published seed, so that the run can be repeated; the same "
    "with secret noise would claim these values"
)


class Defense(abc.ABC):
    """A change of the levels before they cross, of the returned gradients, or of the training.

    A subclass is a frozen, keyword-only dataclass; its fields are its whole configuration, which
    records hold by name. `release` is called once per site with the crossing levels and
    must treat every sample on its own.
    """

    # What it changes: a run in which one of these changed nothing is not a run of this defense. A
    # defense that changes nothing at all leaves the network undefended.
    acts_on: ClassVar[frozenset[Stage]] = frozenset({Stage.RELEASE})

    # The papers that a user of this class cites.
    citations: ClassVar[tuple[Citation, ...]] = ()
    # The parameters at which it changes nothing, held by `leakaudit.testing.check_defense`. Nobody
    # can know them but the class: None says that it forgot to say.
    off: ClassVar[Mapping[str, Any] | None] = None
    # What autograd gives of `apply`: the derivative, or the incoming gradient as it came.
    gradient: ClassVar[Literal["exact", "straight-through"]] = "exact"

    def fit(self, setting: ReleaseSetting) -> Defense:
        """Fix what depends on the system (a clip bound, say); called once, before training."""
        del setting
        return self

    @property
    def parts(self) -> tuple[Defense, ...]:
        """The defenses that it is made of, in order; of one that is not a stack, itself."""
        return (self,)

    @final
    @property
    def configured(self) -> tuple[Configured, ...]:
        """Each part with its parameters, as a record holds them; none if no part acts."""
        parts = self.parts
        return tuple(map(configured_part, parts)) if any(one.acts_on for one in parts) else ()

    @abc.abstractmethod
    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        """The randomness of one release, from `leakaudit.randomness`; empty if there is none."""

    @abc.abstractmethod
    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        """Apply an injected draw; differentiable in ``levels`` unless the class says otherwise."""

    @final
    def release(self, levels: Levels, *, generator: torch.Generator) -> Levels:
        """Return the levels that cross the cut.

        Args:
            levels: crossing levels of one site, shallow to deep, each ``(B, C, *spatial)``.
            generator: source of all randomness.

        Returns:
            Tensors of the same shapes.
        """
        return self.apply(levels, self.draw(levels, generator))

    def trace(self, levels: Levels, drawn: Levels) -> tuple[Applied, ...]:
        """`apply` part by part; the last one's ``after`` is what crosses."""
        after = self.apply(levels, drawn)
        return (Applied(part=0, before=levels, after=after, expected=self.expected(levels)),)

    def expected(self, levels: Levels) -> Levels:
        """Return the levels after all that the defense does without chance.

        A hint: an attack compares this, of its candidate's levels, with the evidence, unless
        releases of its own patients tell it better. The default is ``apply(levels, ())`` where
        nothing is drawn, else the levels.
        """
        if self.draw(tuple(level[:1].detach() for level in levels), generator_for(0, "expected")):
            return levels
        return self.apply(levels, ())

    def evidence(self, released: Levels) -> Evidence:
        """Estimate `expected` from a release, for an adversary who knows the defense.

        A hint, by Kerckhoffs's principle: an attack may call this, and may as well find out by
        releasing patients of its own. The default takes the release at its word, which is right
        where nothing is random. A defense that draws randomness must say what it does
        (`adversary_is_told`), else attacks that ask and do not measure fail to see through it.
        """
        return Evidence(
            values=released,
            variances=tuple(level.new_zeros(()).expand_as(level) for level in released),
        )

    def evidence_from(self, estimate: Evidence) -> Evidence:
        """Return `evidence` when only a noisy estimate of this release is known.

        That is so under a defense after this one. The default adds the errors up.
        """
        own = self.evidence(estimate.values)
        return Evidence(
            values=own.values,
            variances=tuple(map(torch.add, own.variances, estimate.variances)),
        )

    @final
    def adversary_is_told(self, levels: Levels) -> bool:
        """Whether `evidence` is the defense's own, or nothing is random in releasing ``levels``.

        Args:
            levels: crossing levels of one site, shallow to deep, each ``(B, C, *spatial)``.
        """
        return all(
            type(part).evidence is not Defense.evidence
            or not part.draw(levels, generator_for(0, "told"))
            for part in self.parts
        )

    def draw_returned(self, gradients: Levels, generator: torch.Generator) -> Levels:
        """The randomness of one returned gradient; empty if there is none."""
        del gradients, generator
        return ()

    def apply_returned(self, gradients: Levels, drawn: Levels) -> Levels:
        """Return the gradients that the label site sends to one site, sample by sample."""
        del drawn
        return gradients

    def trace_returned(self, gradients: Levels, drawn: Levels) -> tuple[Applied, ...]:
        """`apply_returned` part by part."""
        after = self.apply_returned(gradients, drawn)
        return (Applied(part=0, before=gradients, after=after, expected=gradients),)

    @final
    def return_gradient(self, gradients: Levels, *, generator: torch.Generator) -> Levels:
        """Return the gradients that cross back.

        Args:
            gradients: of the loss with respect to what one site released, each
                ``(B, C, *spatial)``, as the label site computed them.
            generator: source of all randomness.

        Returns:
            Tensors of the same shapes.
        """
        return self.apply_returned(gradients, self.draw_returned(gradients, generator))

    def companion(self, site: SiteLayout) -> nn.Module | None:
        """A network that a data site trains beside its encoder and never sends; None for none.

        Built with the seed of the initialisation in force; trained by the encoder's optimizer.
        """
        del site
        return None

    def companion_loss(
        self, companion: nn.Module, images: Images, released: Levels
    ) -> torch.Tensor:
        """Return the companion's loss, a scalar; ``released`` carries no graph."""
        raise NotImplementedError(f"{type(self).__name__} has a companion, but no loss for it")

    def penalty(
        self, images: Images, released: Levels, companion: nn.Module | None
    ) -> torch.Tensor | None:
        """Return a site's addition to its encoder's loss in training, a scalar; None for nothing.

        Args:
            images: the site's own ``(B, M, *spatial)``.
            released: what crosses for them, differentiable down to the encoder.
            companion: its `companion`, which this does not train.
        """
        del images, released, companion
        return None

    def privatizes(self, party: str) -> bool:
        """Whether ``party``, ``"encoder"`` or ``"server"``, learns from clipped gradients alone."""
        del party
        return False

    def draw_update(
        self, parameters: Sequence[torch.Tensor], generator: torch.Generator
    ) -> tuple[torch.Tensor, ...]:
        """The randomness of one step of a party that `privatizes` names, shaped as its weights."""
        raise NotImplementedError(f"{type(self).__name__} privatizes, but draws no update")

    def apply_update(
        self, gradients: Sequence[torch.Tensor], drawn: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, ...]:
        """The sum over records that such a party learns from.

        Args:
            gradients: per parameter the gradients of each record's loss, ``(records, *shape)``.
            drawn: from `draw_update`.

        Returns:
            Per parameter one tensor of its shape.
        """
        raise NotImplementedError(f"{type(self).__name__} privatizes, but applies no update")

    def guarantee(self, releases: int, *, reproducible: bool) -> PrivacyGuarantee | None:
        """The privacy claim for one patient, or None for a defense that never makes one.

        Args:
            releases: releases of one patient that are composed.
            reproducible: whether the noise comes from a published seed, which voids any claim.
        """
        del releases, reproducible
        return None


def configured_part(part: Any) -> Configured:
    """One part of a defense, a dataclass, as a record holds it."""
    given = {one.name: getattr(part, one.name) for one in fields(part) if one.repr}
    return Configured.of(type(part).__name__, given)
