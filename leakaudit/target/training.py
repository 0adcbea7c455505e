"""Training a Split-U-Net over its protocol, resumable at every epoch.

All randomness is keyed by (seed, purpose, epoch, step), so that a training that was killed and
resumed from its checkpoint ends with the weights of an uninterrupted one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import final

import torch
from torch import nn

from leakaudit.api import Defense, Progress, SiteLayout
from leakaudit.errors import CellError, ConfigError
from leakaudit.randomness import derive_seed, generator_for
from leakaudit.target.checkpoints import History, keep_epoch, resume, save_checkpoint
from leakaudit.target.effects import Effects
from leakaudit.target.per_sample import require_unmixed
from leakaudit.target.protocol import Protocol
from leakaudit.target.split_unet import SplitUNet, SplitUNetSpec


@final
@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How a network is trained: Dice + cross-entropy, Adam, cosine schedule to zero.

    Args:
        epochs: passes over all training slices.
        batch_size: slices per step.
        learning_rate: at the start of the schedule.
        keep_encoders: every epoch's encoders are kept, for what they released on the way.
        keep_networks: epochs after which the whole network is kept; the last one always is.
    """

    epochs: int = 4
    batch_size: int = 8
    learning_rate: float = 2e-3
    keep_encoders: bool = False
    keep_networks: tuple[int, ...] = ()

    @property
    def kept(self) -> tuple[int, ...]:
        """The epochs that are kept in part, beside the last."""
        every = range(1, self.epochs)
        return tuple(each for each in every if self.keep_encoders or each in self.keep_networks)


@final
@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """The training slices, as the parties hold them.

    Args:
        views: per site its modalities ``(slices, M, *spatial)``, in the same slice order.
        masks: ``(slices, *spatial)``, held by the label site.
        patients: which patient each slice belongs to, ``(slices,)``; each its own if None.
    """

    views: tuple[torch.Tensor, ...]
    masks: torch.Tensor
    patients: torch.Tensor | None = None


def build(spec: SplitUNetSpec, seed: int, defense: Defense | None = None) -> SplitUNet:
    """The freshly initialised network of a seed; the global random state is left alone.

    Args:
        spec: its architecture.
        seed: of the target.
        defense: whose companions the sites train beside their encoders; None for none.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive_seed(seed, "initialisation"))
        network = SplitUNet(spec)
        torch.default_generator.manual_seed(derive_seed(seed, "companions"))
        companions = [
            _companions(defense, site_layout(spec, site)) if defense else {}
            for site in range(len(spec.channels))
        ]
    if any(companions):
        network.companions = nn.ModuleList(map(nn.ModuleDict, companions))
    return network


def site_layout(spec: SplitUNetSpec, site: int) -> SiteLayout:
    """Return a site's layout, the only facts about the site that a defense may know."""
    return SiteLayout(
        modalities=spec.channels[site],
        channels=tuple(spec.width(level) for level in spec.crossing),
        scales=tuple(2**level for level in spec.crossing),
        spatial_dims=spec.spatial_dims,
    )


def _companions(defense: Defense, site: SiteLayout) -> dict[str, nn.Module]:
    built = ((str(index), part.companion(site)) for index, part in enumerate(defense.parts))
    return {index: network for index, network in built if network is not None}


def choose_device(name: str) -> torch.device:
    """``auto`` is CUDA where there is one, else the CPU.

    Raises:
        ConfigError: ``cuda`` where there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device is cuda, but torch finds no CUDA device; write device: auto")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


def train(
    network: SplitUNet,
    defense: Defense,
    data: TrainingData,
    settings: TrainingSettings,
    *,
    seed: int,
    device: torch.device,
    folder: Path,
    progress: Progress,
    validate: Callable[[SplitUNet], float | None],
) -> History:
    """Train ``network`` in place; every epoch ends with a checkpoint in ``folder``.

    Args:
        network: freshly built by `build`.
        defense: fitted; on in every step.
        data: what the parties hold, on the CPU.
        settings: epochs, batch size, learning rate, what is kept (`checkpoints.keep_epoch`).
        seed: the seed of the target.
        device: where to train.
        folder: where the checkpoint lives; a valid one is resumed from.
        progress: called with (steps done, steps in total).
        validate: mean Dice on the validation patients, for the history only; nothing is selected
            by it.

    Returns:
        One entry per epoch: mean loss, validation Dice, and what the defense was seen to do in the
        epoch's first step, penalties in every one (`Effects.sums`).

    Raises:
        CellError: the loss is not finite.
        ConfigError: the defense mixes samples, or privatizes a party whose network does.
    """
    network.to(device)
    if device.type == "cuda" and network.spec.spatial_dims == 2:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    protocol = Protocol(network, defense, autocast=True)
    _require_unmixed(network, defense, data, device)
    parties = [*network.encoders, network.server]
    beside = [*network.companions, *[nn.Module()] * (len(parties) - len(network.companions))]
    optimizers = [
        torch.optim.Adam(chain(party.parameters(), companions.parameters()), settings.learning_rate)
        for party, companions in zip(parties, beside, strict=True)
    ]
    count = len(data.masks)
    steps = -(-count // settings.batch_size)
    total = steps * settings.epochs
    history = resume(folder, network, optimizers, settings.kept)
    pin = device.type == "cuda"
    for epoch in range(len(history), settings.epochs):
        network.train()
        order = torch.randperm(count, generator=generator_for(seed, "order", epoch))
        losses, effects = [], Effects(defense, "training")
        for step, index in enumerate(order.split(settings.batch_size)):
            flips = _flips(seed, epoch, step)
            views = [_batch(view, index, flips, device, pin) for view in data.views]
            masks = _batch(data.masks, index, flips, device, pin)
            done = epoch * steps + step
            for optimizer in optimizers:
                optimizer.zero_grad(set_to_none=True)
                for group in optimizer.param_groups:
                    group["lr"] = _cosine(settings.learning_rate, done, total)
            effects.looking = step == 0
            protocol.watched(effects)
            patients = None if data.patients is None else data.patients[index]
            losses.append(
                protocol.backward(views, masks, seed, "train", epoch, step, patients=patients)
            )
            for optimizer in optimizers:
                optimizer.step()
            progress(done + 1, total)
        loss = float(torch.stack(losses).mean())
        if not math.isfinite(loss):
            raise CellError(f"training: the loss of epoch {epoch + 1} is not finite")
        network.eval()
        history.append(
            {"loss": loss, "validation_dice": validate(network), "effects": effects.sums()}
        )
        if len(history) in settings.kept:
            whole = len(history) in settings.keep_networks
            keep_epoch(folder, len(history), network, whole=whole)
        save_checkpoint(folder, network, optimizers, history)
    network.eval()
    return history


def _require_unmixed(
    network: SplitUNet, defense: Defense, data: TrainingData, device: torch.device
) -> None:
    """Refuse what treats a sample otherwise in a batch than alone.

    A part of a defense never may: what a claim says of one patient would be moved by another. The
    parties' networks may not where they are trained privately.
    """
    if len(data.masks) < 2:
        return
    views = [view[:2].to(device) for view in data.views]
    with torch.no_grad():
        sites = network.encode(views)
    for levels in sites:
        for part in defense.parts:
            for apply, draw in (
                (part.apply, part.draw),
                (part.apply_returned, part.draw_returned),
            ):
                require_unmixed(apply, levels, draw(levels, generator_for(0, "unmixed")))
    if any(map(defense.privatizes, ("encoder", "server"))):
        for encoder, view in zip(network.encoders, views, strict=True):
            require_unmixed(encoder, view)
        require_unmixed(network.server, list(sites))


def _cosine(rate: float, step: int, total: int) -> float:
    # In closed form, not step by step as torch's scheduler does it: a resumed training must see
    # the same rates to the last bit.
    return rate * (1 + math.cos(math.pi * step / total)) / 2


def _flips(seed: int, epoch: int, step: int) -> list[int]:
    # The sites agree on the seed, so that all of them flip the same batch alike.
    coins = torch.rand(2, generator=generator_for(seed, "flip", epoch, step)) < 0.5
    return [axis for axis, coin in zip((-1, -2), coins.tolist(), strict=True) if coin]


def _batch(
    tensor: torch.Tensor, index: torch.Tensor, flips: list[int], device: torch.device, pin: bool
) -> torch.Tensor:
    batch = tensor[index]
    if flips:
        batch = batch.flip(flips)
    if pin:
        batch = batch.pin_memory()
    return batch.to(device, non_blocking=pin)
