"""How a cell talks with the process of its attack, which is not trusted.

Either way a message is JSON and the raw values of tensors. What the cell sends may be a pickle as
well; what it receives never is, for to read a pickle is to run it. Functions stay with the cell:
what is sent in their place is a number by which the attack calls them.

A received message is checked before memory is set aside for it, and each of its pieces must have
exactly the announced length: what a message leaves unfilled reads as zeros, never as what the
memory held before.
"""

from __future__ import annotations

import io
import json
import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from multiprocessing.connection import Connection
from typing import Any, final

import numpy as np
import torch

_Function = Callable[..., Any]
# Bytes of one piece: a receiver holds one of them beside the tensor that it fills.
_PIECE = 1 << 24
# Bytes of the JSON of a message; of its tensors together if an attack sends it, or a cell does.
_LONGEST = 1 << 24
MOST_FROM_ATTACK = 1 << 31
_MOST_FROM_CELL = 1 << 38
_TENSORS, _DIMENSIONS, _DEPTH, _VALUES = 100_000, 12, 16, 100_000
_DEVICE = re.compile(r"cpu|cuda(:[0-9]{1,2})?|mps(:0)?")
_TYPES = {
    str(kind).removeprefix("torch."): kind
    for kind in (
        *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
        *(torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool),
    )
}


@final
@dataclass(frozen=True)
class Stays:
    """Sent in place of a function that stays with the cell; arrives as one that calls it.

    Args:
        number: by which the attack names it.
    """

    number: int


@final
class Wire:
    """One end of a pipe."""

    def __init__(self, connection: Connection) -> None:
        """Speak over ``connection``."""
        self._connection = connection

    def send(self, kind: str, value: object = None) -> None:
        """Send plain data: numbers, text, tensors, generators; lists, tuples, dicts of them.

        Raises:
            TypeError: it holds something else.
        """
        tensors: list[torch.Tensor] = []
        self._send(kind, _plain(value, tensors), tensors)

    def receive(self) -> tuple[str, Any]:
        """A message of plain data; lists arrive as tuples.

        All that arrives is of these types themselves and of no subclass: None, bool,
        int, float, str, `torch.Tensor`, `torch.Generator`, and tuple and dict of them.

        Raises:
            EOFError: the other end is gone.
            ValueError: what came is not a message.
        """
        kind, tree, tensors = self._receive(MOST_FROM_ATTACK)
        _require_plain(tree, 0, [0])
        return kind, _rebuilt(tree, tensors)

    def send_objects(self, kind: str, value: object) -> None:
        """Send anything that can be pickled; only from the cell to the attack.

        A tensor is sent by its values: no storage that it is a part of, no graph.

        Raises:
            PicklingError, AttributeError: it holds a function that cannot be imported; only one
                that `Stays` stands for may be called by the attack.
        """
        tensors = [torch.empty(0)]
        stream = io.BytesIO()
        _Pickler(stream, tensors).dump(value)
        tensors[0] = torch.frombuffer(stream.getbuffer(), dtype=torch.uint8)
        self._send(kind, None, tensors)

    def receive_objects(self, stand_in: Callable[[int], _Function]) -> tuple[str, Any]:
        """Receive objects at the attack's end; one that stays arrives as ``stand_in(number)``."""
        kind, _, tensors = self._receive(_MOST_FROM_CELL)
        stream = io.BytesIO(tensors[0].numpy().tobytes())
        return kind, _Unpickler(stream, tensors, stand_in).load()

    def _send(self, kind: str, tree: object, tensors: list[torch.Tensor]) -> None:
        # Their layout in memory decides which kernel computes, hence the last bits.
        copies = [tensor.detach().clone() for tensor in tensors]
        header = {
            "kind": kind,
            "value": tree,
            "tensors": [
                [str(t.dtype).removeprefix("torch."), t.shape, t.stride(), str(t.device)]
                for t in copies
            ],
        }
        self._connection.send_bytes(json.dumps(header).encode())
        for copy in copies:
            data = _bytes_of(copy.cpu())
            for start in range(0, len(data), _PIECE):
                self._connection.send_bytes(data[start : start + _PIECE])

    def _receive(self, most: int) -> tuple[str, Any, list[torch.Tensor]]:
        header = json.loads(self._connection.recv_bytes(_LONGEST))
        if type(header) is not dict or header.keys() != {"kind", "value", "tensors"}:
            raise ValueError("a message is a kind, a value and tensors")
        kind, listed = header["kind"], header["tensors"]
        if type(kind) is not str or type(listed) is not list or len(listed) > _TENSORS:
            raise ValueError(f"a message has a kind in words and at most {_TENSORS} tensors")
        announced = [_Announced.read(each) for each in listed]
        if sum(each.size for each in announced) > most:
            raise ValueError(f"a message has at most {most} bytes of tensors")
        return kind, header["value"], [self._filled(each) for each in announced]

    def _filled(self, announced: _Announced) -> torch.Tensor:
        # Zeros, so that it never shows memory that no value of this message has overwritten.
        flat = torch.zeros(announced.values, dtype=announced.kind)
        data = _bytes_of(flat)
        for start in range(0, len(data), _PIECE):
            piece = data[start : start + _PIECE]
            came = self._connection.recv_bytes_into(piece)
            if came != len(piece):
                raise ValueError(f"a piece of a tensor has {len(piece)} bytes; {came} came")
        return flat.as_strided(announced.shape, announced.stride).to(announced.device)


@final
@dataclass(frozen=True)
class _Announced:
    """A tensor as the head of a message describes it, checked."""

    kind: torch.dtype
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    device: str

    @classmethod
    def read(cls, listed: Any) -> _Announced:
        """From JSON.

        Raises:
            ValueError: there is no such tensor, or it has gaps or shares values.
        """
        if type(listed) is not list or len(listed) != 4:
            raise ValueError("a tensor is a type, a shape, strides and a device")
        kind, shape, stride, device = listed
        for numbers in (shape, stride):
            if (
                type(numbers) is not list
                or len(numbers) > _DIMENSIONS
                or not all(type(each) is int and 0 <= each < 1 << 40 for each in numbers)
            ):
                raise ValueError(f"{numbers!r:.80} are not extents of a tensor")
        if type(kind) is not str or kind not in _TYPES:
            raise ValueError(f"{kind!r:.80} is not a type of a tensor")
        if type(device) is not str or not _DEVICE.fullmatch(device):
            raise ValueError(f"{device!r:.80} is not a device")
        if len(shape) != len(stride) or not _dense(shape, stride):
            raise ValueError(f"strides {stride} leave gaps in a tensor of shape {shape}")
        return cls(_TYPES[kind], tuple(shape), tuple(stride), device)

    @property
    def values(self) -> int:
        return prod(self.shape)

    @property
    def size(self) -> int:
        """In bytes."""
        return self.values * self.kind.itemsize


def _dense(shape: list[int], stride: list[int]) -> bool:
    """Whether every place in memory belongs to one value."""
    if not prod(shape):
        return True
    next_stride = 1
    for step, extent in sorted(zip(stride, shape, strict=True)):
        if extent == 1:
            continue
        if step != next_stride:
            return False
        next_stride *= extent
    return True


def _bytes_of(tensor: torch.Tensor) -> memoryview:
    """The memory of a tensor without gaps, in the order in which it lies there."""
    flat = tensor.as_strided((tensor.numel(),), (1,))
    return flat.view(torch.uint8).numpy().data


def _plain(value: object, tensors: list[torch.Tensor]) -> object:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, torch.Tensor):
        tensors.append(value)
        return {"tensor": len(tensors) - 1}
    if isinstance(value, torch.Generator):
        tensors.append(value.get_state())
        return {"generator": len(tensors) - 1, "device": str(value.device)}
    if isinstance(value, list | tuple):
        return [_plain(each, tensors) for each in value]
    if isinstance(value, dict):
        return {"dict": {str(key): _plain(each, tensors) for key, each in value.items()}}
    raise TypeError(f"a {type(value).__name__} cannot be sent by an attack: {value!r:.80}")


def _require_plain(tree: Any, depth: int, seen: list[int]) -> None:
    """Refuse what is nested deeper, or has more values, than any honest message."""
    seen[0] += 1
    if depth > _DEPTH or seen[0] > _VALUES:
        raise ValueError(f"a message has at most {_VALUES} values, nested {_DEPTH} deep")
    for each in tree if type(tree) is list else tree.values() if type(tree) is dict else ():
        _require_plain(each, depth + 1, seen)


def _rebuilt(tree: Any, tensors: list[torch.Tensor]) -> Any:
    if isinstance(tree, list):
        return tuple(_rebuilt(each, tensors) for each in tree)
    if not isinstance(tree, dict):
        return tree
    if tree.keys() == {"tensor"}:
        return _numbered(tree["tensor"], tensors)
    if tree.keys() == {"generator", "device"}:
        device, state = tree["device"], _numbered(tree["generator"], tensors).cpu()
        if type(device) is not str or not _DEVICE.fullmatch(device):
            raise ValueError(f"{device!r:.80} is not a device")
        generator = torch.Generator(device)
        like = generator.get_state()
        if state.dtype != like.dtype or state.shape != like.shape:
            raise ValueError(f"the state of a generator has {like.numel()} bytes")
        generator.set_state(state)
        return generator
    if tree.keys() != {"dict"} or type(tree["dict"]) is not dict:
        raise ValueError(f"{list(tree)!r:.80} stands for no value")
    return {key: _rebuilt(each, tensors) for key, each in tree["dict"].items()}


def _numbered(index: Any, tensors: list[torch.Tensor]) -> torch.Tensor:
    if type(index) is not int or not 0 <= index < len(tensors):
        raise ValueError(f"there is no tensor {index!r:.80} in the message")
    return tensors[index]


class _Pickler(pickle.Pickler):
    def __init__(self, stream: io.BytesIO, tensors: list[torch.Tensor]) -> None:
        super().__init__(stream, protocol=pickle.HIGHEST_PROTOCOL)
        self._tensors = tensors
        self._known: dict[int, int] = {}

    def persistent_id(self, value: object) -> tuple[object, ...] | None:
        if isinstance(value, torch.Tensor):
            if id(value) not in self._known:
                self._known[id(value)] = len(self._tensors)
                self._tensors.append(value)
            kept = isinstance(value, torch.nn.Parameter)
            return "tensor", self._known[id(value)], kept, value.is_leaf and value.requires_grad
        if isinstance(value, Stays):
            return "function", value.number
        return None


class _Unpickler(pickle.Unpickler):
    def __init__(
        self,
        stream: io.BytesIO,
        tensors: list[torch.Tensor],
        stand_in: Callable[[int], _Function],
    ) -> None:
        super().__init__(stream)
        self._tensors, self._stand_in = tensors, stand_in
        self._made: dict[int, torch.Tensor] = {}

    def persistent_load(self, name: Any) -> object:
        if name[0] == "function":
            return self._stand_in(name[1])
        _, index, kept, gradient = name
        if index not in self._made:
            tensor = self._tensors[index]
            self._made[index] = (
                torch.nn.Parameter(tensor, requires_grad=gradient)
                if kept
                else tensor.requires_grad_(gradient)
            )
        return self._made[index]
