"""Notices a plug-in that changes what it was only lent: the model, or the state of the process."""

from __future__ import annotations

import hashlib
import pickle
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from leakaudit.errors import CellError
from leakaudit.threat.system import System


@contextmanager
def untouched(who: str, system: System, *, training: bool = False) -> Iterator[None]:
    """Hold the network, its defence and the process's global state to what they were.

    Args:
        who: the plug-in, for the message.
        system: what it is shown.
        training: the network may change, since it is being trained.

    Raises:
        CellError: something changed; the message says what.
    """
    before = _state(system, training)
    yield
    after = _state(system, training)
    changed = [what for what, value in before.items() if after[what] != value]
    if changed:
        raise CellError(f"{who} changed {' and '.join(changed)}, which it must leave alone")


def _state(system: System, training: bool) -> dict[str, object]:
    state: dict[str, object] = {
        # With the fields that its repr leaves out, such as the noise it was fitted with.
        "the defense": pickle.dumps(system.defense),
        "Python's random state": random.getstate(),
        # Its second part is the array, which compares element by element.
        "NumPy's random state": repr(np.random.get_state(legacy=True)),
        "torch's random state": torch.get_rng_state().numpy().tobytes(),
        "torch's default type": torch.get_default_dtype(),
        "torch's default device": torch.get_default_device(),
        "torch's number of threads": torch.get_num_threads(),
        "torch's gradient mode": torch.is_grad_enabled(),
        "torch's deterministic mode": torch.are_deterministic_algorithms_enabled(),
    }
    if torch.cuda.is_initialized():
        state["CUDA's random state"] = [s.tolist() for s in torch.cuda.get_rng_state_all()]
    if not training:
        state["the network"] = [_digest(system.network), _digest(system.initial)]
    return state


def _digest(network: torch.nn.Module) -> str:
    digest = hashlib.sha256(repr([module.training for module in network.modules()]).encode())
    for tensor in network.state_dict().values():
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
