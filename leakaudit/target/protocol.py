"""Who sends what to whom: messages between parties that never share an autograd graph.

One step of the `vanilla` variant: every data site runs its encoder and its defence and sends
activations; the label site runs the rest, computes the loss and sends back cut gradients; every
site finishes the backward pass on its own. In the `splitfed` variant a site's weight gradient
crosses to an aggregator as well.

Reference: Vepakomma et al. 2018 (arXiv:1812.00564); Thapa et al. 2020 (arXiv:2004.12088).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from monai.losses import DiceCELoss
from torch import nn

from leakaudit.api import Defense, Levels
from leakaudit.errors import CellError
from leakaudit.randomness import generator_for
from leakaudit.target.split_unet import SplitUNet


@final
@dataclass(frozen=True)
class Activations:
    """Site to label site: the released levels, detached from the site's graph."""

    levels: Levels


@final
@dataclass(frozen=True)
class CutGradients:
    """Label site to site: the gradient of the loss with respect to the released levels."""

    levels: Levels


@final
@dataclass(frozen=True)
class WeightGradients:
    """Site to aggregator (`splitfed`): gradients in the order of ``encoder.parameters()``."""

    tensors: tuple[torch.Tensor, ...]


@final
class DataSite:
    """Holds images of its own modalities and an encoder; never sees a mask."""

    def __init__(self, encoder: nn.Module, defense: Defense, *, autocast: bool = False) -> None:
        """Keep the party's encoder and the defence it applies to what it sends."""
        self.encoder = encoder
        self.defense = defense
        self.autocast = autocast
        self._released: Levels = ()

    def forward(self, images: torch.Tensor, generator: torch.Generator) -> Activations:
        """Encode, defend and send ``(B, M, *spatial)`` images."""
        with _autocast(images.device, self.autocast):
            levels = self.encoder(images)
        self._released = self.defense.release(
            tuple(level.float() for level in levels), generator=generator
        )
        return Activations(tuple(level.detach() for level in self._released))

    def backward(self, message: CutGradients) -> None:
        """Accumulate the encoder's weight gradients, back through the defence."""
        torch.autograd.backward(self._released, message.levels)
        self._released = ()

    def weight_gradients(self, message: CutGradients) -> WeightGradients:
        """The weight gradients as sent to an aggregator; nothing is accumulated."""
        gradients = torch.autograd.grad(
            self._released, tuple(self.encoder.parameters()), message.levels, allow_unused=True
        )
        self._released = ()
        return WeightGradients(
            tuple(
                torch.zeros_like(parameter) if gradient is None else gradient
                for parameter, gradient in zip(self.encoder.parameters(), gradients, strict=True)
            )
        )


@final
class LabelSite:
    """Holds masks and the rest of the network; never sees an image."""

    def __init__(self, server: nn.Module, loss: nn.Module, *, autocast: bool = False) -> None:
        """Keep the server network and the training loss."""
        self.server = server
        self.loss = loss
        self.autocast = autocast

    def step(
        self, messages: Sequence[Activations], masks: torch.Tensor
    ) -> tuple[torch.Tensor, tuple[CutGradients, ...]]:
        """Forward, loss and backward of the label site's part.

        Args:
            messages: one per site, in site order.
            masks: ``(B, *spatial)`` class indices.

        Returns:
            The loss (detached) and one message per site; the server's gradients are accumulated.
        """
        received = [
            tuple(level.detach().requires_grad_() for level in message.levels)
            for message in messages
        ]
        with _autocast(masks.device, self.autocast):
            logits = self.server(received)
        loss = self.loss(logits.float(), masks.unsqueeze(1))
        loss.backward()
        answers = tuple(
            CutGradients(tuple(_gradient(level) for level in levels)) for levels in received
        )
        return loss.detach(), answers

    def segment(self, messages: Sequence[Activations]) -> torch.Tensor:
        """Predicted classes ``(B, *spatial)``.

        Raises:
            CellError: the network's output is not finite; a class would be read into it.
        """
        with torch.no_grad():
            logits = self.server([message.levels for message in messages])
        if not bool(torch.isfinite(logits).all()):
            raise CellError("the network's output is not finite")
        predicted: torch.Tensor = logits.argmax(dim=1)
        return predicted


@final
class Protocol:
    """All parties of one Split-U-Net, and the order in which they speak."""

    def __init__(self, network: SplitUNet, defense: Defense, *, autocast: bool = False) -> None:
        """Hand every party its part of ``network``; they share nothing else.

        Args:
            network: all parties' weights.
            defense: what every data site applies to what it sends.
            autocast: compute in bfloat16 on CUDA. For training alone: releases that are measured
                or attacked stay in float32, as the adversary's own encoder does.
        """
        self.sites = [DataSite(encoder, defense, autocast=autocast) for encoder in network.encoders]
        self.label_site = LabelSite(network.server, segmentation_loss(), autocast=autocast)

    def send(
        self, views: Sequence[torch.Tensor], seed: int, *labels: object
    ) -> tuple[Activations, ...]:
        """Every site's message; its randomness is keyed by ``seed``, ``labels`` and the site."""
        return tuple(
            site.forward(view, generator_for(seed, "release", *labels, index))
            for index, (site, view) in enumerate(zip(self.sites, views, strict=True))
        )

    def backward(
        self, views: Sequence[torch.Tensor], masks: torch.Tensor, seed: int, *labels: object
    ) -> torch.Tensor:
        """One `vanilla` step without the optimizers: accumulate every party's gradients."""
        loss, answers = self.label_site.step(self.send(views, seed, *labels), masks)
        for site, answer in zip(self.sites, answers, strict=True):
            site.backward(answer)
        return loss

    def splitfed_messages(
        self, views: Sequence[torch.Tensor], masks: torch.Tensor, seed: int, *labels: object
    ) -> tuple[tuple[CutGradients, ...], tuple[WeightGradients, ...]]:
        """What returns to the sites and what they send to the aggregator for one batch.

        The accumulated gradients of the server are cleared; nothing is trained.
        """
        _, answers = self.label_site.step(self.send(views, seed, *labels), masks)
        self.label_site.server.zero_grad(set_to_none=True)
        gradients = tuple(
            site.weight_gradients(answer) for site, answer in zip(self.sites, answers, strict=True)
        )
        return answers, gradients


def segmentation_loss() -> nn.Module:
    """Dice + cross-entropy over the batch: ``loss(logits (B, C, *s), masks (B, 1, *s))``."""
    loss: nn.Module = DiceCELoss(
        include_background=False, to_onehot_y=True, softmax=True, batch=True
    )
    return loss


def _gradient(level: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(level) if level.grad is None else level.grad


def _autocast(device: torch.device, wanted: bool) -> torch.autocast:
    # bfloat16 needs no loss scaling; on other devices everything stays float32.
    return torch.autocast(
        device.type if device.type == "cuda" else "cpu",
        dtype=torch.bfloat16,
        enabled=wanted and device.type == "cuda",
    )
