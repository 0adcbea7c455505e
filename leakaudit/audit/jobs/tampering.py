"""Notices a plug-in that changes what it was only lent: the model, or the state of the process."""

from __future__ import annotations

import hashlib
import pickle
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch

from leakaudit.errors import CellError


@contextmanager
def untouched(
    who: str, *, defense: object = None, networks: Sequence[torch.nn.Module] = ()
) -> Iterator[None]:
    """Hold a defense, networks and the process's global state to what they were.

    Args:
        who: the plug-in, for the message.
        defense: of the system that it is shown; None if it is not shown it.
        networks: what else it is shown; a network in training is not among them.

    Raises:
        CellError: something changed; the message says what.
    """

    def state() -> dict[str, object]:
        return {"the network": [_digest(network) for network in networks], **_state(defense)}

    before = state()
    yield
    after = state()
    changed = [what for what, value in before.items() if after[what] != value]
    if changed:
        raise CellError(f"{who} changed {' and '.join(changed)}, which it must leave alone")


def _state(defense: object) -> dict[str, object]:
    state: dict[str, object] = {
        # With the fields that its repr leaves out, such as the noise it was fitted with.
        "the defense": pickle.dumps(defense),
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
    return state


def _digest(network: torch.nn.Module) -> str:
    digest = hashlib.sha256(repr([module.training for module in network.modules()]).encode())
    for tensor in network.state_dict().values():
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
