"""What a data site holds of a training patient: its own images, and what came back to it."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from leakaudit.contracts import OwnGradientQuery
from leakaudit.data import Patient
from leakaudit.errors import CellError
from leakaudit.threat.gradients import gradient_query, gradients_of
from leakaudit.threat.presets import Threat
from leakaudit.threat.system import System, images_of
from leakaudit.types import Images, Levels, Masks


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
    own: Images = views[site].contiguous()
    return own


def own_gradients(system: System, victims: Sequence[Patient], site: int) -> tuple[Levels, ...]:
    """Per checkpoint what the label site returned to the site, ``(victims, C, *spatial)``."""
    _, cut = gradients_of(system, victims, None)
    return tuple(sites[site] for sites in cut)


def own_gradient_query(
    system: System, shuffle: Sequence[Patient] | None, site: int
) -> OwnGradientQuery:
    """Answers `Observation.query_own_gradients`, with a random slice of ``shuffle`` if given."""
    everything = gradient_query(system, None, shuffle)

    def query(images: Images, masks: Masks, generator: torch.Generator) -> tuple[Levels, ...]:
        return tuple(messages.cut[site] for messages in everything(images, masks, generator))

    return query
