"""What a decoder reads of six 1-bit maps at full resolution: one that sees 7 x 7 pixels, and ours.

Two sites send three channels of level 0 each, rounded to 1 bit, and nothing else. Three 3 x 3
convolutions, which `decoder-inversion` was at this cut before, are trained as often and as fast as
the U-shaped decoder is.

Run: python benchmarks/level_zero_decoder.py [--data FOLDER --size 96 --epochs 12 --steps 200]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from monai.networks.nets.basic_unet import TwoConv
from torch import nn

from leakaudit.api import Capability, Observation
from leakaudit.data import Patient, brain_mask, load_folder, phantom_cohort
from leakaudit.measure.fidelity import ssim_brain
from leakaudit.measure.floors import best_blind_guess, blind_guesses
from leakaudit.target.split_unet import SplitUNetSpec
from leakaudit.target.training import TrainingData, TrainingSettings, build, train
from leakaudit.threat.observing import observe
from leakaudit.threat.presets import threat_named
from leakaudit.threat.system import System, images_of, masks_of
from leakaudit_attacks.decoder_inversion import DecoderInversion
from leakaudit_attacks.decoding.decoder import decoded, fit, integer, joined, releases_of
from leakaudit_attacks.optimising.starts import auxiliary_mean, middle_slices
from leakaudit_defenses.quantization import Quantization

SITES = (2, 2)
CHANNELS = 3


class ThreeConvolutions(nn.Module):
    """The decoder that `decoder-inversion` had where level 0 crosses alone."""

    def __init__(self, channels: int, width: int, start: torch.Tensor) -> None:
        """Put out ``start``, ``(1, M, H, W)``, until training says otherwise."""
        super().__init__()
        activation = ("LeakyReLU", {"negative_slope": 0.1, "inplace": False})
        norm = ("instance", {"affine": True})
        self.block = TwoConv(2, channels, width, activation, norm, True)
        self.output = nn.Conv2d(width, 2 * start.shape[1], kernel_size=3, padding=1)
        for parameter in self.output.parameters():
            nn.init.zeros_(parameter)
        self.base: torch.Tensor
        self.register_buffer("base", start.clamp(0.02, 0.98).logit())

    def forward(self, levels: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Joined level 0 to images in [0, 1]."""
        change, doubt = self.output(self.block(levels[0])).chunk(2, dim=1)
        images: torch.Tensor = (change + (1 + doubt) * self.base).sigmoid()
        return images


def trained(patients: list[Patient], epochs: int) -> System:
    """A network whose level 0 alone crosses, as six 1-bit maps."""
    spec = SplitUNetSpec(channels=SITES, cut_level=0, shared_skips=(), bottleneck=CHANNELS)
    network, defense, device = build(spec, 0), Quantization(bits=1), torch.device("cpu")
    images = torch.cat([images_of(each) for each in patients])
    with TemporaryDirectory() as folder:
        train(
            network,
            defense,
            TrainingData(
                views=tuple(view.contiguous() for view in images.split(list(SITES), dim=1)),
                masks=torch.cat([masks_of(each) for each in patients]),
            ),
            TrainingSettings(epochs=epochs),
            seed=0,
            device=device,
            folder=Path(folder),
            progress=lambda *_: None,
            validate=lambda _: 0.0,
        )
    return System(
        network=network.eval(),
        initial=build(spec, 0).eval(),
        defense=defense,
        seed=0,
        device=device,
    )


def seven_pixels(observation: Observation, steps: int) -> torch.Tensor:
    """The victims' images by three convolutions, trained as `DecoderInversion` trains."""
    attack, auxiliary = DecoderInversion(steps=steps), observation.auxiliary
    generator = torch.Generator().manual_seed(0)
    mean = auxiliary_mean(auxiliary, 1)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        decoder = ThreeConvolutions(len(SITES) * CHANNELS, attack.width, (mean + mean.flip(-1)) / 2)

    def pairs(images: torch.Tensor) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
        return joined(observation.query(images, generator)), images

    def batch() -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
        count = len(auxiliary.images)
        chosen = torch.tensor([integer(count, generator) for _ in range(attack.batch_size)])
        images = auxiliary.images[chosen]
        return pairs(images.flip(-1) if integer(2, generator) else images)

    fit(
        decoder,
        batch,
        lambda: pairs(middle_slices(auxiliary)),
        steps=steps,
        learning_rate=attack.learning_rate,
        progress=lambda *_: None,
    )
    return decoded(decoder, releases_of(observation))


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="patients in MSD layout; phantoms without it")
    parser.add_argument("--size", type=int, default=48)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--steps", type=int, default=150)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.data:
        patients = list(load_folder(given.data, size=given.size).patients)
    else:
        patients = list(phantom_cohort(patients=20, slices=6, size=given.size).patients)
    victims, auxiliary, training = patients[:5], patients[5:10], patients[10:]
    observation = observe(
        threat_named("curious-server"),
        trained(training, given.epochs),
        victims=victims,
        auxiliary=auxiliary,
        releases=1,
    )
    assert Capability.ENCODER_QUERIES in observation.granted
    truth = np.stack([each.images[each.middle] for each in victims])
    own = np.stack([each.images[each.middle] for each in auxiliary])
    brain = brain_mask(truth)
    floor = float(best_blind_guess(blind_guesses(own), truth, brain)[2].mean())
    print("| decoder | SSIM inside the brain | blind floor | advantage | seconds |")
    print("| --- | --- | --- | --- | --- |")

    def row(name: str, images: torch.Tensor, seconds: float) -> None:
        ssim = float(ssim_brain(images.numpy(), truth, brain).mean())
        gained = (ssim - floor) / (1 - floor)
        print(f"| {name} | {ssim:.3f} | {floor:.3f} | {gained:.3f} | {seconds:.0f} |", flush=True)

    started = time.process_time()
    images = seven_pixels(observation, given.steps)
    row("three 3 x 3 convolutions", images, time.process_time() - started)
    started = time.process_time()
    attempt = DecoderInversion(steps=given.steps)(observation, seed=0, progress=lambda *_: None)
    row("decoder-inversion", attempt.reconstruction.images, time.process_time() - started)


if __name__ == "__main__":
    main()
