"""Disguises hide nothing, say nothing of themselves and are drawn from a seed."""

from __future__ import annotations

import pytest
import torch

from leakaudit.contracts import Defense
from leakaudit.randomness import generator_for
from leakaudit.testing import Disguise, control_disguise, disguises
from leakaudit.threat.disguises.composed import Composed
from leakaudit.threat.disguises.faint import FaintNoise, LowDigits
from leakaudit.threat.disguises.places import OneChannel
from leakaudit.types import Levels

NAMES = list(disguises(0))
FRESH = {"one channel in noise", "faint channel in noise", "third decimal", "below 6e-8"}


def levels(batch: int = 3, seed: int = 0) -> Levels:
    generator = torch.Generator().manual_seed(seed)
    shapes = ((batch, 16, 12, 12), (batch, 8, 6, 6))
    return tuple(torch.randn(shape, generator=generator) for shape in shapes)


def released(disguise: Disguise, shown: Levels, seed: int = 0) -> Levels:
    return disguise.release(shown, generator=generator_for(seed, "release"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", [1, 2])
def test_what_is_disguised_can_be_read_again(name: str, seed: int) -> None:
    disguise, shown = disguises(seed)[name], levels()
    sent = released(disguise, shown)
    found = disguise.undone(sent)
    for level, back, crossed in zip(shown, found, sent, strict=True):
        assert crossed.shape == level.shape
        assert crossed.dtype == level.dtype
        assert bool(crossed.isfinite().all())
        assert not torch.allclose(crossed, level, rtol=0.01)
        if isinstance(disguise, OneChannel):
            kept = back.flatten(2).any(-1)[0]
            assert int(kept.sum()) == 1
            level, back = level[:, kept], back[:, kept]
        rounding = 0.1 if isinstance(disguise, LowDigits) else 2e-3
        assert float((back - level).abs().max()) < rounding


@pytest.mark.parametrize("name", NAMES)
def test_a_disguise_is_fixed_treats_samples_alike_and_is_silent(name: str) -> None:
    disguise, shown = disguises(3)[name], levels()
    fresh = bool(disguise.draw(shown, torch.Generator()))
    assert fresh == (name in FRESH)
    first, again = released(disguise, shown, 1), released(disguise, shown, 2)
    assert all(map(torch.equal, first, again)) == (not fresh)
    if not fresh:
        alone = released(disguise, tuple(level[1:2] for level in shown))
        for whole, part in zip(first, alone, strict=True):
            assert torch.allclose(whole[1:2], part, rtol=1e-5, atol=1e-5)
    for said in ("expected", "evidence", "evidence_from", "trace", "fit"):
        assert getattr(type(disguise), said) is getattr(Defense, said)


@pytest.mark.parametrize("name", NAMES)
def test_a_disguise_can_be_followed_back(name: str) -> None:
    shown = tuple(level.requires_grad_() for level in levels())
    sent = disguises(4)[name].apply(shown, disguises(4)[name].draw(shown, torch.Generator()))
    slopes = torch.autograd.grad([level.sum() for level in sent], shown)
    assert all(bool(slope.isfinite().all()) and bool(slope.any()) for slope in slopes)


def test_the_seed_decides() -> None:
    assert disguises(5) == disguises(5)
    shown = levels()
    for name in NAMES:
        one, other = disguises(5)[name], disguises(6)[name]
        if not isinstance(one, LowDigits):
            assert not all(map(torch.equal, released(one, shown), released(other, shown)))


def test_the_disguise_of_a_control_is_made_of_plain_ones() -> None:
    drawn = [control_disguise(seed) for seed in range(40)]
    kinds = [tuple(type(part).__name__ for part in each.chain) for each in drawn]
    assert {len(each) for each in kinds} == {3, 4}
    assert {each[0] for each in kinds} == {"FaintNoise"}
    assert {name for each in kinds for name in each[1:]} == {
        *("Signs", "ChannelMix", "FixedNoise", "Offset", "ChannelScales")
    }
    assert all(isinstance(each, Composed) for each in drawn)
    assert len({repr(each) for each in drawn}) == 40


def test_what_is_drawn_behind_the_disguise_of_a_control_hides_nothing() -> None:
    disguise, shown = control_disguise(0), levels()
    one, other = (released(disguise, shown, seed) for seed in (1, 2))
    assert not any(map(torch.equal, one, other))
    for level, back in zip(shown, disguise.undone(one), strict=True):
        error = (back - level).flatten(2).std(-1) / level.flatten(2).std(-1)
        assert 0.005 < float(error.mean()) < 0.02


def test_faint_noise_is_in_units_of_a_channel_and_leaves_a_constant_one() -> None:
    shown = tuple(
        level * torch.tensor([1e6, 0.0])[:, None, None] for level in (torch.randn(2, 2, 9, 9),)
    )
    (sent,) = released(FaintNoise(), shown)
    share = (sent - shown[0]).flatten(2).std(-1) / shown[0].flatten(2).std(-1)
    assert share[:, 0].tolist() == pytest.approx([0.01, 0.01], rel=0.3)
    assert torch.equal(sent[:, 1], shown[0][:, 1])
