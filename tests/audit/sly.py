"""Attacks whose every hook leaves a mark where it runs, and attacks that speak past the wire.

A mark is a file named after the hook and the process; `MARKS` names its folder.
"""

from __future__ import annotations

import functools
import io
import json
import os
import pickle
import stat
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, final

import torch

from leakaudit.api import Attack, Capability, Observation, Progress, Reconstruction

MARKS = "leakaudit-test-marks"


def mark(hook: str) -> None:
    with suppress(OSError):
        for folder in Path("/tmp").glob(f"{MARKS}-*"):
            (folder / f"{hook}.{os.getpid()}").touch()


mark("import")
_aside = threading.Thread(target=mark, args=("thread",))
_aside.start()
_aside.join()  # so that no mark is left after a test has looked


class SlyText(str):
    """Text that does something wherever it is looked at."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        mark("text eq")
        return str.__eq__(self, other)

    def __hash__(self) -> int:
        mark("text hash")
        return str.__hash__(self)

    def __format__(self, spec: str) -> str:
        mark("text format")
        return str.__format__(self, spec)


class SlyNumber(float):
    """A number likewise."""

    def __float__(self) -> float:
        mark("float")
        return float.__mul__(self, 1.0)

    def __reduce__(self) -> Any:
        mark("number reduce")
        return float, (1.0,)


class SlyTensor(torch.Tensor):
    """A tensor that does something in every function of torch."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        mark("torch function")
        return super().__torch_function__(func, types, args, kwargs or {})  # type: ignore[no-untyped-call]


def made_by_default() -> int:
    mark("default factory")
    return 1


class Meta(type(Attack)):  # type: ignore[misc]
    def __instancecheck__(cls, instance: object) -> bool:
        mark("instancecheck")
        return bool(super().__instancecheck__(instance))


@final
@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Sly(Attack, metaclass=Meta):
    """Hook everything."""

    number: int = field(default_factory=made_by_default)
    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.ACTIVATIONS})
    recovers: ClassVar[Any] = SlyText("images")

    def __post_init__(self) -> None:
        mark("post init")

    def __getattribute__(self, name: str) -> Any:
        if name in ("recovers", "number", "needs", "reads", "learns", "requires"):
            mark(f"get {name}")
        return object.__getattribute__(self, name)

    def __reduce__(self) -> Any:
        mark("reduce")
        return Sly, ()

    def __eq__(self, other: object) -> bool:
        mark("eq")
        return True

    def __hash__(self) -> int:
        mark("hash")
        return 0

    def __repr__(self) -> str:
        mark("repr")
        return "ActivationInversion(iterations=300)"

    def needs(self) -> frozenset[Capability]:
        mark("needs")
        return self.requires

    def shuffled(self) -> Sly:
        mark("shuffled")
        return self

    def run(
        self, observation: Observation, *, generator: torch.Generator, progress: Progress
    ) -> Reconstruction:
        mark("run")
        images = torch.full(observation.layout.image_shape, 0.5).as_subclass(SlyTensor)
        return Reconstruction(
            images=images,
            objective_first=SlyNumber(1.0),
            objective_last=SlyNumber(0.5),
            iterations=1,
            notes=(SlyText("a note with \x1b[2J and <script>"),),
        )


@final
@dataclass(frozen=True, kw_only=True)
class Partial(Attack):
    """Bring a function along, to have it called beside the patients."""

    function: Any = field(default_factory=lambda: functools.partial(mark, "partial"))
    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.ACTIVATIONS})

    def run(
        self, observation: Observation, *, generator: torch.Generator, progress: Progress
    ) -> Reconstruction:
        raise AssertionError


class _Holder:
    def __getattr__(self, name: str) -> Any:
        mark("entry point")
        return Sly


holder = _Holder()


@final
@dataclass(frozen=True, kw_only=True)
class Speaks(Attack):
    """Write on the pipe itself."""

    how: str
    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.ACTIVATIONS})

    def run(
        self, observation: Observation, *, generator: torch.Generator, progress: Progress
    ) -> Reconstruction:
        for message in MESSAGES[self.how](observation.layout.image_shape):
            _write(message)
        os._exit(0)


def _write(message: bytes) -> None:
    """As a `multiprocessing.connection.Connection` does."""
    for number in range(3, 4096):
        with suppress(OSError):
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                os.write(number, struct.pack("!i", len(message)) + message)
                return


def _done(shape: tuple[int, ...], **other: Any) -> dict[str, Any]:
    value = {
        "images": {"tensor": 0},
        "objective_first": 1.0,
        "objective_last": 0.5,
        "iterations": 1,
        "notes": [],
        **other,
    }
    stride = [1] * len(shape)
    for axis in range(len(shape) - 1, 0, -1):
        stride[axis - 1] = stride[axis] * shape[axis]
    return {
        "kind": "done",
        "value": {"dict": value},
        "tensors": [["float32", list(shape), stride, "cpu"]],
    }


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def short(shape: tuple[int, ...]) -> Iterator[bytes]:
    """Announce images, and send a single byte of them."""
    yield _json(_done(shape))
    yield b"\0"


def asks_short(shape: tuple[int, ...]) -> Iterator[bytes]:
    """The same in a question, whose answer would show what was there."""
    call = {"number": 0, "positional": [{"tensor": 0}], "named": {"dict": {}}}
    yield _json({**_done(shape), "kind": "call", "value": {"dict": call}})
    yield b""


def gaps(shape: tuple[int, ...]) -> Iterator[bytes]:
    yield _json({**_done(shape), "tensors": [["float32", [2], [1 << 20], "cpu"]]})
    yield b"\0" * 8


def backwards(shape: tuple[int, ...]) -> Iterator[bytes]:
    yield _json({**_done(shape), "tensors": [["float32", [4], [-1], "cpu"]]})
    yield b"\0" * 16


def huge(shape: tuple[int, ...]) -> Iterator[bytes]:
    yield _json({**_done(shape), "tensors": [["float32", [1 << 39], [1], "cpu"]]})


def pickled(shape: tuple[int, ...]) -> Iterator[bytes]:
    class Runs:
        def __reduce__(self) -> Any:
            return mark, ("pickle",)

    stream = io.BytesIO()
    pickle.dump(Runs(), stream)
    yield stream.getvalue()


def no_such_function(shape: tuple[int, ...]) -> Iterator[bytes]:
    call = {"number": -1, "positional": [], "named": {"dict": {}}}
    yield _json({"kind": "call", "value": {"dict": call}, "tensors": []})


def too_many_notes(shape: tuple[int, ...]) -> Iterator[bytes]:
    yield _json(_done(shape, notes=["x"] * 1000))
    yield b"\0" * (4 * torch.Size(shape).numel())


def unknown_field(shape: tuple[int, ...]) -> Iterator[bytes]:
    yield _json(_done(shape, __class__="x"))
    yield b"\0" * (4 * torch.Size(shape).numel())


def flagged(shape: tuple[int, ...]) -> Iterator[bytes]:
    """A count that is true."""
    yield _json(_done(shape, iterations=True))
    yield b"\0" * (4 * torch.Size(shape).numel())


MESSAGES: dict[str, Any] = {
    each.__name__: each
    for each in (
        *(short, asks_short, gaps, backwards, huge, pickled, no_such_function),
        *(too_many_notes, unknown_field, flagged),
    )
}
