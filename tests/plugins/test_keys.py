"""What hides a release behind a draw: a key sent along, or few drawn numbers, and false hints."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

import pytest
import torch

from leakaudit.audit.scoring import caveats
from leakaudit.contracts import Defense, Evidence, hints_hold, measured
from leakaudit.contracts.measuring import exchanging
from leakaudit.contracts.measuring.keys import sends_its_key
from leakaudit.contracts.measuring.seeds import few_draws_decide, seed_decides
from leakaudit.randomness import generator_for, normal_like
from leakaudit.types import Levels
from leakaudit_defenses.activation_dropout import ActivationDropout
from leakaudit_defenses.dp_gaussian import DpGaussian
from leakaudit_defenses.gaussian_noise import GaussianNoise

SEEDS = range(4)


def levels_of(*shapes: tuple[int, ...], samples: int = 4) -> Levels:
    return tuple(
        normal_like(torch.empty(samples, *shape), generator_for(number, "levels"))
        for number, shape in enumerate(shapes)
    )


LEVELS = levels_of((3, 12, 12), (4, 6, 6))
SOLID = levels_of((2, 6, 6, 6), (3, 3, 3, 3), samples=2)


def one_each(levels: Levels) -> torch.Tensor:
    return torch.empty(len(levels[0]), *(1,) * (levels[0].ndim - 1))


class Coin(Defense):
    """A drawn sign, the same for all levels of a sample, and nobody is told."""

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        return (normal_like(one_each(levels), generator).sign(),)

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return tuple(level * drawn[0] for level in levels)


class Scaled(Coin):
    """A drawn scale of either sign."""

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        return (normal_like(one_each(levels), generator),)


class Rolled(Scaled):
    """All positions moved by a drawn distance."""

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        by = (drawn[0].flatten() * 1e3).long()
        return tuple(
            torch.stack(
                [
                    one.roll(int(far), -1).roll(int(far) // 7, -2)
                    for one, far in zip(level, by, strict=True)
                ]
            )
            for level in levels
        )


def lying(kind: type[Defense]) -> Defense:
    """The same, of which it is said that a release says nothing of nothing."""

    class Lies(kind):  # type: ignore[valid-type, misc]
        def expected(self, levels: Levels) -> Levels:
            return tuple(0 * level for level in levels)

        def evidence(self, released: Levels) -> Evidence:
            return Evidence(
                values=tuple(torch.zeros_like(level) for level in released),
                variances=tuple(torch.full_like(level, math.inf) for level in released),
            )

    return Lies()


@pytest.mark.parametrize("levels", [LEVELS, SOLID], ids=["2D", "3D"])
@pytest.mark.parametrize("most", [2**27, 2**15, 1])
def test_a_coin_is_few_draws_by_any_seed_and_in_any_memory(
    levels: Levels, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[measured.__module__], "_MOST", most)
    monkeypatch.setattr(sys.modules[sends_its_key.__module__], "_MOST", most)
    monkeypatch.setattr(exchanging, "_MOST", most)
    for seed in SEEDS:
        assert few_draws_decide(Coin(), levels, measured(Coin(), levels, seed), seed)


@pytest.mark.parametrize("kind", [Coin, Rolled, Scaled])
def test_to_say_that_nothing_is_known_is_no_excuse(kind: type[Defense]) -> None:
    defense = lying(kind)
    for seed in SEEDS:
        assert not hints_hold(defense, LEVELS, measured(defense, LEVELS, seed), seed)
    assert "few draws" in [doubt.kind for doubt in caveats._of_defense(defense, (LEVELS,))]


class OrderAndSign(Defense):
    """A fresh order and fresh signs of the positions of every release."""

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        return tuple(normal_like(level, generator) for level in levels)

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return tuple(
            (level.flatten(2).gather(2, one.argsort(2)) * one.sign()).view_as(level)
            for level, one in (
                (level, one.flatten(2)) for level, one in zip(levels, drawn, strict=True)
            )
        )


class OrderWithKey(OrderAndSign):
    """A fresh order, and in channel 0 the key to it, impure by some of the level, or faint."""

    def __init__(self, scale: float, impure: float) -> None:
        self.scale, self.impure = scale, impure

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        released = []
        for level, scores in zip(levels, drawn, strict=True):
            order = scores[:, :1].flatten(2).argsort(2)
            moved = level.flatten(2).gather(2, order.expand(-1, level.shape[1], -1))
            key = self.scale * order / order.shape[2] + self.impure * level.flatten(2)[:, :1]
            released.append(torch.cat([key, moved[:, 1:]], dim=1).view_as(level))
        return tuple(released)


class Constant(Defense):
    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        return ()

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return tuple(torch.zeros_like(level) for level in levels)


class Mean(Constant):
    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return tuple(level.mean(dim=(2, 3), keepdim=True).expand_as(level) for level in levels)


@pytest.mark.parametrize("samples", [1, 2, 4])
@pytest.mark.parametrize(("scale", "impure"), [(1.0, 0.0), (1.0, 1e-4), (1e-3, 0.0), (1e-9, 0.0)])
def test_a_key_is_found_pure_impure_or_faint(scale: float, impure: float, samples: int) -> None:
    levels = tuple(level[:samples] for level in LEVELS)
    for seed in SEEDS:
        assert sends_its_key(OrderWithKey(scale, impure), levels, seed)


@pytest.mark.parametrize(
    "defense",
    [
        OrderAndSign(),
        *(GaussianNoise(std=std) for std in (1.0, 1e3, 1e9)),
        Constant(),
        Mean(),
        DpGaussian(clip=1.0, noise_std=0.5, releases=1),
        ActivationDropout(),
    ],
    ids=lambda one: type(one).__name__,
)
def test_what_sends_no_key_is_not_doubted_even_with_a_background(defense: Defense) -> None:
    framed = tuple(level.clone() for level in LEVELS)
    for level in framed:
        level[..., :2] = level[..., -2:] = 0.3
    flat = (framed[0], torch.full_like(framed[1], 0.3))
    for levels in (LEVELS, framed, flat, tuple(level[:1] for level in framed)):
        assert not list(caveats._of_defense(defense, (levels,)))


def noise_of(seeds: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
    """Noise from a seed for each sample."""
    return torch.stack(
        [
            normal_like(one, generator_for(int(seed), "noise"))
            for seed, one in zip(seeds, level, strict=True)
        ]
    )


def seed_sent(level: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    seeds = (1000 * drawn.flatten(1)[:, 7]).long()
    released = level + 100 * noise_of(seeds, level)
    released[:, 0, 0, 0] = seeds.to(level)
    return released


def seed_kept(level: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    return level + 100 * noise_of((1000 * drawn.flatten(1)[:, 7]).long(), level)


def seed_beneath_noise(level: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    return seed_kept(level, drawn) + 100 * drawn.roll(1, 1)


def rarely_kept(level: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    return level * (drawn.abs() > 3.2)


def norm_alone(level: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    size = level.flatten(1).norm(dim=1) / drawn.flatten(1).norm(dim=1)
    released: torch.Tensor = drawn * size[:, None, None, None]
    return released


def offset_and_noise(level: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    return level + 1e3 * drawn[:, :, :1, :1] + 100 * drawn.roll(1, 1)


def waves(level: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    coarse = drawn[:, :, :3, :3]
    noise = torch.nn.functional.interpolate(coarse, size=level.shape[2:], mode="bilinear")
    return level + 50 * noise


class Drawn(Defense):
    """What becomes of each level with a draw of its shape."""

    def __init__(self, change: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        self.change = change

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        return tuple(normal_like(level, generator) for level in levels)

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return tuple(map(self.change, levels, drawn))


def test_a_seed_that_is_sent_in_one_value_is_a_key() -> None:
    for seed in SEEDS:
        assert sends_its_key(Drawn(seed_sent), LEVELS, seed)


def test_noise_out_of_one_number_may_be_guessed() -> None:
    defense = Drawn(seed_kept)
    for seed in SEEDS:
        assert seed_decides(defense, LEVELS, measured(defense, LEVELS, seed), seed)
    assert [doubt.kind for doubt in caveats._of_defense(defense, (LEVELS,))] == ["few draws"]


@pytest.mark.parametrize(
    "change",
    [seed_beneath_noise, rarely_kept, norm_alone, offset_and_noise, waves],
    ids=lambda one: one.__name__,
)
def test_what_no_guess_and_no_value_unlocks_is_not_doubted(
    change: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
) -> None:
    for levels in (LEVELS, tuple(level[:1] for level in LEVELS)):
        assert not list(caveats._of_defense(Drawn(change), (levels,)))
