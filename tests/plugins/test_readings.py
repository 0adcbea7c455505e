"""Releases that carry the whole image in disguise are read by what own patients show."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.nn import functional

from leakaudit.types import Images, Levels
from leakaudit_attacks.reading_releases import ordering
from leakaudit_attacks.reading_releases.reader import LevelReading, best_reading
from leakaudit_attacks.reading_releases.screening import Own, Places, local_error
from leakaudit_attacks.reading_releases.standardising import Standard
from tests.tiny import tiny_patients

SIZE, CHANNELS = 16, 5
IMAGES = torch.cat(
    [torch.from_numpy(each.images) for each in tiny_patients(6, slices=2, size=SIZE, seed=5)]
)
OWN = Own(images=IMAGES, held=torch.arange(len(IMAGES)) < 4)
Disguise = Callable[[torch.Tensor, torch.Generator], torch.Tensor]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def encoded(images: Images) -> torch.Tensor:
    """A small convolution, ``(N, 5, 16, 16)``, most of it at the position itself."""
    kernel = 0.1 * torch.randn(CHANNELS, images.shape[1], 3, 3, generator=seeded(1))
    kernel[:, :, 1, 1] += torch.eye(CHANNELS, images.shape[1])
    return functional.leaky_relu(functional.conv2d(images, kernel, padding=1), 0.1)


def moved(level: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    flat = level.flatten(2)
    return flat.gather(2, order.expand_as(flat)).view_as(level)


def as_it_is(level: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
    return level


def fixed_noise(level: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
    return level + 50 * torch.randn(level.shape[1:], generator=seeded(2))


def fixed_order(level: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
    return moved(level, torch.randperm(SIZE**2, generator=seeded(3)))


def order_of_each_channel(level: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
    return moved(level, torch.rand(CHANNELS, SIZE**2, generator=seeded(4)).argsort(dim=1))


def rotation(level: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
    turn, _ = torch.linalg.qr(torch.randn(SIZE**2, SIZE**2, generator=seeded(6)))
    return torch.matmul(level.flatten(2), turn).view_as(level)


def order_with_its_key(level: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
    order = torch.rand(len(level), 1, SIZE**2, generator=draws).argsort(dim=2)
    released = moved(level, order)
    released[:, 2] = 1e-3 * order.view(-1, SIZE, SIZE)
    return released


def order_with_the_inverse_of_its_key(level: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
    order = torch.rand(len(level), 1, SIZE**2, generator=draws).argsort(dim=2)
    released = moved(level, order)
    released[:, 2] = order.argsort(dim=2).float().view(-1, SIZE, SIZE)
    return released


def offset_of_each_channel(level: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
    return level + 1e3 * torch.randn(*level.shape[:2], 1, 1, generator=draws)


def offset_of_each_line(level: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
    return level + 1e3 * torch.randn(*level.shape[:3], 1, generator=draws)


def offset_of_each_tile(level: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
    tiles = torch.randn(*level.shape[:2], SIZE // 4, SIZE // 4, generator=draws)
    return level + 1e3 * tiles.repeat_interleave(4, 2).repeat_interleave(4, 3)


def third_decimal(level: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
    coarse = torch.randn(level.shape, generator=draws).mul(100).round() / 100
    return coarse + 0.001 * (level - level.min()) / 20


def mantissa(level: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
    exponent = torch.randint(-8, 8, level.shape, generator=draws)
    coarse = torch.randint(64, 127, level.shape, generator=draws) / 128
    return torch.ldexp(coarse + 0.02 / 128 * level, exponent)


def read(disguise: Disguise, seed: int = 0) -> tuple[LevelReading, float]:
    """How it is read, and how well it is without any of the ways."""
    draws = seeded(seed)

    def ask(images: Images) -> Levels:
        return (disguise(encoded(images), draws),)

    released = ask(IMAGES)
    again = ask(IMAGES)
    (found,) = best_reading([0], OWN, released, ask, 1, draws, again).levels.values()
    return found, local_error(Standard(released[0])(released[0]), OWN)


@pytest.mark.parametrize(
    ("disguise", "words"),
    [
        (fixed_noise, "what is the same in every release subtracted"),
        (fixed_order, "a fixed order of positions undone, the same for all channels"),
        (order_of_each_channel, "a fixed order of positions undone, one for each channel"),
        (rotation, "a coarse image found from all positions together"),
        (order_with_its_key, "the order that channel 2 holds undone"),
        (order_with_the_inverse_of_its_key, "the order that channel 2 holds undone"),
        (offset_of_each_channel, "each channel's mean subtracted"),
        (offset_of_each_line, "the means of lines subtracted"),
        (third_decimal, "the digits below"),
        (mantissa, "the digits of the mantissa below"),
    ],
)
def test_a_disguise_is_undone(disguise: Disguise, words: str) -> None:
    found, plain = read(disguise)
    assert plain > 0.9, "the disguise must work"
    assert found.error < 0.5
    assert any(words in each for each in found.words)


def test_what_is_plain_is_read_plainly() -> None:
    found, plain = read(lambda level, _: 1e-9 * level)
    assert found.error == plain < 0.5
    assert not found.ways
    assert not found.words


def half_dropped(level: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
    return torch.where(torch.rand(level.shape, generator=draws) > 0.5, 2 * level, 0.0)


@pytest.mark.parametrize("release", [as_it_is, half_dropped])
def test_each_channel_is_shown_alone_and_mixed(release: Disguise) -> None:
    found, _ = read(release)
    level = encoded(IMAGES)
    without = level.clone()
    without[:, 3] = 0
    changed = (found(level) != found(without)).flatten(2).any(dim=-1).any(dim=0)
    assert changed[:CHANNELS].all(), "every uncorrelated channel has a part in it"
    assert int(changed[CHANNELS:].sum()) == 1


def test_where_nothing_is_told_nothing_is_found() -> None:
    def noise(level: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
        return torch.randn(level.shape, generator=draws)

    def order_and_sign(level: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
        order = torch.rand(len(level), 1, SIZE**2, generator=draws).argsort(dim=2)
        return moved(level, order) * torch.randn(level.shape, generator=draws).sign()

    for nothing in (noise, order_and_sign, lambda level, _: torch.zeros_like(level)):
        found, _ = read(nothing)
        assert found.error > 0.9
        assert not found.words


def nothing_at_all(level: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
    return torch.zeros_like(level)


def fresh_noise(level: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
    return torch.randn(level.shape, generator=draws)


@pytest.mark.parametrize(
    ("shallow", "deep", "words"),
    [
        (nothing_at_all, fixed_order, "a fixed order of positions undone"),
        (fresh_noise, fixed_order, "a fixed order of positions undone"),
        (nothing_at_all, rotation, "a coarse image found from all positions together"),
    ],
)
def test_a_level_is_searched_below_one_that_says_nothing(
    shallow: Disguise, deep: Disguise, words: str
) -> None:
    draws = seeded()

    def ask(images: Images) -> Levels:
        level = encoded(images)
        return shallow(level, draws), deep(level, draws)

    found = best_reading([0, 1], OWN, ask(IMAGES), ask, 1, draws).levels
    assert found[0].error > 0.9
    assert found[1].error < 0.5
    assert any(words in each for each in found[1].words)


def test_an_order_is_found_where_few_channels_fit_into_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ordering, "_MOST", 100 * CHANNELS * SIZE**2)
    monkeypatch.setattr(ordering, "_CHANNELS", 1)
    for disguise, words in ((fixed_order, "all channels"), (order_of_each_channel, "each channel")):
        found, _ = read(disguise)
        assert found.error < 0.6
        assert words in found.words[0]


def test_of_many_channels_some_are_compared() -> None:
    few = encoded(IMAGES)
    level = few.repeat(1, 60, 1, 1)
    compared: list[int] = []

    def way(values: torch.Tensor) -> torch.Tensor:
        compared.append(values.shape[1])
        return values

    # Copies of channels tell no more than these.
    wanted = Places(few, OWN, seeded()).error(lambda values: values)
    assert Places(level, OWN, seeded()).error(way) == pytest.approx(wanted, rel=0.02)
    assert compared == [64]
    assert local_error(level, OWN) == pytest.approx(local_error(few, OWN), rel=0.05)


def test_tiles_are_read_by_differences_each_in_its_own_unit() -> None:
    found, plain = read(offset_of_each_tile)
    assert plain > 0.9
    assert found.error < 0.85
    assert "each position in its own unit" in found.words
