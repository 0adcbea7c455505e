"""Holds what an adversary is granted; reading anything else is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, NoReturn, TypeVar, final, overload

import torch

from leakaudit.capabilities import RELEASES, Capability, having
from leakaudit.contracts.defense import Defense
from leakaudit.contracts.messages import (
    AuxiliaryPatients,
    BuildEncoders,
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
from leakaudit.types import Images, Levels, Masks, SiteLevels

_T = TypeVar("_T")
_OF_PATIENTS = having("release", "cohort release")


@final
class Granted(Generic[_T]):
    """An attribute of `Observation` that a capability of its name grants.

    `Capability` names the attribute and says what it holds.
    """

    capability: Capability

    def __set_name__(self, owner: type[Observation], name: str) -> None:
        """Find the capability."""
        (self.capability,) = (one for one in Capability if one.row.attribute == name)
        self.__doc__ = self.capability.row.holds

    @overload
    def __get__(self, seen: None, owner: type[Observation]) -> Granted[_T]: ...

    @overload
    def __get__(self, seen: Observation, owner: type[Observation]) -> _T: ...

    def __get__(self, seen: Observation | None, owner: type[Observation]) -> Granted[_T] | _T:
        """The granted value; from the class, the attribute itself.

        Raises:
            NotGranted: the threat model does not grant it.
        """
        if seen is None:
            return self
        value: _T = seen._get(self.capability)  # type: ignore[assignment]
        return value


@final
class Observation:
    """Holds what a threat model grants, and nothing else.

    Reading what was not granted raises `NotGranted`, as does asking for a private image. Each
    attribute is explained in `leakaudit.capabilities`.
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
        """Return the view of an attack with these needs: all of it, or all except the releases.

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

    activations: Granted[SiteLevels] = Granted()
    repeated_releases: Granted[tuple[SiteLevels, ...]] = Granted()
    transcript: Granted[tuple[SiteLevels, ...]] = Granted()
    cohort_releases: Granted[SiteLevels] = Granted()
    query: Granted[Query] = Granted()
    query_transcript: Granted[TranscriptQuery] = Granted()
    encoders: Granted[tuple[torch.nn.Module, ...]] = Granted()
    untrained_encoders: Granted[BuildEncoders] = Granted()
    server_network: Granted[torch.nn.Module] = Granted()
    weight_gradients: Granted[tuple[GradientRelease, ...]] = Granted()
    cut_gradients: Granted[tuple[SiteLevels, ...]] = Granted()
    query_gradients: Granted[GradientQuery] = Granted()
    weight_updates: Granted[tuple[GradientRelease, ...]] = Granted()
    query_updates: Granted[UpdateQuery] = Granted()
    own_images: Granted[Images] = Granted()
    own_cut_gradients: Granted[tuple[Levels, ...]] = Granted()
    query_own_gradients: Granted[OwnGradientQuery] = Granted()
    head_messages: Granted[tuple[HeadMessages, ...]] = Granted()
    query_head: Granted[HeadQuery] = Granted()
    exchange: Granted[Exchange] = Granted()
    auxiliary: Granted[AuxiliaryPatients] = Granted()
    candidates: Granted[Images] = Granted()
    masks: Granted[Masks] = Granted()
    defense: Granted[Defense] = Granted()
