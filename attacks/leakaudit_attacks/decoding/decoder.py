"""A decoder from all that crossed the cut to images, and its fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import nn
from torch.nn import functional

from leakaudit.api import (
    AuxiliaryPatients,
    Capability,
    Images,
    Levels,
    Observation,
    Progress,
    SiteLevels,
    SystemLayout,
)
from leakaudit_attacks.decoding.network import Decoder as Decoder  # part of this module's face
from leakaudit_attacks.optimising.starts import auxiliary_mean

Pairs = tuple[Levels, Images]
Loss = Callable[[Images, Images], torch.Tensor]


@final
@dataclass(frozen=True)
class Beside:
    """Networks that are trained together with a decoder.

    Args:
        learners: trained in place, under the decoder's schedule.
        learning_rate: its peak for them.
        misfit: a scalar that is added to the decoder's loss, asked for after every batch.
    """

    learners: nn.Module
    learning_rate: float
    misfit: Callable[[], torch.Tensor]


def fresh_decoder(
    entering: Mapping[int, int],
    width: int,
    auxiliary: AuxiliaryPatients,
    generator: torch.Generator,
    *,
    base: Images | None = None,
    deepest: int = 4,
) -> Decoder:
    """A decoder on the auxiliary patients' device that starts from ``base``, mirrored alike.

    ``base`` is ``(1, M, *spatial)``, values in [0, 1]; the auxiliary mean unless said otherwise.
    ``deepest`` is the level that the decoder goes down to.
    """
    base = auxiliary_mean(auxiliary, 1) if base is None else base
    # Modules initialise from the global state: fork it, so that the attack leaves no trace.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(integer(2**62, generator))
        start = (base + base.flip(-1)) / 2
        return Decoder(entering, width, start, deepest).to(base.device)


def fit(
    decoder: nn.Module,
    batch: Callable[[], Pairs],
    probe: Callable[[], Pairs],
    *,
    steps: int,
    learning_rate: float,
    progress: Progress,
    loss: Loss | None = None,
    beside: Beside | None = None,
) -> tuple[float, float]:
    """Train a decoder by Adam with a one-cycle schedule.

    Args:
        decoder: trained in place, and left in evaluation mode.
        batch: joined levels and the images behind them, new ones at every call.
        probe: the same pairs at every call, on which the objective is compared.
        steps: optimizer steps.
        learning_rate: peak of the schedule.
        progress: called after every step.
        loss: of decoded and true images; `difference` if none is given.
        beside: what is trained along, if anything.

    Returns:
        The objective on the probe before the first step and after the last.
    """
    rates = [learning_rate]
    groups: list[dict[str, Any]] = [{"params": decoder.parameters()}]
    if beside is not None:
        rates.append(beside.learning_rate)
        groups.append({"params": beside.learners.parameters()})
    optimizer = torch.optim.Adam(groups, lr=learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=max(steps, 2))

    def loss_of(pairs: Pairs) -> torch.Tensor:
        levels, images = pairs
        return (loss or difference)(decoder(levels), images)

    with torch.no_grad():
        first = float(loss_of(probe()))
    for step in range(steps):
        optimizer.zero_grad(set_to_none=True)
        apart = loss_of(batch())
        if beside is not None:
            apart = apart + beside.misfit()
        apart.backward()
        optimizer.step()
        schedule.step()
        progress(step + 1, steps)
    decoder.eval()
    with torch.no_grad():
        return first, float(loss_of(probe()))


def difference(found: Images, images: Images) -> torch.Tensor:
    """Mean absolute error plus 1 - SSIM, over all images together."""
    from monai.losses import SSIMLoss  # slow to import, and an attack is often only described

    distance: torch.Tensor = SSIMLoss(images.ndim - 2, data_range=1.0)(found, images)
    return functional.l1_loss(found, images) + distance


def decoded(
    decoder: nn.Module,
    releases: Sequence[SiteLevels],
    prepared: Callable[[Levels], Levels] | None = None,
) -> Images:
    """The victims' images: each release decoded by itself, then averaged.

    Args:
        decoder: trained.
        releases: of the same images.
        prepared: what the decoder was trained to be shown, from joined levels.
    """
    levels = [joined(release) for release in releases]
    with torch.no_grad():
        shown = [decoder(prepared(each) if prepared else each) for each in levels]
    return torch.stack(shown).mean(dim=0)


def releases_of(observation: Observation) -> tuple[SiteLevels, ...]:
    """Every release of the victims that is granted."""
    if Capability.REPEATED_RELEASES in observation.granted:
        return observation.repeated_releases
    return (observation.activations,)


def level_channels(layout: SystemLayout) -> dict[int, int]:
    """Channels of each crossing level, all sites joined."""
    sites = len(layout.channels)
    return {
        level: sites * width
        for level, width in zip(layout.crossing, layout.sent_channels, strict=True)
    }


def joined(sites: SiteLevels) -> Levels:
    """Per level the tensors of all sites, concatenated along channels."""
    return tuple(torch.cat(level, dim=1) for level in zip(*sites, strict=True))


def integer(below: int, generator: torch.Generator) -> int:
    """A random integer from 0 up to ``below``."""
    return int(torch.randint(below, (), generator=generator, device=generator.device))
