"""A training that is cut short goes on from its checkpoint, if that is what was written."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from leakaudit.config import PluginUse, expand
from leakaudit.target.split_unet import SplitUNet, SplitUNetSpec
from leakaudit.target.training import TrainingData, TrainingSettings, build, train

SPEC = SplitUNetSpec(channels=(1,), cut_level=0, shared_skips=(), features=(4, 4, 4, 4, 4, 4))
EPOCHS = 2


class Cut(Exception):  # noqa: N818
    """What ends a training early here."""


def trained(folder: Path, *, cut_in: int = 0) -> tuple[dict[str, torch.Tensor], int]:
    """Final weights and the epochs that were trained; cut short in an epoch, if asked."""
    generator = torch.Generator().manual_seed(0)
    views = (torch.rand(2, 1, 32, 32, generator=generator),)
    masks = torch.randint(0, 4, (2, 32, 32), generator=generator)
    network, epochs = build(SPEC, 0), 0

    def validate(network: SplitUNet) -> float | None:
        nonlocal epochs
        epochs += 1
        if epochs == cut_in:
            raise Cut
        return None

    train(
        network,
        expand("defense", PluginUse(name="gaussian-noise", parameters={"std": 1.0}))[0][1],
        TrainingData(views=views, masks=masks),
        TrainingSettings(epochs=EPOCHS, batch_size=2, learning_rate=0.01),
        seed=0,
        device=torch.device("cpu"),
        folder=folder,
        progress=lambda done, total: None,
        validate=validate,
    )
    return network.state_dict(), epochs


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-40] ^= 64
    file.write_bytes(data)


@pytest.fixture(scope="module")
def trainings(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, torch.Tensor], Path]:
    """The weights of an uninterrupted training, and the checkpoint of one cut short."""
    folder = tmp_path_factory.mktemp("trainings")
    weights, _ = trained(folder / "whole")
    with pytest.raises(Cut):
        trained(folder / "cut", cut_in=EPOCHS)
    return weights, folder / "cut" / "checkpoint.safetensors"


@pytest.mark.parametrize(
    ("damage", "epochs"),
    [
        (lambda file: None, 1),
        (flip, EPOCHS),
        (lambda file: file.write_bytes(file.read_bytes()[:-10]), EPOCHS),
    ],
    ids=["whole", "bit flipped", "truncated"],
)
def test_the_weights_are_those_of_an_uninterrupted_training(
    trainings: tuple[dict[str, torch.Tensor], Path],
    tmp_path: Path,
    damage: Callable[[Path], object],
    epochs: int,
) -> None:
    weights, checkpoint = trainings
    damage(Path(shutil.copy(checkpoint, tmp_path / checkpoint.name)))
    resumed, again = trained(tmp_path)
    assert again == epochs
    assert all(torch.equal(weights[name], resumed[name]) for name in weights)
