"""Pseudo-clients: encoders that are trained to release what the sites' own encoders release."""

from __future__ import annotations

from typing import final

import torch
from torch import nn
from torch.nn import functional

from leakaudit.api import Images, Levels, Masks, Observation, SiteLevels
from leakaudit_attacks.decoding.decoder import Decoder, Pairs, integer, joined
from leakaudit_attacks.decoding.release_statistics import ReleaseStatistics


@final
class PseudoClients:
    """Untrained encoders of the known architecture, and what they are to satisfy.

    Their releases, the defense on, are to be segmented by the label site's own network, to look
    like the cohort's releases, and, taken from the decoder's image of a cohort's release, to be
    that release again.
    """

    def __init__(
        self,
        observation: Observation,
        generator: torch.Generator,
        *,
        batch_size: int,
        weights: tuple[float, float, float],
        mirror: bool,
        shuffle: bool,
    ) -> None:
        """Build them.

        Args:
            observation: architecture, server, cohort's releases, defense, auxiliary patients.
            generator: of every draw.
            batch_size: auxiliary slices, and cohort's releases, per step.
            weights: of segmentation, of the statistics, of the way back and forth.
            mirror: half of the time mirror a batch left to right, masks alike.
            shuffle: pair every release with another slice of the batch, so that nothing can be
                learned of a release from it.
        """
        self._layout, self._auxiliary = observation.layout, observation.auxiliary
        self._server, self._defense = observation.server_network, observation.defense
        self._cohort = joined(observation.cohort_releases)
        self.statistics = ReleaseStatistics(self._cohort)
        device = self._cohort[0].device
        untrained = observation.untrained_encoders(integer(2**31, generator))
        self.encoders = nn.ModuleList(untrained).to(device).requires_grad_()
        self._generator, self._batch_size = generator, batch_size
        self._weights, self._mirror, self._shift = weights, mirror, int(shuffle)
        self._asked: tuple[Masks, SiteLevels] | None = None

    def batch(self) -> Pairs:
        """Scaled releases of auxiliary slices drawn at random, and the slices."""
        images = self._auxiliary.images
        chosen = self._drawn(len(images)).to(images.device)
        axes = [-1] if self._mirror and integer(2, self._generator) else []
        images, masks = images[chosen].flip(axes), self._masks()[chosen].flip(axes)
        released = self._released(images, self._generator)
        self._asked = masks, released
        return self._paired(joined(released), images)

    def probe(self, images: Images, seed: int) -> Pairs:
        """Return pairs for given slices and draws, without a trace."""
        with torch.no_grad():
            released = self._released(images, torch.Generator().manual_seed(seed))
        return self._paired(joined(released), images)

    def misfit(self, decoder: Decoder) -> torch.Tensor:
        """How far they are from what they are to satisfy, on the latest batch; a scalar."""
        if self._asked is None:
            raise RuntimeError("ask for a batch first")
        masks, released = self._asked
        segmenting, alike, returning = self._weights
        logits = self._server(released)
        task = functional.cross_entropy(logits, masks)
        distance = self.statistics.distance(self.statistics.scaled(joined(released)))
        total = segmenting * task + alike * distance
        return total + returning * self._return(decoder)

    def _return(self, decoder: Decoder) -> torch.Tensor:
        """Decode releases of the cohort, encode the images: mean squared error, a scalar."""
        chosen = self._drawn(len(self._cohort[0])).to(self._cohort[0].device)
        received = self.statistics.scaled(tuple(level[chosen] for level in self._cohort))
        images = decoder(received)
        again = joined(tuple(self._defense.expected(levels) for levels in self._encoded(images)))
        errors = [
            (found - level.roll(self._shift, 0)).square().mean()
            for found, level in zip(self.statistics.scaled(again), received, strict=True)
        ]
        return torch.stack(errors).mean()

    def _paired(self, levels: Levels, images: Images) -> Pairs:
        scaled = self.statistics.scaled(tuple(level.detach() for level in levels))
        return scaled, images.roll(self._shift, 0)

    def _encoded(self, images: Images) -> SiteLevels:
        views = self._layout.views(images)
        return tuple(encoder(view) for encoder, view in zip(self.encoders, views, strict=True))

    def _released(self, images: Images, generator: torch.Generator) -> SiteLevels:
        return tuple(
            self._defense.release(levels, generator=generator) for levels in self._encoded(images)
        )

    def _masks(self) -> Masks:
        if self._auxiliary.masks is None:
            raise RuntimeError("a label site without masks of its own patients")
        return self._auxiliary.masks

    def _drawn(self, below: int) -> torch.Tensor:
        chosen = [integer(below, self._generator) for _ in range(self._batch_size)]
        return torch.tensor(chosen)
