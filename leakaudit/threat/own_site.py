"""A data site's view of a training patient: its own images, and the gradients that came back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch

from leakaudit.contracts import OwnGradientQuery
from leakaudit.data import Patient
from leakaudit.errors import CellError
from leakaudit.threat.gradients import gradient_query, gradients_of
from leakaudit.threat.presets import Threat
from leakaudit.threat.system import System, images_of
from leakaudit.types import Images, Levels, Masks

# What came back to a site: its own, as in an audit; nothing, for what its own images alone say; or
# the next victim's, beside its own images, where an attack must fail.
Returned = Literal["own", "nothing", "another's"]


def of_site(threat: Threat, site: int | None) -> int:
    """The adversary's site.

    Raises:
        CellError: the threat is that of a data site, but no site was named.
    """
    if site is None:
        raise CellError(f"threat {threat.name} is that of a data site: name which")
    return site


def own_images(system: System, victims: Sequence[Patient], site: int) -> Images:
    """The victims' middle slices in the site's modalities, ``(victims, M, *spatial)``."""
    middles = [images_of(one)[one.middle : one.middle + 1] for one in victims]
    views = torch.cat(middles).to(system.device).split(list(system.network.spec.channels), dim=1)
    own: Images = views[site].clone()
    return own


def own_gradients(
    system: System,
    victims: Sequence[Patient],
    site: int,
    returned: Returned,
    epochs: Sequence[int] | None = None,
) -> tuple[Levels, ...]:
    """Per checkpoint what the label site returned to the site, ``(victims, C, *spatial)``."""
    _, cut = gradients_of(system, victims, None, epochs)
    return tuple(tuple(shown(level, returned) for level in sites[site]) for sites in cut)


def own_gradient_query(
    system: System, site: int, returned: Returned, epochs: Sequence[int] | None = None
) -> OwnGradientQuery:
    """Answers `Observation.query_own_gradients`; with zeros if nothing is returned."""
    everything = gradient_query(system, None, None, epochs)

    def query(images: Images, masks: Masks, generator: torch.Generator) -> tuple[Levels, ...]:
        answers = tuple(each.cut[site] for each in everything(images, masks, generator))
        if returned != "nothing":
            return answers
        return tuple(tuple(map(torch.zeros_like, levels)) for levels in answers)

    return query


def shown(level: torch.Tensor, returned: Returned) -> torch.Tensor:
    """Return the gradients that came back for every victim, or a stand-in."""
    if returned == "nothing":
        return torch.zeros_like(level)
    return level.roll(-1, dims=0) if returned == "another's" else level
