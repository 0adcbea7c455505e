"""A plug-in that changes what it was lent is found, whatever it changes."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import pytest
import torch

from leakaudit.audit.jobs.tampering import untouched
from leakaudit.config import PluginUse, expand
from leakaudit.errors import CellError
from leakaudit.threat.system import System
from tests.tiny import tiny_network, tiny_system


@pytest.fixture
def system() -> System:
    use = PluginUse(name="gaussian-noise", parameters={"std": 1.0})
    return tiny_system(expand("defense", use)[0][1], network_of=tiny_network)


def nudge(system: System) -> None:
    with torch.no_grad():
        next(system.network.server.parameters()).view(-1)[0].add_(1e-6)


def lent(system: System) -> AbstractContextManager[None]:
    networks = system.network, system.initial
    return untouched("attack x", defense=system.defense, networks=networks)


CHANGES: dict[str, tuple[Callable[[System], object], Callable[[], object]]] = {
    "the network": (nudge, lambda: None),
    "the network in training mode": (lambda s: s.initial.train(), lambda: None),
    "the defense": (lambda s: object.__setattr__(s.defense, "std", 0.0), lambda: None),
    "Python's random state": (lambda _: random.random(), lambda: None),
    "NumPy's random state": (lambda _: np.random.rand(), lambda: None),
    "torch's random state": (lambda _: torch.rand(1), lambda: None),
    "torch's default type": (
        lambda _: torch.set_default_dtype(torch.float64),
        lambda: torch.set_default_dtype(torch.float32),
    ),
    "torch's default device": (
        lambda _: torch.set_default_device("meta"),
        lambda: torch.set_default_device(None),
    ),
    "torch's gradient mode": (
        lambda _: torch.set_grad_enabled(False),
        lambda: torch.set_grad_enabled(True),
    ),
    "torch's deterministic mode": (
        lambda _: torch.use_deterministic_algorithms(True),
        lambda: torch.use_deterministic_algorithms(False),
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_is_found_and_named(what: str, system: System) -> None:
    change, undo = CHANGES[what]
    try:
        with (
            pytest.raises(CellError, match=f"attack x changed {what.split(' in ')[0]}, which"),
            lent(system),
        ):
            change(system)
    finally:
        undo()


def test_a_fitted_value_that_the_repr_leaves_out_is_found() -> None:
    system = tiny_system(expand("defense", PluginUse(name="dp-gaussian"))[0][1])
    assert "noise_std" not in repr(system.defense)
    with (
        pytest.raises(CellError, match="attack x changed the defense, which"),
        lent(system),
    ):
        object.__setattr__(system.defense, "noise_std", 0.0)


def test_nothing_is_said_of_one_that_changes_nothing(system: System) -> None:
    with lent(system):
        torch.rand(3, generator=torch.Generator().manual_seed(0))


def test_a_network_in_training_may_change_but_nothing_else(system: System) -> None:
    with untouched("defense x", defense=system.defense):
        nudge(system)
    with (
        pytest.raises(CellError, match="torch's random state"),
        untouched("defense x", defense=system.defense),
    ):
        torch.rand(1)
