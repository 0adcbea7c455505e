"""The protocol: messages between parties that never share an autograd graph.

One step of the `vanilla` variant: every data site runs its encoder and its defense and sends
activations; the label site runs the rest, computes the loss and sends back cut gradients; every
site finishes the backward pass on its own. In the `splitfed` variant a site's weight gradient
crosses to an aggregator as well. In the `u_shaped` variant the masks stay at a hospital with the
last layer: the server runs what lies between, and there are two cuts. All three compute the same.

Reference: Vepakomma et al. 2018 (arXiv:1812.00564); Thapa et al. 2020 (arXiv:2004.12088).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import final

import torch

from leakaudit.api import Defense
from leakaudit.randomness import generator_for
from leakaudit.target.effects import Effects
from leakaudit.target.loss import segmentation_loss
from leakaudit.target.parties import (
    Activations,
    BodySite,
    CutGradients,
    DataSite,
    HeadSite,
    LabelSite,
    WeightGradients,
)
from leakaudit.target.private_party import Records
from leakaudit.target.split_unet import SplitUNet


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
        summed = defense.privatizes("encoder") or defense.privatizes("server")
        self.sites = [
            DataSite(
                encoder,
                defense,
                index=site,
                companions=network.companions_of(site),
                summed_loss=summed,
                autocast=autocast,
            )
            for site, encoder in enumerate(network.encoders)
        ]
        self._defense = defense
        loss = segmentation_loss(per_sample=summed)
        self.label_site = LabelSite(network.server, loss, defense, autocast=autocast)

    def watched(self, effects: Effects | None) -> None:
        """From now on ``effects`` sees what the defense does in this protocol."""
        self.label_site.watch = effects
        for site in self.sites:
            site.watch = effects

    def send(
        self, views: Sequence[torch.Tensor], seed: int, *labels: object
    ) -> tuple[Activations, ...]:
        """Every site's message; see `sent_by`."""
        return sent_by(self.sites, views, seed, *labels)

    def backward(
        self,
        views: Sequence[torch.Tensor],
        masks: torch.Tensor,
        seed: int,
        *labels: object,
        patients: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """One `vanilla` step without the optimizers: accumulate every party's gradients.

        Args:
            views: per site its images.
            masks: of the label site.
            seed: of all randomness, with ``labels``.
            *labels: what the step is.
            patients: which patient each sample belongs to, ``(B,)``, for a private training; each
                its own if not given.
        """
        messages = self.send(views, seed, *labels)
        loss, answers = self.label_site.step(
            messages,
            masks,
            partial(generator_for, seed, "returned", *labels),
            Records(patients, generator_for(seed, "update", *labels, "server")),
        )
        for index, (site, answer) in enumerate(zip(self.sites, answers, strict=True)):
            site.backward(answer, Records(patients, generator_for(seed, "update", *labels, index)))
        return loss

    def u_shaped_backward(
        self, views: Sequence[torch.Tensor], masks: torch.Tensor, seed: int, *labels: object
    ) -> torch.Tensor:
        """Run a step with the masks at a hospital: accumulate every party's gradients."""
        server = self.label_site.server
        body = BodySite(server)
        head = HeadSite(server, self.label_site.loss, self._defense)
        loss, answer = head.step(
            body.forward(self.send(views, seed, *labels)),
            masks,
            generator_for(seed, "returned", *labels),
        )
        for site, returned in zip(self.sites, body.backward(answer), strict=True):
            site.backward(returned)
        return loss

    def splitfed_messages(
        self, views: Sequence[torch.Tensor], masks: torch.Tensor, seed: int, *labels: object
    ) -> tuple[tuple[CutGradients, ...], tuple[WeightGradients, ...]]:
        """Return one batch's gradients to the sites, and the sites' messages to the aggregator.

        The accumulated gradients of the server are cleared; nothing is trained.
        """
        _, answers = self.label_site.step(
            self.send(views, seed, *labels),
            masks,
            partial(generator_for, seed, "returned", *labels),
            Records(None, generator_for(seed, "update", *labels, "server")),
        )
        self.label_site.server.zero_grad(set_to_none=True)
        gradients = tuple(
            site.weight_gradients(
                answer, Records(None, generator_for(seed, "update", *labels, index))
            )
            for index, (site, answer) in enumerate(zip(self.sites, answers, strict=True))
        )
        return answers, gradients


def sent_by(
    sites: Sequence[DataSite], views: Sequence[torch.Tensor], seed: int, *labels: object
) -> tuple[Activations, ...]:
    """Every site's message; its randomness is keyed by ``seed``, ``labels`` and the site."""
    return tuple(
        site.forward(view, generator_for(seed, "release", *labels, index))
        for index, (site, view) in enumerate(zip(sites, views, strict=True))
    )
