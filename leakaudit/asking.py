"""Asks attacks about themselves, where their code may run: in a confined process of their own.

A process with patients, now or later, learns what an attack needs, recovers and says of itself from
plain data alone (`AttackKind`, `AttackFacts`). All questions to the attacks of one distribution are
asked in one process, and no question twice.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Any, final

from leakaudit.contracts import (
    AttackFacts,
    AttackKind,
    AttackUse,
    as_text,
    facts_from,
    kind_from,
    plain_value,
)
from leakaudit.errors import ConfigError, LeakauditError, PluginError
from leakaudit.isolation.forking import nearest
from leakaudit.isolation.sandbox import Confinement, Isolation, confinement_of, run_confined
from leakaudit.isolation.wire import Wire
from leakaudit.registry import code_of, declared, installed, loaded, owner_of
from leakaudit.visible import made_visible

# An import of torch takes seconds on a slow disk.
_PATIENCE = 120.0
_LETTERS = 2_000


@final
@dataclass(frozen=True, kw_only=True)
class _Question:
    """About a class, or about what it is with some parameters.

    Args:
        use: of the attack.
        configured: whether its parameters are meant; else the class alone.
        distribution: who declares it.
        version: of the distribution.
        code: of its package, so that a changed one is asked again.
    """

    use: AttackUse
    configured: bool
    distribution: str
    version: str
    code: str


_Answer = AttackKind | AttackFacts | LeakauditError
_answers: dict[_Question, _Answer] = {}


def attack_use(name: str, parameters: Mapping[str, Any] | None = None) -> AttackUse:
    """An installed attack with parameters, as it travels; it is not imported.

    Raises:
        PluginError: there is no such attack, or two.
        ConfigError: a parameter is not a plain value.
    """
    try:
        given = tuple(
            (str(key), plain_value(value, f"{name}: {key}"))
            for key, value in (parameters or {}).items()
        )
    except PluginError as error:
        raise ConfigError(str(error)) from error
    return AttackUse(name=name, point=declared("attack", name).value, parameters=given)


def facts_of(uses: Iterable[AttackUse]) -> list[AttackFacts | LeakauditError]:
    """Return the facts of each configured attack, or the error of one that is not an attack."""
    asked = [_question(use, configured=True) for use in uses]
    _ask(asked)
    found = [_answers[each] for each in asked]
    assert not any(isinstance(each, AttackKind) for each in found)
    return found  # type: ignore[return-value]


def kinds_of(names: Iterable[str]) -> list[AttackKind | LeakauditError]:
    """Return the kind of each attack, for all its settings, or the error of one that is none."""
    found: list[_Question | LeakauditError] = []
    for name in names:
        try:
            found.append(_question(attack_use(name), configured=False))
        except PluginError as error:
            found.append(error)
    _ask([each for each in found if isinstance(each, _Question)])
    answers = [_answers[each] if isinstance(each, _Question) else each for each in found]
    assert not any(isinstance(each, AttackFacts) for each in answers)
    return answers  # type: ignore[return-value]


def kind_of(name: str) -> AttackKind:
    """Return the kind of one attack.

    Raises:
        PluginError: it is none.
    """
    (found,) = kinds_of([name])
    if isinstance(found, LeakauditError):
        raise found
    return found


def usable_attacks() -> tuple[dict[str, AttackKind], list[str]]:
    """Every installed attack by name, and one sentence for each that is none."""
    names = sorted({point.name for point in installed("attack")})
    answers = dict(zip(names, kinds_of(names), strict=True))
    kinds = {name: each for name, each in answers.items() if isinstance(each, AttackKind)}
    return kinds, [str(each) for name, each in answers.items() if name not in kinds]


def attack_code(facts: AttackFacts) -> list[str]:
    """Distribution, version and code of an attack: what it does is part of every key."""
    use = facts.declared_use
    distribution, version = owner_of(declared("attack", use.name))
    tops = {module.partition(".")[0] for module in (use.point.partition(":")[0], facts.kind.module)}
    return [distribution, version, *map(code_of, sorted(tops))]


def ask_all_installed() -> None:
    """Ask every installed attack now, while a process for it is quickly made."""
    usable_attacks()


def _question(use: AttackUse, *, configured: bool) -> _Question:
    distribution, version = owner_of(declared("attack", use.name))
    return _Question(
        use=use,
        configured=configured,
        distribution=distribution,
        version=version,
        code=code_of(use.point.partition(":")[0]),
    )


def _ask(questions: Sequence[_Question]) -> None:
    waiting = [each for each in dict.fromkeys(questions) if each not in _answers]
    while waiting:
        # A process of its own for each distribution: none speaks for another.
        asked = [each for each in waiting if each.distribution == waiting[0].distribution]
        _answers.update(_asked_together(asked))
        waiting = [each for each in waiting if each not in _answers]


def _asked_together(questions: Sequence[_Question]) -> dict[_Question, _Answer]:
    """The answers of one process; of one that ends too early those it gave, and why it ended."""
    modules = [each.use.point.partition(":")[0] for each in questions]
    confinement = confinement_of(modules, hidden=())
    context = nearest()
    near, far = context.Pipe()
    process = context.Process(target=_serve, args=(confinement, far, questions), daemon=True)
    process.start()
    far.close()
    wire, found = Wire(near), dict[_Question, _Answer]()
    try:
        for each in questions:
            found[each] = _answer(wire, near, each)
            if isinstance(found[each], _EndedError):
                break
    finally:
        near.close()
        process.join(5.0)  # its pipe is closed, so it is about to end in good order
        process.kill()
        process.join()
    return found


class _EndedError(PluginError):
    """The process that was asked is no more, or of no use any more."""


def _answer(wire: Wire, connection: Connection, question: _Question) -> _Answer:
    use = question.use
    who = f"attack {use.name!r} of {question.distribution} ({use.point})"
    try:
        if not connection.poll(_PATIENCE):
            return _EndedError(f"{who} says nothing of itself after {_PATIENCE:g} s")
        kind, value = wire.receive()
    except EOFError:
        return _EndedError(f"{who}: its process ended without a word")
    except Exception as error:  # a message may be made to confuse
        return _EndedError(f"{who}: its process sent something that is not a message: {error}")
    if type(value) is not str:
        return _EndedError(f"{who}: its process sent something that is not a message")
    try:
        if kind == "kind" and not question.configured:
            return kind_from(value)
        if kind == "facts" and question.configured:
            return replace(facts_from(value), use=use)
    except PluginError as error:
        return PluginError(f"{who} says of itself what cannot be: {error}")
    said = made_visible(value[:_LETTERS], "line")
    if kind == "refused":
        return ConfigError(said)
    return PluginError(said) if kind == "broken" else _EndedError(f"{who}: {said}")


def _serve(
    confinement: Confinement, connection: Connection, questions: Sequence[_Question]
) -> None:
    """Answer in a confined child of this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the asking process decides what Ctrl-C means
    wire = Wire(connection)

    def inside(isolation: Isolation) -> None:
        del isolation  # no patient is near, and what it says is checked either way
        for each in questions:
            wire.send(*_said(each))

    how = run_confined(confinement, connection.fileno(), inside)
    with suppress(OSError):  # the asking process needs no more of it
        wire.send("ended", f"its process {how}")


def _said(question: _Question) -> tuple[str, str]:
    """Return the attack's answer, from the process in which its code may run."""
    use = question.use
    try:
        plugin = loaded("attack", use.name, use.point, question.distribution, question.version)
        if not question.configured:
            return "kind", as_text(AttackKind.of(plugin.cls))
        return "facts", as_text(AttackFacts.of(plugin.make(dict(use.parameters))))
    except ConfigError as error:
        return "refused", str(error)
    except PluginError as error:
        return "broken", str(error)
    except Exception as error:  # a third party's own code may raise anything
        return "broken", (
            f"attack {use.name!r} of {question.distribution} ({use.point}) can say nothing of "
            f"itself: {type(error).__name__}: {error}"
        )
