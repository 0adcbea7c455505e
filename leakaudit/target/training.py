"""Training a Split-U-Net over its protocol, resumable at every epoch.

All randomness is keyed by (seed, purpose, epoch, step), so that a training that was killed and
resumed from its checkpoint ends with the weights of an uninterrupted one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch

from leakaudit.api import Defense, Progress
from leakaudit.errors import CellError, ConfigError
from leakaudit.randomness import derive_seed, generator_for
from leakaudit.target.checkpoints import History, keep_epoch, resume, save_checkpoint
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
        """The epochs of which something is kept beside the last."""
        every = range(1, self.epochs)
        return tuple(each for each in every if self.keep_encoders or each in self.keep_networks)


@final
@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """The training slices, as the parties hold them.

    Args:
        views: per site its modalities ``(slices, M, *spatial)``, in the same slice order.
        masks: ``(slices, *spatial)``, held by the label site.
    """

    views: tuple[torch.Tensor, ...]
    masks: torch.Tensor


def build(spec: SplitUNetSpec, seed: int) -> SplitUNet:
    """The freshly initialised network of a seed; the global random state is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive_seed(seed, "initialisation"))
        return SplitUNet(spec)


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
        One entry per epoch: mean loss and validation Dice.

    Raises:
        CellError: the loss is not finite.
    """
    network.to(device)
    if device.type == "cuda" and network.spec.spatial_dims == 2:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    protocol = Protocol(network, defense, autocast=True)
    parties = [*network.encoders, network.server]
    optimizers = [torch.optim.Adam(party.parameters(), settings.learning_rate) for party in parties]
    count = len(data.masks)
    steps = -(-count // settings.batch_size)
    total = steps * settings.epochs
    history = resume(folder, network, optimizers, settings.kept)
    pin = device.type == "cuda"
    for epoch in range(len(history), settings.epochs):
        network.train()
        order = torch.randperm(count, generator=generator_for(seed, "order", epoch))
        losses = []
        for step, index in enumerate(order.split(settings.batch_size)):
            flips = _flips(seed, epoch, step)
            views = [_batch(view, index, flips, device, pin) for view in data.views]
            masks = _batch(data.masks, index, flips, device, pin)
            done = epoch * steps + step
            for optimizer in optimizers:
                optimizer.zero_grad(set_to_none=True)
                for group in optimizer.param_groups:
                    group["lr"] = _cosine(settings.learning_rate, done, total)
            losses.append(protocol.backward(views, masks, seed, "train", epoch, step))
            for optimizer in optimizers:
                optimizer.step()
            progress(done + 1, total)
        loss = float(torch.stack(losses).mean())
        if not math.isfinite(loss):
            raise CellError(f"training: the loss of epoch {epoch + 1} is not finite")
        network.eval()
        history.append({"loss": loss, "validation_dice": validate(network)})
        if len(history) in settings.kept:
            whole = len(history) in settings.keep_networks
            keep_epoch(folder, len(history), network, whole=whole)
        save_checkpoint(folder, network, optimizers, history)
    network.eval()
    return history


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
