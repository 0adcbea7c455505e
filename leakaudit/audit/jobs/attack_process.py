"""Runs an attack in a process that never held the truth, and answers what it asks of the system.

The process is forked before there were patients. It gets the observation as a copy; the functions
in it run here, in the process of the cell, which sends back what they return.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from multiprocessing.connection import Connection
from typing import Any, final

import torch

from leakaudit.audit.jobs.tampering import untouched
from leakaudit.contracts import (
    Attack,
    AttackFacts,
    AttackUse,
    Attempt,
    Capability,
    Observation,
    Progress,
    Reconstruction,
    SystemLayout,
    attempted,
    run_here,
)
from leakaudit.errors import AttackFailed
from leakaudit.isolation.sandbox import Confinement, Isolation, run_confined
from leakaudit.isolation.wire import Stays, Wire
from leakaudit.registry import loaded
from leakaudit.visible import made_visible

# Of what an attack says in words, so much is kept.
_NOTES, _LETTERS = 16, 1000
_MOST_COUNTED = 1 << 53
_ARGUMENTS = 8


@final
@dataclass(frozen=True)
class _Order:
    """One attack to run; the cell sends it as a pickle without any code of the attack."""

    name: str
    attack: AttackUse
    shuffled: bool
    threat: str
    layout: SystemLayout
    held: dict[Capability, object]
    seed: int


def attempt_at(
    where: AttackProcess,
    attack: AttackFacts,
    observation: Observation,
    *,
    seed: int,
    progress: Progress,
    shuffled: bool = False,
) -> Attempt:
    """Run an attack, which is not trusted, in its own process, and check what comes back.

    Args:
        where: a process that has run none yet.
        attack: which, and what it said of itself.
        observation: what the threat model grants.
        seed: of all its randomness.
        progress: told (done, total) now and then.
        shuffled: run its `Attack.shuffled` instead.

    Raises:
        NotGranted: the threat model lacks a capability the attack requires.
        CellError: shape or range of the reconstruction is wrong, or a value is not finite.
        AttackFailed: the attack raised, or its process ended.
    """
    use = attack.declared_use
    return attempted(
        observation,
        name=attack.kind.class_name,
        needs=attack.needs(),
        recovers=attack.recovers,
        run=lambda counted: where(use, counted, seed, progress, shuffled=shuffled),
    )


@final
class AttackProcess:
    """The cell's side of one attack process, for one attack."""

    def __init__(self, connection: Connection, name: str) -> None:
        """Wait until the process is confined.

        Args:
            connection: the other end of `serve`'s.
            name: of the attack, for messages.

        Raises:
            AttackFailed: the process ended.
        """
        self._wire = Wire(connection)
        self._name = name
        kind, value = self._received()
        if kind != "confined":
            raise AttackFailed(f"{value}; it was not confined yet")
        self.isolation: Isolation = value

    def __call__(
        self,
        attack: AttackUse,
        observation: Observation,
        seed: int,
        progress: Progress,
        *,
        shuffled: bool = False,
    ) -> Reconstruction:
        """Run ``attack`` over there; of what comes back only the types are checked.

        Raises:
            AttackFailed: it raised, or its process ended.
        """
        functions: list[Callable[..., Any]] = []
        held: dict[Capability, object] = {}
        for each in observation.granted:
            value: Any = observation._get(each)
            if each.row.asked:
                functions.append(value)
                value = Stays(len(functions) - 1)
            held[each] = value
        order = _Order(
            self._name, attack, shuffled, observation.threat, observation.layout, held, seed
        )
        self._wire.send_objects("attack", order)
        while True:
            kind, value = self._received()
            try:
                if kind == "progress":
                    progress(*_progress(value))
                elif kind == "call":
                    self._answer(_Call.read(value, functions))
                elif kind == "done":
                    return _reconstruction(value)
                elif kind in ("failed", "ended"):
                    raise AttackFailed(_said(value) or "its process failed without a word")
                else:
                    raise AttackFailed(f"its process sent {kind!r:.80}, which means nothing")
            except _SenselessError as error:
                raise AttackFailed(f"its process sent what means nothing: {error}") from error

    def _received(self) -> tuple[str, Any]:
        try:
            return self._wire.receive()
        except EOFError as error:
            raise AttackFailed("its process ended without a word") from error
        except Exception as error:  # a message may be made to confuse
            raise AttackFailed(
                f"its process sent something that is not a message: {error}"
            ) from error

    def _answer(self, call: _Call) -> None:
        # Their draws are made here, on a copy: its state goes back with the answer.
        generators = _generators(call.positional, call.named)
        answer: object
        try:
            how, answer = "returned", call.function(*call.positional, **call.named)
        except Exception as error:
            how, answer = "raised", _words(error)
        states = [generator.get_state() for generator in generators]
        self._wire.send_objects("answer", (how, answer, states))


class _SenselessError(Exception):
    """A message is whole, but not what it says it is."""


@final
@dataclass(frozen=True)
class _Call:
    """One call of a function that the cell granted to an attack, checked."""

    function: Callable[..., Any]
    positional: tuple[Any, ...]
    named: dict[str, Any]

    @classmethod
    def read(cls, value: Any, functions: Sequence[Callable[..., Any]]) -> _Call:
        number, positional, named = _parts(value, "number", "positional", "named")
        if type(number) is not int or not 0 <= number < len(functions):
            raise _SenselessError(f"there is no function {number!r:.80}")
        if type(positional) is not tuple or type(named) is not dict:
            raise _SenselessError("arguments are a list and a mapping")
        if len(positional) + len(named) > _ARGUMENTS:
            raise _SenselessError(f"a function takes at most {_ARGUMENTS} arguments")
        return cls(functions[number], positional, named)


def _parts(value: Any, *names: str) -> list[Any]:
    if type(value) is not dict or value.keys() != set(names):
        raise _SenselessError(f"it should hold {', '.join(names)}")
    return [value[name] for name in names]


def _progress(value: Any) -> tuple[int, int]:
    if type(value) is not tuple or len(value) != 2 or not all(map(_counts, value)):
        raise _SenselessError("progress must be two counts, done and total")
    done, total = value
    return done, total


def _counts(value: Any) -> bool:
    return type(value) is int and 0 <= value < _MOST_COUNTED


def _said(value: Any) -> str:
    if type(value) is not str:
        raise _SenselessError("its message is not text")
    return made_visible(value[:_LETTERS], "line")


def _reconstruction(value: Any) -> Reconstruction:
    """From what an attack sent; every field is of its type itself."""
    images, first, last, iterations, notes = _parts(
        value, *(each.name for each in fields(Reconstruction))
    )
    if type(images) is not torch.Tensor or not images.is_floating_point():
        raise _SenselessError("its result is not a tensor of fractions")
    if not all(type(each) is float or _counts(each) for each in (first, last)):
        raise _SenselessError("its objective is not a number")
    if not _counts(iterations):
        raise _SenselessError("its iterations are not a count")
    if type(notes) is not tuple or len(notes) > _NOTES:
        raise _SenselessError(f"an attack has at most {_NOTES} notes")
    return Reconstruction(
        images=images,
        objective_first=float(first),
        objective_last=float(last),
        iterations=iterations,
        notes=tuple(map(_said, notes)),
    )


def serve(confinement: Confinement, connection: Connection) -> None:
    """Run one attack for an `AttackProcess`, in a confined child of this process."""
    wire = Wire(connection)
    how = run_confined(
        confinement, connection.fileno(), lambda isolation: _attacked(wire, isolation)
    )
    try:
        wire.send("ended", f"its process {how}")
    except OSError:  # the cell needs no more of it
        return


def _attacked(wire: Wire, isolation: Isolation) -> None:
    wire.send("confined", isolation)

    def stand_in(number: int) -> Callable[..., Any]:
        def call(*positional: object, **named: object) -> Any:
            wire.send("call", {"number": number, "positional": positional, "named": named})
            _, (how, answer, states) = wire.receive_objects(stand_in)
            for generator, state in zip(_generators(positional, named), states, strict=True):
                generator.set_state(state)
            if how == "raised":
                raise RuntimeError(answer)
            return answer

        return call

    try:
        # Read here, where to import the plug-in's code is harmless.
        _, order = wire.receive_objects(stand_in)
        result = _run(order, lambda done, total: wire.send("progress", (done, total)))
        wire.send("done", {each.name: getattr(result, each.name) for each in fields(result)})
    except EOFError:
        return
    except Exception as error:
        wire.send("failed", _words(error))


def _run(order: _Order, progress: Progress) -> Reconstruction:
    observation = Observation(threat=order.threat, layout=order.layout, held=order.held)
    defense = order.held.get(Capability.DEFENSE_PARAMETERS)
    networks = [module for value in order.held.values() for module in _modules(value)]
    use = order.attack
    # Its code is imported and made here, where nothing is that it could harm.
    attack: Attack = loaded("attack", use.name, use.point, "its package", "").make(
        dict(use.parameters)
    )
    if order.shuffled:
        attack = attack.shuffled()
    with untouched(f"attack {order.name}", defense=defense, networks=networks):
        result = run_here(attack, observation, order.seed, progress)
    if not isinstance(result, Reconstruction):
        raise TypeError(f"the attack returned a {type(result).__name__}, no Reconstruction")
    return result


def _modules(value: object) -> Iterator[torch.nn.Module]:
    if isinstance(value, torch.nn.Module):
        yield value
    elif isinstance(value, tuple):
        for each in value:
            yield from _modules(each)


def _generators(positional: tuple[Any, ...], named: dict[str, Any]) -> list[torch.Generator]:
    return [each for each in (*positional, *named.values()) if isinstance(each, torch.Generator)]


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:500]
