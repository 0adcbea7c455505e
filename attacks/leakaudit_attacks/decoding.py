"""What the attacks that learn share: a decoder from what crossed the cut to images, and its fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from monai.losses import SSIMLoss
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
from leakaudit_attacks.decoder_network import Decoder as Decoder  # part of this module's face
from leakaudit_attacks.starts import auxiliary_mean

Pairs = tuple[Levels, Images]


@final
@dataclass(frozen=True)
class Beside:
    """What is trained together with a decoder.

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
) -> Decoder:
    """A decoder on the auxiliary patients' device that starts from their mean, mirrored alike."""
    base = auxiliary_mean(auxiliary, 1)
    # Modules initialise from the global state: fork it, so that the attack leaves no trace.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(integer(2**62, generator))
        return Decoder(entering, width, (base + base.flip(-1)) / 2).to(base.device)


def fit(
    decoder: Decoder,
    batch: Callable[[], Pairs],
    probe: Callable[[], Pairs],
    *,
    steps: int,
    learning_rate: float,
    progress: Progress,
    beside: Beside | None = None,
) -> tuple[float, float]:
    """Train a decoder: mean absolute error plus 1 - SSIM, Adam, one-cycle schedule.

    Args:
        decoder: trained in place, and left in evaluation mode.
        batch: joined levels and the images behind them, new ones at every call.
        probe: the same pairs at every call, on which the objective is compared.
        steps: optimizer steps.
        learning_rate: peak of the schedule.
        progress: called after every step.
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
    structure = SSIMLoss(decoder.base.ndim - 2, data_range=1.0)

    def loss_of(pairs: Pairs) -> torch.Tensor:
        levels, images = pairs
        decoded = decoder(levels)
        distance: torch.Tensor = structure(decoded, images)
        return functional.l1_loss(decoded, images) + distance

    with torch.no_grad():
        first = float(loss_of(probe()))
    for step in range(steps):
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(batch())
        if beside is not None:
            loss = loss + beside.misfit()
        loss.backward()
        optimizer.step()
        schedule.step()
        progress(step + 1, steps)
    decoder.eval()
    with torch.no_grad():
        return first, float(loss_of(probe()))


def decoded(
    decoder: Decoder, observation: Observation, prepared: Callable[[Levels], Levels] | None = None
) -> Images:
    """The victims, each granted release decoded by itself, then averaged.

    Args:
        decoder: trained.
        observation: activations, and repeated releases where they are granted.
        prepared: what the decoder was trained to be shown, from joined levels.
    """
    releases: tuple[SiteLevels, ...] = (observation.activations,)
    if Capability.REPEATED_RELEASES in observation.granted:
        releases = observation.repeated_releases
    levels = [joined(release) for release in releases]
    with torch.no_grad():
        shown = [decoder(prepared(each) if prepared else each) for each in levels]
    return torch.stack(shown).mean(dim=0)


def level_channels(layout: SystemLayout) -> dict[int, int]:
    """Channels of each crossing level, all sites joined."""
    return {level: len(layout.channels) * layout.features[level] for level in layout.crossing}


def joined(sites: SiteLevels) -> Levels:
    """Per level the tensors of all sites, concatenated along channels."""
    return tuple(torch.cat(level, dim=1) for level in zip(*sites, strict=True))


def integer(below: int, generator: torch.Generator) -> int:
    """A random integer from 0 up to ``below``."""
    return int(torch.randint(below, (), generator=generator, device=generator.device))
