"""Checks of attacks and defenses alike."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass

import torch


def check_configuration(plugin: object) -> None:
    """Its fields are its whole configuration, and its repr rebuilds it."""
    cls = type(plugin)
    name = cls.__name__
    assert is_dataclass(cls), (
        f"{name} is not a dataclass; its fields must be its whole configuration"
    )
    assert getattr(cls, "__dataclass_params__").frozen, f"{name} must be frozen"  # noqa: B009
    assert all(field.kw_only for field in fields(cls)), f"{name} must be keyword-only"
    rebuilt = eval(repr(plugin), {name: cls, "inf": math.inf, "__builtins__": {}})
    for field in fields(cls):
        if not field.metadata.get("fitted"):
            same = getattr(plugin, field.name) == getattr(rebuilt, field.name)
            assert same, f"{plugin!r} does not rebuild {name}: another {field.name}"


@contextmanager
def untouched(what: str) -> Iterator[None]:
    """Hold torch's global state to what it was."""
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    yield
    assert torch.equal(state, torch.get_rng_state()), f"{what} used the global random state"
    assert threads == torch.get_num_threads(), f"{what} changed the number of threads"
