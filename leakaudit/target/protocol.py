"""Who sends what to whom: messages between parties that never share an autograd graph.

One step of the `vanilla` variant: every data site runs its encoder and its defence and sends
activations; the label site runs the rest, computes the loss and sends back cut gradients; every
site finishes the backward pass on its own. In the `splitfed` variant a site's weight gradient
crosses to an aggregator as well. In the `u_shaped` variant the masks stay at a hospital with the
last layer: the server runs what lies between, and there are two cuts. All three compute the same.

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
from leakaudit.target.split_unet import Server, SplitUNet


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
@dataclass(frozen=True)
class Features:
    """Server to the head (`u_shaped`): what the last layer is given, ``(B, C, *spatial)``."""

    tensor: torch.Tensor


@final
@dataclass(frozen=True)
class FeatureGradient:
    """Head to server (`u_shaped`): the gradient of the loss with respect to the features."""

    tensor: torch.Tensor


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

    def __init__(self, server: Server, loss: nn.Module, *, autocast: bool = False) -> None:
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
        received = _received(messages)
        with _autocast(masks.device, self.autocast):
            logits = self.server(received)
        loss = self.loss(logits.float(), masks.unsqueeze(1))
        loss.backward()
        return loss.detach(), _answers(received)

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
class BodySite:
    """The server of the `u_shaped` variant: neither image nor mask, and not the last layer."""

    def __init__(self, server: Server) -> None:
        """Keep all of the server's network but the classifier."""
        self.server = server
        self._received: list[Levels] = []
        self._features = torch.empty(0)

    def forward(self, messages: Sequence[Activations]) -> Features:
        """Send to the head what its layer is to be given."""
        self._received = _received(messages)
        self._features = self.server.features(self._received)
        return Features(self._features.detach())

    def backward(self, message: FeatureGradient) -> tuple[CutGradients, ...]:
        """Accumulate its own gradients and answer every site."""
        self._features.backward(message.tensor)
        return _answers(self._received)


@final
class HeadSite:
    """The hospital that holds the masks in the `u_shaped` variant, and the last layer."""

    def __init__(self, server: Server, loss: nn.Module) -> None:
        """Keep the classifier and the training loss."""
        self.classifier = server.classifier
        self.loss = loss

    def step(self, message: Features, masks: torch.Tensor) -> tuple[torch.Tensor, FeatureGradient]:
        """The loss (detached) and what returns; the classifier's gradients are accumulated."""
        received = message.tensor.detach().requires_grad_()
        loss = self.loss(self.classifier(received), masks.unsqueeze(1))
        loss.backward()
        return loss.detach(), FeatureGradient(_gradient(received))


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

    def u_shaped_backward(
        self, views: Sequence[torch.Tensor], masks: torch.Tensor, seed: int, *labels: object
    ) -> torch.Tensor:
        """The same step with the masks at a hospital: accumulate every party's gradients."""
        server = self.label_site.server
        body, head = BodySite(server), HeadSite(server, self.label_site.loss)
        loss, answer = head.step(body.forward(self.send(views, seed, *labels)), masks)
        for site, returned in zip(self.sites, body.backward(answer), strict=True):
            site.backward(returned)
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


def _received(messages: Sequence[Activations]) -> list[Levels]:
    return [tuple(level.detach().requires_grad_() for level in one.levels) for one in messages]


def _answers(received: Sequence[Levels]) -> tuple[CutGradients, ...]:
    return tuple(CutGradients(tuple(_gradient(level) for level in levels)) for levels in received)


def _gradient(level: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(level) if level.grad is None else level.grad


def _autocast(device: torch.device, wanted: bool) -> torch.autocast:
    # bfloat16 needs no loss scaling; on other devices everything stays float32.
    return torch.autocast(
        device.type if device.type == "cuda" else "cpu",
        dtype=torch.bfloat16,
        enabled=wanted and device.type == "cuda",
    )
