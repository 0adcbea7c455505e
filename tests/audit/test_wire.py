"""What crosses between a cell and its attack: values, whole and unchanged, and nothing beside."""

from __future__ import annotations

import json
import pickle
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import BufferTooShort, Pipe
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from leakaudit.audit.jobs.attack_process import AttackProcess
from leakaudit.contracts import AttackUse
from leakaudit.errors import AttackFailed
from leakaudit.isolation.wire import Stays, Wire
from leakaudit_defenses.identity import Identity
from tests.tiny import tiny_observation, tiny_patients


def crossed(value: object) -> Any:
    """What arrives of plain data."""
    near, far = Pipe()
    Wire(near).send("kind", value)
    kind, arrived = Wire(far).receive()
    assert kind == "kind"
    return arrived


def objects(value: object) -> Any:
    """What arrives of anything, and of a function that stays its number."""
    near, far = Pipe()
    Wire(near).send_objects("kind", value)
    _, arrived = Wire(far).receive_objects(lambda number: partial(divmod, number))
    return arrived


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
    for arrived in (crossed(tensor), objects(tensor)):
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
    arrived = objects({"part": part})
    assert arrived["part"].untyped_storage().nbytes() == 12
    assert arrived["part"].grad_fn is None
    assert not arrived["part"].requires_grad


def test_networks_arrive_with_their_parameters_and_what_these_share() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    network[1].weight = network[0].weight
    network[0].bias.requires_grad_(False)
    (arrived,) = objects((network,))
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


def test_only_a_function_that_is_said_to_stay_is_called_from_afar() -> None:
    sent = {"stays": Stays(3), "public": torch.nn.functional.relu, "name": Path}
    arrived = objects(sent)
    assert arrived["stays"](1) == divmod(3, 1)
    assert arrived["public"] is torch.nn.functional.relu
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        objects({"closure": lambda: None})


def test_a_partial_arrives_as_the_copy_that_it_is_and_calls_nobody() -> None:
    holder = Holder(torch.ones(3))
    arrived = objects({"partial": partial(Holder, torch.ones(1)), "method": holder.ask})
    assert arrived["partial"]().secret == 1
    holder.secret.zero_()
    assert arrived["method"]() == 3


def test_what_is_no_plain_data_can_not_be_sent_by_an_attack() -> None:
    with pytest.raises(TypeError, match="a Holder cannot be sent by an attack"):
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
    use = AttackUse(name="x", point="tests.audit.cheats:Cheat", parameters=(("how", "raises"),))
    with pytest.raises((AttackFailed, OSError)):
        where(use, observation, 1, lambda done, total: None)


def test_what_an_attack_sends_is_never_read_as_a_pickle(tmp_path: Path) -> None:
    near, far = Pipe()
    evil = tmp_path / "evil"
    raw = pickle.dumps(Touches(evil))
    far.send_bytes(raw)
    with pytest.raises(ValueError, match=r"codec|JSON|Expecting"):
        Wire(near).receive()
    Wire(far).send_objects("done", Touches(evil))
    assert Wire(near).receive() == ("done", None)
    assert not evil.exists()


def received(head: object, *pieces: bytes) -> Any:
    near, far = Pipe()

    def send() -> None:  # from a thread: a pipe holds no megabyte
        with suppress(OSError):
            far.send_bytes(json.dumps(head).encode())
            for piece in pieces:
                far.send_bytes(piece)
        far.close()

    sender = threading.Thread(target=send)
    sender.start()
    try:
        return Wire(near).receive()[1]
    finally:
        near.close()
        sender.join()


def head(*tensor: object, value: object = None) -> dict[str, object]:
    return {"kind": "x", "value": value or {"tensor": 0}, "tensors": [list(tensor)]}


@pytest.mark.parametrize("pieces", [[b""], [b"\0"], [b"\0" * 4095], [b"\0" * 100] * 41])
def test_a_short_piece_is_refused_and_shows_nothing_of_the_memory(pieces: list[bytes]) -> None:
    with pytest.raises(ValueError, match=r"has 4096 bytes; \d+ came"):
        received(head("float32", [1024], [1], "cpu"), *pieces)


def test_a_piece_that_is_too_long_or_missing_is_refused() -> None:
    with pytest.raises(BufferTooShort):
        received(head("float32", [4], [1], "cpu"), b"\0" * 17)
    with pytest.raises(EOFError):
        received(head("float32", [4], [1], "cpu"))


@pytest.mark.parametrize(
    ("listed", "why"),
    [
        (("float32", [2], [1000], "cpu"), "leave gaps"),
        (("float32", [2, 2], [0, 3], "cpu"), "leave gaps"),
        (("float32", [4], [0], "cpu"), "leave gaps"),
        (("float32", [2], [1, 1], "cpu"), "leave gaps"),
        (("float32", [-1], [1], "cpu"), "not extents"),
        (("float32", [2], [-1], "cpu"), "not extents"),
        (("float32", [True], [1], "cpu"), "not extents"),
        (("float32", [2.0], [1], "cpu"), "not extents"),
        (("float32", [1] * 13, [1] * 13, "cpu"), "not extents"),
        (("float32", [1 << 41], [1], "cpu"), "not extents"),
        (("float32", [1 << 30], [1], "cpu"), "at most 2147483648 bytes"),
        (("complex64", [1], [1], "cpu"), "not a type"),
        (("__class__", [1], [1], "cpu"), "not a type"),
        (("float32", [1], [1], "meta"), "not a device"),
        (("float32", [1], [1], "cuda:999"), "not a device"),
        (("float32", [1], [1]), "a type, a shape, strides and a device"),
    ],
)
def test_a_tensor_that_can_not_be_is_refused_before_it_has_memory(
    listed: tuple[object, ...], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        received(head(*listed), b"\0" * 8)


@pytest.mark.parametrize(
    "value",
    [
        {"tensor": 1},
        {"tensor": -1},
        {"tensor": True},
        {"tensor": "0"},
        {"tensor": 0, "dict": {}},
        {"generator": 0, "device": "cpu"},
        {"generator": 0, "device": "meta"},
        {"dict": [1]},
        {"other": 1},
        {},
    ],
)
def test_a_value_that_stands_for_nothing_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"no tensor|stands for no value|state|not a device"):
        received({**head("uint8", [8], [1], "cpu"), "value": value}, b"\0" * 8)


def test_a_state_that_no_generator_was_ever_in_is_refused() -> None:
    state = torch.Generator().get_state()
    crafted = torch.full_like(state, 255).numpy().tobytes()
    listed = head("uint8", [len(crafted)], [1], "cpu", value={"generator": 0, "device": "cpu"})
    with pytest.raises(RuntimeError, match="Invalid mt19937 state"):
        received(listed, crafted)


def test_what_is_nested_too_deep_or_is_too_much_is_refused() -> None:
    deep: object = 1
    for _ in range(20):
        deep = [deep]
    for value in (deep, [0] * 100_001):
        with pytest.raises(ValueError, match="values, nested"):
            received({"kind": "x", "value": value, "tensors": []})
    with pytest.raises(ValueError, match="at most 100000 tensors"):
        received({"kind": "x", "value": 1, "tensors": [0] * 100_001})


class Sly(str):
    __slots__ = ()

    def __format__(self, spec: str) -> str:
        raise AssertionError("formatted beside the patients")


class Heavy(float):
    def __float__(self) -> float:
        raise AssertionError("converted beside the patients")


class Spying(torch.Tensor):
    @classmethod
    def __torch_function__(cls, *_: Any, **__: Any) -> Any:
        raise AssertionError("computed with beside the patients")


def test_no_class_of_an_attack_crosses() -> None:
    arrived = crossed(
        {"note": Sly("x"), "float": Heavy(1.5), "parameter": torch.nn.Parameter(torch.ones(2))}
    )
    assert [type(each) for each in arrived.values()] == [str, float, torch.Tensor]
    assert not arrived["parameter"].requires_grad
    with torch._C.DisableTorchFunctionSubclass():
        assert type(crossed(torch.ones(2).as_subclass(Spying))) is torch.Tensor
