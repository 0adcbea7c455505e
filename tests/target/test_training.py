from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
import torch

from leakaudit.contracts import Defense
from leakaudit.errors import CellError
from leakaudit.target.checkpoints import copy_epoch, epoch_file, load_epoch
from leakaudit.target.split_unet import SplitUNet
from leakaudit.target.training import TrainingData, TrainingSettings, build, choose_device, train
from leakaudit_defenses.gaussian_noise import GaussianNoise
from leakaudit_defenses.identity import Identity
from tests.tiny import tiny_patients, tiny_spec, tiny_training_data

SETTINGS = TrainingSettings(epochs=3, batch_size=4, learning_rate=1e-2)
CHECKPOINT = "checkpoint.safetensors"


class Killed(BaseException):
    """As the process would be: nothing in the training may catch it."""


@pytest.fixture(scope="module")
def data() -> TrainingData:
    # Ten slices: the last batch of an epoch is a smaller one.
    return tiny_training_data(tiny_patients(5))


def fit(
    network: SplitUNet,
    data: TrainingData,
    folder: Path,
    *,
    defense: Defense | None = None,
    kill_at: int = 10**9,
    settings: TrainingSettings = SETTINGS,
    steps: list[int] | None = None,
) -> list[dict[str, float | None]]:
    def progress(done: int, total: int) -> None:
        assert total == 3 * SETTINGS.epochs
        if steps is not None:
            steps.append(done)
        if done == kill_at:
            raise Killed

    return train(
        network,
        defense or GaussianNoise(std=0.1),
        data,
        settings,
        seed=7,
        device=torch.device("cpu"),
        folder=folder,
        progress=progress,
        validate=lambda _: None,
    )


def equal_weights(one: SplitUNet, other: SplitUNet) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.fixture(scope="module")
def uninterrupted(data: TrainingData, tmp_path_factory: pytest.TempPathFactory) -> SplitUNet:
    network = build(tiny_spec(), 0)
    history = fit(network, data, tmp_path_factory.mktemp("whole"))
    assert len(history) == SETTINGS.epochs
    return network


@pytest.mark.parametrize("kill_at", [4, 5, 8])
def test_a_resumed_training_ends_with_the_weights_of_an_uninterrupted_one(
    uninterrupted: SplitUNet, data: TrainingData, tmp_path: Path, kill_at: int
) -> None:
    with pytest.raises(Killed):
        fit(build(tiny_spec(), 0), data, tmp_path, kill_at=kill_at)
    steps: list[int] = []
    resumed = build(tiny_spec(), 0)
    history = train(
        resumed,
        GaussianNoise(std=0.1),
        data,
        SETTINGS,
        seed=7,
        device=torch.device("cpu"),
        folder=tmp_path,
        progress=lambda done, total: steps.append(done),
        validate=lambda _: None,
    )
    first = 3 * ((kill_at - 1) // 3) + 1
    assert steps == list(range(first, 10)), "what was done before the last checkpoint is not redone"
    assert len(history) == SETTINGS.epochs
    assert equal_weights(resumed, uninterrupted)


def test_a_training_killed_before_its_first_checkpoint_starts_anew(
    uninterrupted: SplitUNet, data: TrainingData, tmp_path: Path
) -> None:
    with pytest.raises(Killed):
        fit(build(tiny_spec(), 0), data, tmp_path, kill_at=2)
    assert not list(tmp_path.iterdir())
    again = build(tiny_spec(), 0)
    fit(again, data, tmp_path)
    assert equal_weights(again, uninterrupted)


KEEPING = TrainingSettings(
    epochs=3, batch_size=4, learning_rate=1e-2, keep_encoders=True, keep_networks=(0, 2, 3)
)


def test_epochs_are_kept_as_they_were(
    uninterrupted: SplitUNet, data: TrainingData, tmp_path: Path
) -> None:
    assert (KEEPING.kept, SETTINGS.kept) == ((1, 2), ())
    seen: list[dict[str, torch.Tensor]] = []
    network = build(tiny_spec(), 0)
    train(
        network,
        GaussianNoise(std=0.1),
        data,
        KEEPING,
        seed=7,
        device=torch.device("cpu"),
        folder=tmp_path,
        progress=lambda done, total: None,
        validate=lambda now: seen.append(deepcopy(now.state_dict())),
    )
    assert equal_weights(network, uninterrupted), "keeping changes nothing"
    kept = [build(tiny_spec(), 1) for _ in range(2)]
    other = build(tiny_spec(), 1)
    assert all(load_epoch(tmp_path, epoch, one) for epoch, one in enumerate(kept, start=1))
    for epoch, one in enumerate(kept):
        for name, tensor in one.state_dict().items():
            whole = epoch == 1 or name.startswith("encoders.")
            assert torch.equal(tensor, seen[epoch][name] if whole else other.state_dict()[name])
    assert not load_epoch(tmp_path, 3, other)
    copied = tmp_path / "copied"
    copy_epoch(tmp_path, 2, copied)
    assert load_epoch(copied, 2, other)
    assert equal_weights(other, kept[1])
    epoch_file(copied, 2).rename(epoch_file(copied, 1))
    assert not load_epoch(copied, 1, other), "a file under another epoch's name"
    with pytest.raises(CellError, match="what was kept of epoch 1 was lost"):
        copy_epoch(copied, 1, tmp_path)


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"no weights")])
def test_a_training_that_lost_an_epoch_is_redone(
    uninterrupted: SplitUNet,
    data: TrainingData,
    tmp_path: Path,
    damage: Callable[[Path], object],
) -> None:
    with pytest.raises(Killed):
        fit(build(tiny_spec(), 0), data, tmp_path, kill_at=8, settings=KEEPING)
    damage(epoch_file(tmp_path, 1))
    steps: list[int] = []
    network = build(tiny_spec(), 0)
    fit(network, data, tmp_path, settings=KEEPING, steps=steps)
    assert steps[0] == 1
    assert equal_weights(network, uninterrupted)
    assert load_epoch(tmp_path, 1, network)


@pytest.mark.parametrize("left", [0.0, 0.01, 0.5, 0.999])
def test_a_truncated_checkpoint_is_redone_and_never_used(
    uninterrupted: SplitUNet, data: TrainingData, tmp_path: Path, left: float
) -> None:
    with pytest.raises(Killed):
        fit(build(tiny_spec(), 0), data, tmp_path, kill_at=4)
    path = tmp_path / CHECKPOINT
    content = path.read_bytes()
    path.write_bytes(content[: int(left * len(content))])
    again = build(tiny_spec(), 0)
    history = fit(again, data, tmp_path)
    assert len(history) == SETTINGS.epochs
    assert equal_weights(again, uninterrupted)


def test_a_checkpoint_with_a_flipped_bit_is_never_used(
    uninterrupted: SplitUNet, data: TrainingData, tmp_path: Path
) -> None:
    with pytest.raises(Killed):
        fit(build(tiny_spec(), 0), data, tmp_path, kill_at=4)
    path = tmp_path / CHECKPOINT
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    again = build(tiny_spec(), 0)
    fit(again, data, tmp_path)
    assert equal_weights(again, uninterrupted)


def test_a_finished_training_is_not_trained_again(
    uninterrupted: SplitUNet, data: TrainingData, tmp_path: Path
) -> None:
    first = fit(build(tiny_spec(), 0), data, tmp_path)
    again = build(tiny_spec(), 0)
    assert fit(again, data, tmp_path, kill_at=0) == first
    assert equal_weights(again, uninterrupted)
    assert not again.training


def test_the_checkpoint_is_private(data: TrainingData, tmp_path: Path) -> None:
    folder = tmp_path / "target"
    fit(build(tiny_spec(), 0), data, folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / CHECKPOINT).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in folder.iterdir()] == [CHECKPOINT]


def test_the_loss_falls(data: TrainingData, tmp_path: Path) -> None:
    history = fit(build(tiny_spec(), 0), data, tmp_path, defense=Identity())
    losses = [entry["loss"] for entry in history]
    assert all(isinstance(loss, float) for loss in losses)
    assert losses[0] > losses[1] > losses[2], losses  # type: ignore[operator]


def test_the_validation_figure_is_recorded_and_selects_nothing(
    uninterrupted: SplitUNet, data: TrainingData, tmp_path: Path
) -> None:
    figures = iter([0.9, 0.1, None])
    network = build(tiny_spec(), 0)
    history = train(
        network,
        GaussianNoise(std=0.1),
        data,
        SETTINGS,
        seed=7,
        device=torch.device("cpu"),
        folder=tmp_path,
        progress=lambda done, total: None,
        validate=lambda _: next(figures),
    )
    assert [entry["validation_dice"] for entry in history] == [0.9, 0.1, None]
    assert equal_weights(network, uninterrupted)


def test_a_loss_that_is_not_finite_is_loud(data: TrainingData, tmp_path: Path) -> None:
    broken = TrainingData(
        views=(torch.full_like(data.views[0], torch.nan), data.views[1]), masks=data.masks
    )
    with pytest.raises(CellError, match="loss of epoch 1 is not finite"):
        fit(build(tiny_spec(), 0), broken, tmp_path)
    assert not (tmp_path / CHECKPOINT).exists()


def test_building_and_training_leave_the_global_random_state_alone(
    data: TrainingData, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    network = build(tiny_spec(), 0)
    assert torch.equal(torch.get_rng_state(), before)
    fit(network, data, tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_seed_alone_decides_the_initial_weights() -> None:
    torch.manual_seed(1)
    one = build(tiny_spec(), 0)
    torch.manual_seed(2)
    assert equal_weights(one, build(tiny_spec(), 0))
    assert not equal_weights(one, build(tiny_spec(), 1))


def test_the_device_is_chosen_by_name() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
