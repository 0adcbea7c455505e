"""Writes a training after every epoch: where it can go on, and the epochs an audit keeps.

Both are written whole or not at all, and carry a digest: what is not what was written is redone,
never used.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from leakaudit.errors import CellError
from leakaudit.files import make_private_folder, replace_atomically
from leakaudit.target.split_unet import SplitUNet

History = list[dict[str, Any]]

_CHECKPOINT = "checkpoint.safetensors"
_ENCODERS = "encoders."


def save_checkpoint(
    folder: Path,
    network: SplitUNet,
    optimizers: Sequence[torch.optim.Adam],
    history: History,
) -> None:
    """Write all that the next epoch depends on."""
    _write(folder / _CHECKPOINT, _state(network, optimizers), json.dumps(history))


def resume(
    folder: Path,
    network: SplitUNet,
    optimizers: Sequence[torch.optim.Adam],
    kept: Sequence[int] = (),
) -> History:
    """Load the checkpoint of ``folder`` in place, and return its history.

    The history is empty, and nothing is loaded, if there is no checkpoint or an epoch before it
    that was to be ``kept`` is missing.
    """
    found = _read(folder / _CHECKPOINT)
    if found is None:
        return []
    tensors, text = found
    history = cast(History, json.loads(text))
    due = [epoch for epoch in kept if epoch <= len(history)]
    if not all(_kept(folder, epoch) for epoch in due):
        # What is left is of another training than the one that begins now.
        (folder / _CHECKPOINT).unlink()
        return []
    network.load_state_dict(
        {
            name.removeprefix("network."): tensor
            for name, tensor in tensors.items()
            if name.startswith("network.")
        }
    )
    for party, optimizer in enumerate(optimizers):
        state: dict[int, dict[str, Any]] = {}
        prefix = f"adam.{party}."
        for name, tensor in tensors.items():
            if name.startswith(prefix):
                index, entry = name.removeprefix(prefix).split(".")
                state.setdefault(int(index), {})[entry] = tensor
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    return history


def keep_epoch(folder: Path, epoch: int, network: SplitUNet, *, whole: bool) -> None:
    """Write the network as it is after ``epoch``: all of it, or its encoders alone."""
    state = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in network.state_dict().items()
        if whole or name.startswith(_ENCODERS)
    }
    _write(epoch_file(folder, epoch), state, str(epoch))


def copy_epoch(folder: Path, epoch: int, to: Path) -> None:
    """Copy what `keep_epoch` wrote, if it is still what was written.

    Raises:
        CellError: it is not; a training that is resumed begins anew.
    """
    found = _kept(folder, epoch)
    if found is None:
        raise CellError(f"what was kept of epoch {epoch} was lost; run again to train anew")
    _write(epoch_file(to, epoch), found, str(epoch))


def epoch_file(folder: Path, epoch: int) -> Path:
    """Where `keep_epoch` writes."""
    return folder / f"epoch_{epoch:04}.safetensors"


def load_epoch(folder: Path, epoch: int, network: SplitUNet) -> bool:
    """Load what `keep_epoch` wrote into ``network``, in place; False if it is not there whole.

    Where the encoders alone were kept, the rest of the network is left as it is.
    """
    found = _kept(folder, epoch)
    if found is None:
        return False
    network.load_state_dict({**network.state_dict(), **found})
    return True


def _kept(folder: Path, epoch: int) -> dict[str, torch.Tensor] | None:
    found = _read(epoch_file(folder, epoch))
    return found[0] if found is not None and found[1] == str(epoch) else None


def _state(network: SplitUNet, optimizers: Sequence[torch.optim.Adam]) -> dict[str, torch.Tensor]:
    state = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    for party, optimizer in enumerate(optimizers):
        for index, entry in optimizer.state_dict()["state"].items():
            for name, tensor in entry.items():
                state[f"adam.{party}.{index}.{name}"] = tensor
    return {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}


def _write(path: Path, state: Mapping[str, torch.Tensor], text: str) -> None:
    make_private_folder(path.parent)
    with replace_atomically(path) as temporary:
        save_file(dict(state), temporary, {"history": text, "sha256": _digest(state, text)})


def _read(path: Path) -> tuple[dict[str, torch.Tensor], str] | None:
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            stored = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        text: str = stored["history"]
        whole = stored["sha256"] == _digest(tensors, text)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError):
        return None
    return (tensors, text) if whole else None


def _digest(state: Mapping[str, torch.Tensor], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(state):
        digest.update(name.encode())
        digest.update(state[name].numpy().tobytes())
    return digest.hexdigest()
