"""What a decoder sees of a release, and in which unit it is shown it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from leakaudit_attacks.decoding.network import Decoder
from leakaudit_attacks.reading_releases.standardising import Standard


def without_norms(module: nn.Module) -> nn.Module:
    """The same convolutions; an instance norm would let every position reach every other."""
    for name, child in module.named_children():
        if isinstance(child, (nn.InstanceNorm2d, nn.InstanceNorm3d)):
            setattr(module, name, nn.Identity())
        else:
            without_norms(child)
    return module


@pytest.mark.parametrize("shape", [(96, 96), (32, 48, 48)])
@pytest.mark.parametrize("withheld", [False, True], ids=["all skips", "deepest alone"])
@pytest.mark.parametrize("cut", range(5))
def test_one_pixel_is_decoded_from_the_whole_image(
    shape: tuple[int, ...], withheld: bool, cut: int
) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        numbers = [cut] if withheld else list(range(cut + 1))
        decoder = Decoder(dict.fromkeys(numbers, 2), 2, torch.full((1, 1, *shape), 0.5))
        nn.init.normal_(decoder.output.weight)
        levels = [
            torch.randn(1, 2, *(side // 2**number for side in shape)).requires_grad_()
            for number in numbers
        ]
    found = without_norms(decoder)(tuple(levels))
    middle = tuple(side // 2 for side in shape)
    gradients = torch.autograd.grad(found[(0, 0, *middle)], levels)
    for gradient in gradients:
        assert bool((gradient.abs().sum(dim=(0, 1)) > 0).all())


def smooth(channels: int, count: int = 6, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, channels, 8, 8, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("size", [1e-12, 6e-8, 1.0, 65504.0, 1e12])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_a_channel_is_read_whatever_its_scale_and_offset(size: float, offset: float) -> None:
    levels = smooth(3)
    shown = Standard(levels)(levels)
    scales = size * torch.tensor([1.0, 1e-6, 1e3], dtype=torch.float64).view(3, 1, 1)
    disguised = offset * size + scales * levels
    again = Standard(disguised)(disguised)
    assert shown.dtype == torch.float32
    # The directions are those of the covariance: the same up to their signs.
    torch.testing.assert_close(again.abs(), shown.abs(), atol=1e-2, rtol=1e-2)


def test_what_own_patients_do_not_differ_in_is_left_out() -> None:
    levels = smooth(4)
    levels[:, 1] = 7.0
    levels[:, 2] = 1e6 * levels[:1, 2]  # a fixed pattern
    standard = Standard(levels)
    assert standard.channels == 2
    assert Standard(levels[:, 1:2])(levels[:, 1:2]).abs().max() == 0


def test_what_is_the_same_in_every_release_is_subtracted_by_position() -> None:
    levels = smooth(2)
    pattern = 1e4 * smooth(2, 1, seed=1)
    shown = Standard(levels, by_position=True)(levels)
    again = Standard(levels + pattern, by_position=True)(levels + pattern)
    torch.testing.assert_close(again.abs(), shown.abs(), atol=1e-4, rtol=1e-4)


def test_a_fixed_mix_of_channels_and_a_faint_one_are_taken_apart() -> None:
    levels = smooth(3)
    levels[:, 0] *= 1e-3
    mixed = torch.einsum(
        "dc,bchw->bdhw", torch.tensor([[1.0, 1, 0], [0, 1, 1], [0, 1, 0]]).double(), levels
    )
    shown = Standard(mixed)(mixed).double()
    apart = shown - shown.mean(dim=0)
    covariance = torch.einsum("bchw,bdhw->cd", apart, apart) / apart[:, 0].numel()
    torch.testing.assert_close(covariance, torch.eye(3).double(), atol=1e-4, rtol=0)


def test_each_channel_stands_beside_the_uncorrelated_ones() -> None:
    levels = smooth(4)
    levels[:, 1] = 7.0
    levels[:, 3] = 1e-3 * levels[:, 3] - levels[:, 0]
    standard = Standard(levels)
    shown = standard.beside(levels)
    assert shown.shape[1] == standard.channels_beside == 6
    torch.testing.assert_close(shown[:, :3], standard(levels))
    for plain, number in zip(shown[:, 3:].transpose(0, 1), (0, 2, 3), strict=True):
        values = levels[:, number]
        expected = (values - values.mean()) / (values - values.mean()).square().mean().sqrt()
        torch.testing.assert_close(plain.double(), expected, atol=1e-4, rtol=1e-4)
    nothing = torch.full_like(levels, 7.0)
    shown = Standard(nothing).beside(nothing)
    assert shown.shape[1] == Standard(nothing).channels_beside == 1
    assert float(shown.abs().max()) == 0


def test_values_that_are_not_finite_do_not_break_it() -> None:
    levels = smooth(3).float()
    levels[0, 0, 0, 0], levels[1, 1, 2, 2], levels[:, 2] = torch.nan, torch.inf, -torch.inf
    shown = Standard(levels)(levels)
    assert bool(torch.isfinite(shown).all())
    assert Standard(levels).channels == 2
