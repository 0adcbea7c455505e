"""How a cell talks with the process of its attack, which is not trusted.

Either way a message is JSON and the raw values of tensors. What the cell sends may be a pickle as
well; what it receives never is, for to read a pickle is to run it. Functions stay with the cell:
what is sent in their place is a number by which the attack calls them.
"""

from __future__ import annotations

import io
import json
import pickle
import sys
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from types import FunctionType, MethodType
from typing import Any, final

import numpy as np
import torch

_Function = Callable[..., Any]
# Bytes of one piece: a receiver holds one of them beside the tensor that it fills.
_PIECE = 1 << 24
_LONGEST = 1 << 26
_TYPES = {
    str(kind).removeprefix("torch."): kind
    for kind in (
        *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
        *(torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool),
    )
}


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

        Raises:
            EOFError: the other end is gone.
            ValueError: what came is no message.
        """
        kind, tree, tensors = self._receive()
        return kind, _rebuilt(tree, tensors)

    def send_objects(self, kind: str, value: object, functions: list[_Function]) -> None:
        """Send anything that can be pickled; only from the cell to the attack.

        A tensor is sent by its values: no storage that it is a part of, no graph. A function that
        can not be imported, closures and methods among them, is added to ``functions``.
        """
        tensors = [torch.empty(0)]
        stream = io.BytesIO()
        _Pickler(stream, tensors, functions).dump(value)
        tensors[0] = torch.frombuffer(stream.getbuffer(), dtype=torch.uint8)
        self._send(kind, None, tensors)

    def receive_objects(self, stand_in: Callable[[int], _Function]) -> tuple[str, Any]:
        """The same at the attack's end; functions arrive as ``stand_in(number)``."""
        kind, _, tensors = self._receive()
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

    def _receive(self) -> tuple[str, Any, list[torch.Tensor]]:
        header = json.loads(self._connection.recv_bytes(_LONGEST))
        tensors = []
        for kind, shape, stride, device in header["tensors"]:
            tensor = torch.empty_strided(shape, stride, dtype=_TYPES[kind])
            if tensor.untyped_storage().nbytes() != tensor.numel() * tensor.element_size():
                # Else it would show memory that no value of this message has overwritten.
                raise ValueError(f"strides {stride} leave gaps in a tensor of shape {shape}")
            data = _bytes_of(tensor)
            for start in range(0, len(data), _PIECE):
                self._connection.recv_bytes_into(data[start : start + _PIECE])
            tensors.append(tensor.to(device))
        return header["kind"], header["value"], tensors


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
    raise TypeError(f"a {type(value).__name__} can not be sent by an attack: {value!r:.80}")


def _rebuilt(tree: Any, tensors: list[torch.Tensor]) -> Any:
    if isinstance(tree, list):
        return tuple(_rebuilt(each, tensors) for each in tree)
    if not isinstance(tree, dict):
        return tree
    if "tensor" in tree:
        return tensors[tree["tensor"]]
    if "generator" in tree:
        generator = torch.Generator(tree["device"])
        generator.set_state(tensors[tree["generator"]].cpu())
        return generator
    return {key: _rebuilt(each, tensors) for key, each in tree["dict"].items()}


class _Pickler(pickle.Pickler):
    def __init__(
        self, stream: io.BytesIO, tensors: list[torch.Tensor], functions: list[_Function]
    ) -> None:
        super().__init__(stream, protocol=pickle.HIGHEST_PROTOCOL)
        self._tensors, self._functions = tensors, functions
        self._known: dict[int, int] = {}

    def persistent_id(self, value: object) -> tuple[object, ...] | None:
        if isinstance(value, torch.Tensor):
            if id(value) not in self._known:
                self._known[id(value)] = len(self._tensors)
                self._tensors.append(value)
            kept = isinstance(value, torch.nn.Parameter)
            return "tensor", self._known[id(value)], kept, value.is_leaf and value.requires_grad
        if isinstance(value, FunctionType | MethodType | partial) and not _importable(value):
            self._functions.append(value)
            return "function", len(self._functions) - 1
        return None


def _importable(function: _Function) -> bool:
    module = sys.modules.get(getattr(function, "__module__", ""))
    name = getattr(function, "__qualname__", "")
    return "." not in name and getattr(module, name, None) is function


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
