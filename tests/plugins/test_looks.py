"""Noise that many values share is gone in another look at a release."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.nn import functional

from leakaudit.contracts import Defense
from leakaudit.randomness import generator_for, normal_like
from leakaudit.types import Levels
from leakaudit_attacks.activation_inversion import ActivationInversion
from leakaudit_attacks.reading_releases.looked import looked_at
from leakaudit_attacks.reading_releases.looks import AS_IT_IS, best_looks, looks, reliability
from leakaudit_attacks.reading_releases.reader import _shared
from leakaudit_attacks.reading_releases.screening import Own, local_error
from leakaudit_defenses.gaussian_noise import GaussianNoise
from leakaudit_defenses.identity import Identity
from tests.plugins.attacked import observation_for, quietly, score
from tests.tiny import tiny_spec

Shared = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
LEVELS = tuple(
    normal_like(torch.empty(6, channels, *sides), generator_for(channels, "levels"))
    for channels, sides in ((3, (12, 12)), (4, (6, 6)))
)
SOLID = (normal_like(torch.empty(6, 2, 6, 6, 6), generator_for(9, "levels")),)


def first_of(noise: torch.Tensor, *axes: int) -> torch.Tensor:
    """One value along these axes."""
    for axis in axes:
        noise = noise.narrow(axis, 0, 1)
    return noise


def offset(level: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    return level + 1e3 * first_of(noise, *range(2, level.ndim))


def lines(level: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    return level + 1e3 * first_of(noise, level.ndim - 1)


def crossing_lines(level: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    return lines(level, noise) + 1e3 * first_of(noise, 2)


def tiles(level: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    tile = noise
    for axis, side in enumerate(level.shape[2:], 2):
        tile = tile.narrow(axis, 0, -(-side // 3)).repeat_interleave(3, axis).narrow(axis, 0, side)
    return level + 1e3 * tile


def patterns(level: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    fixed = normal_like(torch.empty(2, *level.shape[1:]), generator_for(3, "patterns"))
    return level + torch.einsum("bk,k...->b...", 1e3 * noise.flatten(1)[:, :2], fixed)


def fine(level: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    pool = functional.avg_pool2d if level.ndim == 4 else functional.avg_pool3d
    coarse = pool(noise, 4, 4, ceil_mode=True, count_include_pad=False)
    for axis, side in enumerate(level.shape[2:], 2):
        coarse = coarse.repeat_interleave(4, axis).narrow(axis, 0, side)
    return level + 1e3 * (noise - coarse)


def gains(level: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    each = first_of(noise, *range(2, level.ndim))
    return level * (2 * each).exp() + 1e3 * each


def signs(level: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    return (level + 5) * noise.sign()


def sizes(level: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    return (level + 0.1 * noise).sign() * (3 * noise.roll(1, -1)).exp()


def powers(level: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    return torch.ldexp(level.clamp(-2, 2) / 8 + 0.75, (7 * noise).round().int())


def few_of_many(level: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    return torch.where(noise.roll(1, -1).abs() < 0.4, level, 300 * noise)


WORDS: dict[Shared, str] = {
    offset: "each channel's mean",
    lines: "the means of lines",
    crossing_lines: "lines of each direction",
    tiles: "differences",
    patterns: "few drawn patterns",
    fine: "means of blocks",
    gains: "its own deviation",
    signs: "sizes of values",
    sizes: "signs of values",
    powers: "digits of values",
    few_of_many: "the smallest",
}


class Noisy(Defense):
    """Noise that values share, of which nobody is told."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared

    def draw(self, levels: Levels, generator: torch.Generator) -> Levels:
        return tuple(normal_like(level, generator) for level in levels)

    def apply(self, levels: Levels, drawn: Levels) -> Levels:
        return tuple(map(self.shared, levels, drawn))


@pytest.mark.parametrize("levels", [LEVELS, SOLID], ids=["2D", "3D"])
@pytest.mark.parametrize("shared", WORDS, ids=lambda one: one.__name__)
def test_shared_noise_is_looked_through(shared: Shared, levels: Levels) -> None:
    found = looked_at(Noisy(shared), levels)
    assert found is not None
    looked, seen = found
    # In so small a solid, tiles are few patterns too.
    assert WORDS[shared] in str(looked.looks[0]) or (levels is SOLID and shared is tiles)
    told = (seen.levels[0].signal / (seen.levels[0].signal + seen.levels[0].noise)).nan_to_num()
    assert float(told.max()) > 0.9
    assert looked.words


@pytest.mark.parametrize("std", [0.1, 1.0, 1e3])
def test_noise_of_each_value_is_looked_at_as_it_is(std: float) -> None:
    assert looked_at(GaussianNoise(std=std), LEVELS) is None


def test_nothing_is_told_by_noise_alone_in_any_look() -> None:
    one, other, *_ = (
        normal_like(torch.empty(48, 3, 12, 12), generator_for(seed, "noise")) for seed in range(2)
    )
    residuals = other - one
    assert not best_looks(residuals, one, other, 3)
    assert all(abs(reliability(one, other, look)) < 0.03 for look in looks(residuals))


def test_few_true_values_among_many_are_read_by_their_means_nearby() -> None:
    drawn = normal_like(torch.empty(2, 24, 8, 32, 32), generator_for(5, "now and then"))
    coarse = functional.avg_pool2d(drawn[0], 8)  # an image is smooth, noise is not
    truth = 8 * functional.interpolate(coarse, (32, 32), mode="bilinear")
    released = torch.where(drawn[1].abs() < 0.2, truth, 50 * drawn[1])
    own = Own(images=truth[:, :1], held=torch.arange(24) % 4 == 0)
    noise = released - released.mean(dim=0)
    alone, nearby = (
        min(local_error(look(released).float(), own) for look in looks(noise) if words in str(look))
        for words in ("values alone", "means nearby")
    )
    assert nearby < 0.8 * alone


def test_what_never_varies_tells_nothing() -> None:
    flat = torch.ones(4, 2, 6, 6)
    assert reliability(flat, flat, AS_IT_IS) == 0
    assert all(bool(look(flat).isfinite().all()) for look in looks(torch.zeros_like(flat)))


@pytest.mark.slow
def test_an_image_under_an_offset_drawn_for_each_channel_is_found() -> None:
    attack = ActivationInversion(iterations=25)
    spec = tiny_spec(cut_level=0, features=(6, 4, 4, 4, 4, 4))
    plain, hidden = (
        attack(observation_for("curious-server-with-encoder", each, spec), seed=0, progress=quietly)
        for each in (Identity(), Noisy(offset))
    )
    reached = score(hidden.reconstruction.images)
    assert reached > score(plain.reconstruction.images) - 0.08
    assert "each channel's mean subtracted" in " ".join(hidden.reconstruction.notes)


def test_a_decoder_is_shown_a_coarse_look_beside_the_values() -> None:
    generator = torch.Generator().manual_seed(0)
    own = torch.randn((24, 4, 4, 4), generator=generator).repeat_interleave(4, 2)
    signal = own.repeat_interleave(4, 3)
    first, again = (signal + 8 * torch.randn(signal.shape, generator=generator) for _ in range(2))
    shown = {str(way): way(first) for way in _shared(first, again)}
    assert "means of blocks" not in shown
    beside = shown["means of blocks beside the values"]
    assert beside.shape == (24, 8, 16, 16)
    assert torch.equal(beside[:, 4:], first.double())
