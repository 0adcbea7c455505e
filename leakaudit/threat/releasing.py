"""One path for every release: of the victims, and of all images that an adversary asks about.

A defense that could tell for whom it works could hide what leaks from those who look. Each slice is
therefore released alone, by the same function in a thread of its own, with generators of the same
kind, without gradients, and in an order that nobody can foresee. What was released before is now
and then released again among what is asked: the same image with the same draws must give the same.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import final

import torch

from leakaudit.contracts import Defense
from leakaudit.errors import CellError
from leakaudit.randomness import generator_for
from leakaudit.records import ReleaseDigest
from leakaudit.target.effects import Effects
from leakaudit.types import Images, Levels, SiteLevels

# Chosen by the machine, not by a seed: an honest defense's releases do not depend on the order, and
# one that is not must not foresee it.
_CHANCE = random.SystemRandom()
# How often each kept release is made again while others are, and how many beside one call.
_AGAIN, _BESIDE = 2, 4
_PROJECTIONS = 4
# How many values of encoded slices a path holds: an adversary asks about the same slices often. A
# transcript has a path for every epoch, so that many of these stand in memory at once.
_ENCODED = 2**21
# What another processor or a GPU may change, of a level's norm. A defense that rounds, or keeps the
# greatest values, turns the last bit of a level into another released value now and then: a few of
# them change a projection by hundredths of the norm, and the norm by their share of its square.
# Another draw of all noise changes each projection by about the norm itself.
_ROUNDING = 3e-2
_ROUNDING_OF_NORM = 1e-3


@final
@dataclass
class _Kept:
    """A release that must come out the same whenever it is made."""

    image: torch.Tensor
    seed: int
    released: SiteLevels
    again: int = 0


@final
class ReleasePath:
    """Makes the releases of one system."""

    def __init__(
        self,
        encoders: Sequence[torch.nn.Module],
        defense: Defense,
        channels: Sequence[int],
        device: torch.device,
    ) -> None:
        """Take encoders and defense of a system's sites.

        Args:
            encoders: of every site, in evaluation mode.
            defense: fitted.
            channels: modalities of each site.
            device: where the sites compute.
        """
        self._encoders, self._defense = tuple(encoders), defense
        self._channels, self._device = list(channels), device
        self._kept: list[_Kept] = []
        self._fault = ""
        self._encoded: dict[tuple[int | bytes, ...], SiteLevels] = {}

    def release(
        self,
        images: Images,
        seeds: Sequence[int],
        *,
        keep: bool = False,
        watch: Effects | None = None,
    ) -> SiteLevels:
        """Return the levels that cross the cut for some slices.

        Args:
            images: ``(slices, M, *spatial)``.
            seeds: of each slice's draws.
            keep: make these releases again among later ones, and see that they are the same.
            watch: sees what the defense does.

        Returns:
            Per site its crossing levels, each ``(slices, C, *spatial)``, detached.
        """
        again = [] if watch is not None else self._due()
        asked = [(image, seed) for image, seed in zip(images, seeds, strict=True)]
        asked += [(one.image, one.seed) for one in again]
        order = list(range(len(asked)))
        _CHANCE.shuffle(order)
        watches = [None if watch is None else watch.fresh() for _ in asked]
        # From a thread the stack says nothing of who asked.
        with ThreadPoolExecutor(1, "release") as thread:
            by_place = thread.submit(self._made, asked, order, watches).result()
        made = [by_place[place] for place in range(len(asked))]
        # A sum depends on its order in the last bit, and that of the releases is random.
        for seen in watches:
            if watch is not None and seen is not None:
                watch.add(seen.sums())
        for one, released in zip(again, made[len(images) :], strict=True):
            self._compare(one, released)
        if keep:
            self._kept += [
                _Kept(image, seed, released)
                for image, seed, released in zip(images, seeds, made, strict=False)
            ]
        return together(made[: len(images)])

    def require_one_path(self) -> None:
        """Make every kept release once more, as for a query.

        Raises:
            CellError: one came out otherwise, now or before.
        """
        due = [one for one in self._kept if one.again < _AGAIN]
        _CHANCE.shuffle(due)
        for one in due:
            if not self._fault:
                released = self.release(one.image[None], [one.seed])
                self._compare(one, released)
        if self._fault:
            raise CellError(self._fault)

    def _due(self) -> list[_Kept]:
        waiting = [one for one in self._kept if one.again < _AGAIN and _CHANCE.random() < 0.25]
        return _CHANCE.sample(waiting, min(_BESIDE, len(waiting)))

    def _compare(self, one: _Kept, released: SiteLevels) -> None:
        one.again += 1
        if not _same(one.released, released, exact=self._device.type == "cpu"):
            self._fault = (
                "the defense released the same slice with the same draws in two ways: what an "
                "adversary is answered is not what is released of the victims"
            )

    def _made(
        self,
        asked: Sequence[tuple[torch.Tensor, int]],
        order: Sequence[int],
        watches: Sequence[Effects | None],
    ) -> dict[int, SiteLevels]:
        with torch.no_grad():
            return {place: self._one(*asked[place], watches[place]) for place in order}

    def _one(self, image: torch.Tensor, seed: int, watch: Effects | None) -> SiteLevels:
        sent = []
        for site, levels in enumerate(self._levels(image)):
            # A copy always: a defense cannot tell by it whether the slice was seen before.
            own = tuple(level.clone() for level in levels)
            sent.append(self._sent(own, generator_for(seed, "site", site), site, watch))
        return tuple(sent)

    def _levels(self, image: torch.Tensor) -> SiteLevels:
        """Encode a slice at every site; the answer to a slice asked about lately is kept."""
        key = (*image.shape, image.cpu().numpy().tobytes())
        levels = self._encoded.pop(key, None)
        if levels is None:
            views = image[None].to(self._device).split(self._channels, dim=1)
            levels = tuple(
                tuple(level.float() for level in encoder(view))
                for encoder, view in zip(self._encoders, views, strict=True)
            )
        self._encoded[key] = levels  # the last asked about is the last to go
        values = sum(level.numel() for site in levels for level in site)
        while len(self._encoded) * values > _ENCODED and len(self._encoded) > 1:
            del self._encoded[next(iter(self._encoded))]
        return levels

    def _sent(
        self, levels: Levels, generator: torch.Generator, site: int, watch: Effects | None
    ) -> Levels:
        if watch is None:
            sent = self._defense.release(levels, generator=generator)
        else:
            steps = self._defense.trace(levels, self._defense.draw(levels, generator))
            watch.release(steps, site)
            sent = steps[-1].after
        return tuple(level.detach() for level in sent)


def seeds_from(generator: torch.Generator, count: int) -> list[int]:
    """Seeds for as many slices that an adversary asks about, drawn by its own generator."""
    drawn = torch.randint(
        0, torch.iinfo(torch.int64).max, (count,), generator=generator, device=generator.device
    )
    return [int(seed) for seed in drawn]


def digest_of(released: SiteLevels) -> ReleaseDigest:
    """The digest by which a release is known again, to the bit or on another machine.

    Args:
        released: of the victims' middle slices, in order.
    """
    hashed = hashlib.sha256()
    projections = []
    for number, level in enumerate(level for site in released for level in site):
        values = level.detach().cpu().contiguous()
        hashed.update(str(tuple(values.shape)).encode())
        hashed.update(values.view(torch.uint8).numpy().tobytes())
        flat = values.double().nan_to_num().flatten()
        norm = float(flat.norm()) + 1e-300
        for projection in range(_PROJECTIONS):
            drawn = generator_for(0, "projection", number, projection)
            signs = torch.randint(0, 2, flat.shape, generator=drawn).double() * 2 - 1
            projections.append(float(flat @ signs) / norm)
        projections.append(norm)
    return ReleaseDigest(sha256=hashed.hexdigest(), projections=tuple(projections))


def require_same_draw(measured: ReleaseDigest, observed: ReleaseDigest) -> str:
    """Hold what the adversary is shown against what the utility was measured on.

    Returns:
        A note where they agree, but not to the bit; else empty.

    Raises:
        CellError: they are not the same release.
    """
    if measured.sha256 == observed.sha256:
        return ""
    pairs = list(zip(measured.projections, observed.projections, strict=False))
    norms = range(_PROJECTIONS, len(pairs), _PROJECTIONS + 1)
    for index, (one, other) in enumerate(pairs):
        allowed = _ROUNDING_OF_NORM * max(abs(one), abs(other)) if index in norms else _ROUNDING
        if len(measured.projections) != len(observed.projections) or abs(one - other) > allowed:
            raise CellError(
                "the victims' releases are not those that the network's worth was measured on: the "
                "defense released them otherwise when it was attacked"
            )
    return (
        "The victims' releases agree with those that the utility was measured on except for "
        "rounding, as on another processor."
    )


def together(made: Sequence[Sequence[Sequence[torch.Tensor]]]) -> SiteLevels:
    """Join the releases of single slices into one batch, level by level."""
    sites, levels = len(made[0]), len(made[0][0])
    return tuple(
        tuple(torch.cat([one[site][level] for one in made]) for level in range(levels))
        for site in range(sites)
    )


def _same(one: SiteLevels, other: SiteLevels, *, exact: bool) -> bool:
    for first, second in zip(_flat(one), _flat(other), strict=True):
        if first.shape != second.shape:
            return False
        if exact and not torch.equal(first.nan_to_num(), second.nan_to_num()):
            return False
        # A GPU adds in another order now and then, and what a defense rounds may fall elsewhere.
        scale = float(first.double().norm()) + 1e-300
        if not exact and float((first.double() - second.double()).norm()) > _ROUNDING * scale:
            return False
    return True


def _flat(released: SiteLevels) -> list[torch.Tensor]:
    return [level for site in released for level in site]
