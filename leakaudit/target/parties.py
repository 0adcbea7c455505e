"""The parties of a Split-U-Net and the messages that pass between them; they share no graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import nn

from leakaudit.api import Defense, Levels
from leakaudit.errors import CellError
from leakaudit.target.effects import Effects
from leakaudit.target.loss import SummedLoss
from leakaudit.target.private_party import PrivateParty, Records
from leakaudit.target.split_unet import Server


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

    def __init__(
        self,
        encoder: nn.Module,
        defense: Defense,
        *,
        index: int = 0,
        companions: Mapping[str, nn.Module] | None = None,
        summed_loss: bool = False,
        autocast: bool = False,
    ) -> None:
        """Keep the party's encoder, the defense it applies to what it sends, its companions.

        With a ``summed_loss`` what returns is the gradient of a sum over samples, not of a mean.
        """
        self.encoder = encoder
        self.defense = defense
        self.companions = companions or {}
        self.summed_loss = summed_loss
        self.index = index
        self.autocast = autocast
        self.watch: Effects | None = None
        self._private = PrivateParty.of(encoder, defense, "encoder")
        self._images = torch.empty(0)
        self._released: Levels = ()

    def forward(self, images: torch.Tensor, generator: torch.Generator) -> Activations:
        """Encode, defend and send ``(B, M, *spatial)`` images."""
        if self._private is not None and torch.is_grad_enabled():
            self._private.listen()
            # The hooks that record want a gradient to pass the first layer.
            images = images.detach().requires_grad_()
        with _autocast(images.device, self.autocast and self._private is None):
            levels = self.encoder(images)
        levels = tuple(level.float() for level in levels)
        if self.watch is None or not self.watch.looking:
            released = self.defense.release(levels, generator=generator)
        else:
            steps = self.defense.trace(levels, self.defense.draw(levels, generator))
            self.watch.release(steps, self.index)
            released = steps[-1].after
        self._images, self._released = images, released
        return Activations(tuple(level.detach() for level in self._released))

    def backward(self, message: CutGradients, records: Records | None = None) -> None:
        """Accumulate the encoder's weight gradients, back through the defense.

        Args:
            message: what returned.
            records: for a private training, which patient each sample belongs to and how to draw.
        """
        parameters = tuple(self.encoder.parameters())
        self._teach_companions()
        for parameter, gradient in zip(parameters, self._gradients(message, records), strict=True):
            if gradient is not None:
                parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
        self._forget()

    def weight_gradients(
        self, message: CutGradients, records: Records | None = None
    ) -> WeightGradients:
        """The weight gradients as sent to an aggregator; nothing is accumulated."""
        gradients = self._gradients(message, records)
        self._forget()
        return WeightGradients(
            tuple(
                torch.zeros_like(parameter) if gradient is None else gradient
                for parameter, gradient in zip(self.encoder.parameters(), gradients, strict=True)
            )
        )

    def _gradients(
        self, message: CutGradients, records: Records | None
    ) -> tuple[torch.Tensor | None, ...]:
        parameters = tuple(self.encoder.parameters())
        # A private training's loss is a sum over samples, also with one private party; a penalty is
        # one of the batch.
        weight = len(self._images) if self.summed_loss else 1
        penalties = tuple(weight * penalty for penalty in self._penalties())
        pairs = (
            *zip(self._released, message.levels, strict=True),
            *((penalty, torch.ones_like(penalty)) for penalty in penalties),
        )
        # A release that does not depend on the levels leads back to no weight.
        leading = [(output, answer) for output, answer in pairs if output.requires_grad]
        outputs, answers = ([pair[side] for pair in leading] for side in (0, 1))
        if self._private is None:
            if not leading:
                return (None,) * len(parameters)
            return torch.autograd.grad(outputs, parameters, answers, allow_unused=True)
        if leading:
            torch.autograd.backward(outputs, answers, inputs=(*parameters, self._images))
        return self._private.learned(len(self._images), records, self.watch)

    def _penalties(self) -> Iterator[torch.Tensor]:
        for index, part in enumerate(self.defense.parts):
            companion = self.companions.get(str(index))
            penalty = part.penalty(self._images, self._released, companion)
            if penalty is not None:
                if self.watch is not None:
                    self.watch.penalty(index, penalty)
                yield penalty

    def _teach_companions(self) -> None:
        released = tuple(level.detach() for level in self._released)
        for index, companion in self.companions.items():
            part = self.defense.parts[int(index)]
            loss = part.companion_loss(companion, self._images, released)
            torch.autograd.backward(loss, inputs=tuple(companion.parameters()))

    def _forget(self) -> None:
        self._images, self._released = torch.empty(0), ()


@final
class LabelSite:
    """Holds masks and the rest of the network; never sees an image."""

    def __init__(
        self,
        server: Server,
        loss: nn.Module,
        defense: Defense | None = None,
        *,
        autocast: bool = False,
    ) -> None:
        """Keep the server network, the training loss and the defense of what returns."""
        self.server = server
        self.loss = loss
        self.defense = defense
        self.autocast = autocast
        self.watch: Effects | None = None
        self._private = PrivateParty.of(server, defense, "server") if defense else None

    def step(
        self,
        messages: Sequence[Activations],
        masks: torch.Tensor,
        draw: Callable[[object], torch.Generator] | None = None,
        records: Records | None = None,
    ) -> tuple[torch.Tensor, tuple[CutGradients, ...]]:
        """Forward, loss and backward of the label site's part.

        Args:
            messages: one per site, in site order.
            masks: ``(B, *spatial)`` class indices.
            draw: the randomness of what returns to a site; without it the gradients return as
                they are.
            records: for a private training, as in `DataSite.backward`.

        Returns:
            The loss (detached) and one message per site; the server's gradients are accumulated.
        """
        received = _received(messages)
        if self._private is not None:
            self._private.listen()
        with _autocast(masks.device, self.autocast and self._private is None):
            logits = self.server(received)
        loss = self.loss(logits.float(), masks.unsqueeze(1))
        loss.backward()
        if self._private is not None:
            learned = self._private.learned(len(masks), records, self.watch)
            for parameter, gradient in zip(self.server.parameters(), learned, strict=True):
                parameter.grad = gradient
        if isinstance(self.loss, SummedLoss):
            loss = loss / len(
                masks
            )  # as it is reported elsewhere; the gradients stay those of sums
        answers = _answers(received)
        if draw is not None and self.defense is not None:
            answers = tuple(
                CutGradients(_returned(self.defense, answer.levels, draw(index), self.watch))
                for index, answer in enumerate(answers)
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

    def __init__(self, server: Server, loss: nn.Module, defense: Defense) -> None:
        """Keep the classifier, the training loss and the defense of what returns."""
        self.classifier = server.classifier
        self.loss = loss
        self.defense = defense

    def step(
        self,
        message: Features,
        masks: torch.Tensor,
        generator: torch.Generator | None = None,
    ) -> tuple[torch.Tensor, FeatureGradient]:
        """The loss (detached) and what returns; the classifier's gradients are accumulated.

        Without a ``generator`` the gradient returns as it is.
        """
        received = message.tensor.detach().requires_grad_()
        loss = self.loss(self.classifier(received), masks.unsqueeze(1))
        loss.backward()
        gradient = _gradient(received)
        if generator is not None:
            (gradient,) = _returned(self.defense, (gradient,), generator, None)
        return loss.detach(), FeatureGradient(gradient)


def _returned(
    defense: Defense, gradients: Levels, generator: torch.Generator, watch: Effects | None
) -> Levels:
    steps = defense.trace_returned(gradients, defense.draw_returned(gradients, generator))
    if watch is not None and watch.looking:
        watch.returned(steps)
    return steps[-1].after


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
