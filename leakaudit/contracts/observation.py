"""What an adversary holds, and the vocabulary of what it may be granted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import NoReturn, final

import torch

from leakaudit.contracts.defense import Defense
from leakaudit.contracts.messages import (
    AuxiliaryPatients,
    Exchange,
    GradientQuery,
    GradientRelease,
    HeadMessages,
    HeadQuery,
    OwnGradientQuery,
    Query,
    SystemLayout,
    TranscriptQuery,
    UpdateQuery,
)
from leakaudit.errors import NotGranted
from leakaudit.types import Images, Levels, SiteLevels


class Capability(StrEnum):
    """One thing an adversary may hold; a threat model is a set of these."""

    ACTIVATIONS = "activations"
    REPEATED_RELEASES = "repeated-releases"
    CUT_GRADIENTS = "cut-gradients"
    ENCODER_WEIGHTS = "encoder-weights"
    ENCODER_ARCHITECTURE = "encoder-architecture"
    ENCODER_QUERIES = "encoder-queries"
    SERVER_WEIGHTS = "server-weights"
    COHORT_RELEASES = "cohort-releases"
    TRANSCRIPT = "transcript"
    TRANSCRIPT_QUERIES = "transcript-queries"
    WEIGHT_GRADIENTS = "weight-gradients"
    GRADIENT_QUERIES = "gradient-queries"
    WEIGHT_UPDATES = "weight-updates"
    UPDATE_QUERIES = "update-queries"
    MASKS = "masks"
    OWN_MODALITIES = "own-modalities"
    OWN_CUT_GRADIENTS = "own-cut-gradients"
    OWN_GRADIENT_QUERIES = "own-gradient-queries"
    HEAD_MESSAGES = "head-messages"
    HEAD_QUERIES = "head-queries"
    AUXILIARY_PATIENTS = "auxiliary-patients"
    CANDIDATES = "candidates"
    DEFENSE_PARAMETERS = "defense-parameters"
    ACTIVE_MANIPULATION = "active-manipulation"


# What a cell holds of the victims' releases. An attack that requires none of these sees none.
RELEASES = frozenset({Capability.ACTIVATIONS, Capability.REPEATED_RELEASES, Capability.TRANSCRIPT})
_OF_PATIENTS = RELEASES | {Capability.COHORT_RELEASES}


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
        hint = ""
        if name.replace("_", "-") in _OF_PATIENTS:
            hint = f"; releases are shown where an attack requires {' or '.join(sorted(RELEASES))}"
        raise NotGranted(
            f"threat model {self.threat!r} grants no {name!r}; it grants "
            f"{', '.join(sorted(self.granted)) or 'nothing'}{hint}"
        )

    def for_needs(self, needs: frozenset[Capability]) -> Observation:
        """What an attack with these needs is shown: all of it, or all but the releases.

        An attack is disguised and doubted by what it requires, so it reads no release unless it
        requires releases. What else is granted it may use without requiring it.

        Args:
            needs: what the attack requires.
        """
        if needs & RELEASES:
            return self
        held = {one: value for one, value in self._held.items() if one not in _OF_PATIENTS}
        return Observation(threat=self.threat, layout=self.layout, held=held)

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
    def server_network(self) -> torch.nn.Module:
        """The label site's own network, in evaluation mode, gradients off.

        What all sites released (`SiteLevels`) goes in, logits ``(B, classes, *spatial)`` come out.
        """
        return self._get(Capability.SERVER_WEIGHTS)  # type: ignore[return-value]

    @property
    def cohort_releases(self) -> SiteLevels:
        """What training patients' slices were released as at the end, per site ``(slices, ...)``.

        None of them is a victim, and no image or mask is known to belong to any.
        """
        return self._get(Capability.COHORT_RELEASES)  # type: ignore[return-value]

    @property
    def query(self) -> Query:
        """Black-box access: ``query(images, generator)`` is what the sites would release."""
        return self._get(Capability.ENCODER_QUERIES)  # type: ignore[return-value]

    @property
    def transcript(self) -> tuple[SiteLevels, ...]:
        """What each epoch of training released of the victims, first to last, as `activations`."""
        return self._get(Capability.TRANSCRIPT)  # type: ignore[return-value]

    @property
    def query_transcript(self) -> TranscriptQuery:
        """``query_transcript(images, generator)``: what each epoch would release of them."""
        return self._get(Capability.TRANSCRIPT_QUERIES)  # type: ignore[return-value]

    @property
    def query_gradients(self) -> GradientQuery:
        """``query_gradients(images, masks, generator)``: what training on them would send.

        Images ``(slices, modalities, *spatial)`` in [0, 1] and masks ``(slices, *spatial)`` of the
        adversary's own, of which every ``layout.gradient_batch`` in a row are a batch; the answer
        has one entry for each checkpoint at which the victims' gradients are observed.
        """
        return self._get(Capability.GRADIENT_QUERIES)  # type: ignore[return-value]

    @property
    def weight_gradients(self) -> tuple[GradientRelease, ...]:
        """Weight gradients of one batch per victim, at each observed checkpoint."""
        return self._get(Capability.WEIGHT_GRADIENTS)  # type: ignore[return-value]

    @property
    def cut_gradients(self) -> tuple[SiteLevels, ...]:
        """Cut gradients of one batch per victim, at each checkpoint of `weight_gradients`.

        Per checkpoint and site one tensor ``(victims * layout.gradient_batch, C, *spatial)`` per
        crossing level: batch after batch, a victim's slice before its companions'.
        """
        return self._get(Capability.CUT_GRADIENTS)  # type: ignore[return-value]

    @property
    def weight_updates(self) -> tuple[GradientRelease, ...]:
        """How a round of several steps on one batch per victim moved the encoders' weights.

        Per observed checkpoint, as `weight_gradients`. Every party starts the round there with a
        fresh optimizer, and steps on the same batch each time.
        """
        return self._get(Capability.WEIGHT_UPDATES)  # type: ignore[return-value]

    @property
    def query_updates(self) -> UpdateQuery:
        """``query_updates(images, masks, generator)``: what a round on own batches would send."""
        return self._get(Capability.UPDATE_QUERIES)  # type: ignore[return-value]

    @property
    def own_images(self) -> Images:
        """What a data site holds of the victims itself, ``(victims, own modalities, *spatial)``."""
        return self._get(Capability.OWN_MODALITIES)  # type: ignore[return-value]

    @property
    def own_cut_gradients(self) -> tuple[Levels, ...]:
        """What returned to the adversary's site for one batch per victim, at each checkpoint.

        Per checkpoint one tensor ``(victims, C, *spatial)`` per crossing level.
        """
        return self._get(Capability.OWN_CUT_GRADIENTS)  # type: ignore[return-value]

    @property
    def query_own_gradients(self) -> OwnGradientQuery:
        """``query_own_gradients(images, masks, generator)``: what would return to the site.

        As `query_gradients`, but what returns to the adversary's own site alone, in the form of
        `own_cut_gradients`.
        """
        return self._get(Capability.OWN_GRADIENT_QUERIES)  # type: ignore[return-value]

    @property
    def head_messages(self) -> tuple[HeadMessages, ...]:
        """What crossed the second cut for the victims' slices, each alone, per checkpoint."""
        return self._get(Capability.HEAD_MESSAGES)  # type: ignore[return-value]

    @property
    def query_head(self) -> HeadQuery:
        """``query_head(images, masks, generator)``: the same for own slices that are enrolled."""
        return self._get(Capability.HEAD_QUERIES)  # type: ignore[return-value]

    @property
    def exchange(self) -> Exchange:
        """Takes the label site's place in a training of its own, step by step.

        ``exchange(None, False)`` begins: the sites build their encoders anew and release a first
        batch of training slices, per site ``(B, C, *spatial)``. ``exchange(gradients, False)``
        hands every site the cut gradients for the batch it sent last, by which it takes one
        optimizer step, and returns the next batch. ``exchange(None, True)`` is what the sites
        release of the victims' slices at this moment, after which there is no batch to answer.
        """
        return self._get(Capability.ACTIVE_MANIPULATION)  # type: ignore[return-value]

    @property
    def auxiliary(self) -> AuxiliaryPatients:
        """The adversary's own patients."""
        return self._get(Capability.AUXILIARY_PATIENTS)  # type: ignore[return-value]

    @property
    def candidates(self) -> Images:
        """Images of candidate patients, ``(candidates, modalities, *spatial)``, values in [0, 1].

        The victims are among them, in an order that says nothing of who they are.
        """
        return self._get(Capability.CANDIDATES)  # type: ignore[return-value]

    @property
    def defense(self) -> Defense:
        """The defense with all its parameters (Kerckhoffs's principle), not its draws."""
        return self._get(Capability.DEFENSE_PARAMETERS)  # type: ignore[return-value]
