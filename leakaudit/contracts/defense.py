"""What a defence is: levels in, levels out, and what it says of itself."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, final

import torch

from leakaudit.randomness import generator_for
from leakaudit.records import Citation
from leakaudit.types import Levels, SiteLevels


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
        mu: Gaussian-DP parameter of all these releases together; None where the mechanism has none.
        clip: C, the L2 bound of one slice's joint vector at every site, from which an auditor
            builds its pairs; None where nothing is bounded.
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
            where the release says nothing. One number for all is best expanded to that shape, which
            spares an attack a tensor.
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
    # The parameters at which it changes nothing, held by `leakaudit.testing.check_defense`. Nobody
    # can know them but the class: None says that it forgot to say.
    off: ClassVar[Mapping[str, Any] | None] = None
    # What autograd gives of `apply`: the derivative, or the incoming gradient as it came.
    gradient: ClassVar[Literal["exact", "straight-through"]] = "exact"

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
            values=released,
            variances=tuple(level.new_zeros(()).expand_as(level) for level in released),
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
