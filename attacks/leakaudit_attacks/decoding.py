"""What the attacks that learn share: a decoder from what crossed the cut to images, and its fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import final

import torch
from monai.losses import SSIMLoss
from monai.networks.nets.basic_unet import TwoConv
from torch import nn
from torch.nn import functional

from leakaudit.api import AuxiliaryPatients, Images, Levels, Progress, SiteLevels
from leakaudit_attacks.starts import auxiliary_mean

Pairs = tuple[Levels, Images]
Loss = Callable[[Images, Images], torch.Tensor]


@final
class Decoder(nn.Module):
    """From one tensor per level, all sites joined, to images in [0, 1], deep to shallow.

    Every level that crossed enters at its own resolution; levels that did not are upsampled
    through.
    """

    def __init__(self, entering: Mapping[int, int], width: int, start: Images) -> None:
        """Build a decoder that puts out ``start`` until training says otherwise.

        Args:
            entering: channels of each level that crossed, by its number.
            width: channels of every block.
            start: ``(1, modalities, *spatial)``, values in [0, 1].
        """
        super().__init__()
        self.entering = dict(entering)
        dims = start.ndim - 2
        activation = ("LeakyReLU", {"negative_slope": 0.1, "inplace": False})
        blocks: list[nn.Module] = []
        carried = 0
        for level in range(max(entering), -1, -1):
            channels = carried + entering.get(level, 0)
            norm = ("instance", {"affine": True})
            blocks.append(TwoConv(dims, channels, width, activation, norm, True))
            carried = width
        self.blocks = nn.ModuleList(blocks)
        convolution = nn.Conv2d if dims == 2 else nn.Conv3d
        self.output = convolution(width, 2 * start.shape[1], kernel_size=3, padding=1)
        for parameter in self.output.parameters():
            nn.init.zeros_(parameter)
        self.interpolation = "bilinear" if dims == 2 else "trilinear"
        self.base: torch.Tensor
        self.register_buffer("base", start.clamp(0.02, 0.98).logit())

    def forward(self, levels: Levels) -> Images:
        """Decode joined levels, shallow to deep, into ``(B, modalities, *spatial)``."""
        by_number = dict(zip(sorted(self.entering), levels, strict=True))
        x: torch.Tensor | None = None
        for number, block in zip(range(max(self.entering), -1, -1), self.blocks, strict=True):
            parts = []
            if number in by_number:
                parts.append(by_number[number])
            if x is not None:
                parts.append(
                    functional.interpolate(
                        x, scale_factor=2, mode=self.interpolation, align_corners=False
                    )
                )
            x = block(torch.cat(parts, dim=1))
        change, doubt = self.output(x).chunk(2, dim=1)
        images: torch.Tensor = (change + (1 + doubt) * self.base).sigmoid()
        return images


def fresh_decoder(
    entering: Mapping[int, int],
    width: int,
    auxiliary: AuxiliaryPatients,
    generator: torch.Generator,
    *,
    base: Images | None = None,
) -> Decoder:
    """A decoder on the auxiliary patients' device that starts from ``base``, mirrored alike.

    ``base`` is ``(1, M, *spatial)``, values in [0, 1]; the auxiliary mean unless said otherwise.
    """
    base = auxiliary_mean(auxiliary, 1) if base is None else base
    # Modules initialise from the global state: fork it, so that the attack leaves no trace.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(integer(2**62, generator))
        return Decoder(entering, width, (base + base.flip(-1)) / 2).to(base.device)


def fit(
    decoder: Decoder,
    batch: Callable[[], Pairs],
    probe: Callable[[], Pairs],
    *,
    steps: int,
    learning_rate: float,
    progress: Progress,
    loss: Loss | None = None,
) -> tuple[float, float]:
    """Train a decoder by Adam with a one-cycle schedule.

    Args:
        decoder: trained in place, and left in evaluation mode.
        batch: joined levels and the images behind them, new ones at every call.
        probe: the same pairs at every call, on which the objective is compared.
        steps: optimizer steps.
        learning_rate: peak of the schedule.
        progress: called after every step.
        loss: of decoded and true images; `difference` if none is given.

    Returns:
        The objective on the probe before the first step and after the last.
    """
    optimizer = torch.optim.Adam(decoder.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, learning_rate, total_steps=max(steps, 2)
    )

    def loss_of(pairs: Pairs) -> torch.Tensor:
        levels, images = pairs
        return (loss or difference)(decoder(levels), images)

    with torch.no_grad():
        first = float(loss_of(probe()))
    for step in range(steps):
        optimizer.zero_grad(set_to_none=True)
        loss_of(batch()).backward()
        optimizer.step()
        schedule.step()
        progress(step + 1, steps)
    decoder.eval()
    with torch.no_grad():
        return first, float(loss_of(probe()))


def difference(found: Images, images: Images) -> torch.Tensor:
    """Mean absolute error plus 1 - SSIM, over all images together."""
    distance: torch.Tensor = SSIMLoss(images.ndim - 2, data_range=1.0)(found, images)
    return functional.l1_loss(found, images) + distance


def joined(sites: SiteLevels) -> Levels:
    """Per level the tensors of all sites, concatenated along channels."""
    return tuple(torch.cat(level, dim=1) for level in zip(*sites, strict=True))


def integer(below: int, generator: torch.Generator) -> int:
    """A random integer from 0 up to ``below``."""
    return int(torch.randint(below, (), generator=generator, device=generator.device))
