"""What crosses between a cell and its attack: values, whole and unchanged, and nothing beside."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from leakaudit.audit.attacking import AttackProcess
from leakaudit.audit.wire import Wire
from leakaudit.errors import AttackFailed
from leakaudit_defenses.identity import Identity
from tests.audit.cheats import Cheat
from tests.tiny import tiny_observation, tiny_patients


def crossed(value: object) -> Any:
    """What arrives of plain data."""
    near, far = Pipe()
    Wire(near).send("kind", value)
    kind, arrived = Wire(far).receive()
    assert kind == "kind"
    return arrived


def objects(value: object) -> tuple[Any, list[Callable[..., Any]]]:
    """What arrives of anything, a function as its number, and the functions that stayed."""
    near, far = Pipe()
    functions: list[Callable[..., Any]] = []
    Wire(near).send_objects("kind", value, functions)
    _, arrived = Wire(far).receive_objects(lambda number: partial(divmod, number))
    return arrived, functions


def test_plain_data_arrives_as_it_was_sent() -> None:
    sent = {"a": [1, 2.5, None, True, "x"], "b": np.float32(0.1), "c": (float("inf"), [])}
    arrived = crossed(sent)
    assert arrived == {
        "a": (1, 2.5, None, True, "x"),
        "b": float(np.float32(0.1)),
        "c": (float("inf"), ()),
    }


@pytest.mark.parametrize(
    "tensor",
    [
        torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0)),
        torch.arange(24.0).reshape(1, 2, 3, 4).contiguous(memory_format=torch.channels_last),
        torch.arange(6).reshape(2, 3).T,
        torch.tensor(3, dtype=torch.int64),
        torch.zeros(0, 4),
        torch.tensor([True, False]),
        torch.tensor([1.5], dtype=torch.bfloat16),
        torch.arange(1 << 16).expand(3, 1 << 16)[:, ::7000],
    ],
)
def test_a_tensor_keeps_its_type_values_and_layout(tensor: torch.Tensor) -> None:
    for arrived in (crossed(tensor), objects(tensor)[0]):
        assert arrived.dtype == tensor.dtype
        assert arrived.stride() == tensor.detach().clone().stride()
        assert torch.equal(arrived, tensor)


def test_a_generator_arrives_where_it_stood() -> None:
    generator = torch.Generator().manual_seed(7)
    torch.rand(5, generator=generator)
    arrived = crossed({"generator": generator})["generator"]
    assert torch.equal(torch.rand(3, generator=arrived), torch.rand(3, generator=generator))


def test_a_tensor_brings_neither_its_storage_nor_its_graph() -> None:
    whole = torch.arange(100.0, requires_grad=True)
    part = (whole * 2)[:3]
    arrived, _ = objects({"part": part})
    assert arrived["part"].untyped_storage().nbytes() == 12
    assert arrived["part"].grad_fn is None
    assert not arrived["part"].requires_grad


def test_networks_arrive_with_their_parameters_and_what_these_share() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    network[1].weight = network[0].weight
    network[0].bias.requires_grad_(False)
    (arrived,), _ = objects((network,))
    assert arrived[1].weight is arrived[0].weight
    assert isinstance(arrived[0].weight, torch.nn.Parameter)
    assert [p.requires_grad for p in arrived.parameters()] == [
        p.requires_grad for p in network.parameters()
    ]
    assert torch.equal(arrived(torch.ones(1, 2)), network(torch.ones(1, 2)))


@dataclass
class Holder:
    secret: torch.Tensor

    def ask(self) -> float:
        return float(self.secret.sum())


def test_functions_stay_with_whoever_has_what_they_close_over() -> None:
    holder = Holder(torch.ones(3))
    sent = {
        "method": holder.ask,
        "closure": lambda: holder,
        "partial": partial(Holder, torch.ones(1)),
    }
    arrived, functions = objects({**sent, "public": torch.nn.functional.relu, "name": Path})
    assert functions == list(sent.values())
    assert [arrived[name](1) for name in sent] == [divmod(n, 1) for n in range(3)]
    assert arrived["public"] is torch.nn.functional.relu


def test_what_is_no_plain_data_can_not_be_sent_by_an_attack() -> None:
    with pytest.raises(TypeError, match="a Holder can not be sent by an attack"):
        crossed([Holder(torch.ones(1))])


class Touches:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"{}",
        b"\xff\xfe",
        b'{"kind": "done", "value": {"tensor": 0}, "tensors": []}',
        b'{"kind": "done", "value": null, "tensors": [["float32", [9999999999999], [1], "cpu"]]}',
        b'{"kind": "done", "value": null, "tensors": [["float32", [-1], [1], "cpu"]]}',
        b'{"kind": "done", "value": null, "tensors": [["load", [1], [1], "cpu"]]}',
        b'{"kind": "progress", "value": 3, "tensors": []}',
        b'{"kind": "call", "value": {"dict": {"number": 99}}, "tensors": []}',
        b'{"kind": "done", "value": {"dict": {"images": 3}}, "tensors": []}',
        b'{"kind": "failed", "value": "", "tensors": []}',
        b'{"kind": "eval", "value": "1", "tensors": []}',
    ],
)
def test_a_message_made_to_confuse_fails_the_cell(frame: bytes) -> None:
    near, far = Pipe()
    Wire(far).send("confined", "process")
    where = AttackProcess(near, "x")
    far.send_bytes(frame)
    far.close()
    observation = tiny_observation(
        "curious-server", Identity(), victims=tiny_patients(1), auxiliary=tiny_patients(2, seed=9)
    )
    cheat = Cheat(how="raises", masked=b"", pid=0, address=0, folders=(), port=0)
    with pytest.raises((AttackFailed, TypeError, OSError)):
        where(cheat, observation, 1, lambda done, total: None)


def test_what_an_attack_sends_is_never_read_as_a_pickle(tmp_path: Path) -> None:
    near, far = Pipe()
    evil = tmp_path / "evil"
    raw = pickle.dumps(Touches(evil))
    far.send_bytes(raw)
    with pytest.raises(ValueError, match=r"codec|JSON|Expecting"):
        Wire(near).receive()
    Wire(far).send_objects("done", Touches(evil), [])
    assert Wire(near).receive() == ("done", None)
    assert not evil.exists()


def test_a_tensor_never_shows_memory_that_its_message_did_not_fill() -> None:
    near, far = Pipe()
    header = {"kind": "x", "value": {"tensor": 0}, "tensors": [["float32", [2], [1000], "cpu"]]}
    far.send_bytes(json.dumps(header).encode())
    far.send_bytes(b"\0" * 8)
    with pytest.raises(ValueError, match="leave gaps"):
        Wire(near).receive()
