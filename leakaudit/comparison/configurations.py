"""In which parameters two configured plug-ins differ, by their reprs."""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass, field
from typing import Any

from leakaudit.comparison.records import CHANGED_DEFENSE, Change
from leakaudit.report.text.formatting import stacked

ABSENT = "not there"
_LONGEST = 10_000


@dataclass(frozen=True)
class Configuration:
    """A configured plug-in.

    Args:
        name: of its class; the whole text if that does not read as a call.
        parameters: name and value of each, numbers written alike: 8 is 8.0.
        written: the same as the repr has them, which neither equality nor hash regards.
    """

    name: str
    parameters: tuple[tuple[str, str], ...] = ()
    written: tuple[tuple[str, str], ...] = field(default=(), compare=False)


def configurations(representation: str) -> tuple[Configuration, ...]:
    """The parts of a stack; of what is no stack, one."""
    return tuple(_configuration(part) for part in stacked(representation))


def added(a: str, b: str) -> tuple[Change, ...] | None:
    """The parameters that one of two defenses has on top; None if they differ otherwise.

    A version that gives a defense a new parameter changes its repr; the others must be equal.
    """
    parts = _aligned(a, b)
    if parts is None:
        return None
    changes: list[Change] = []
    for one, other in parts:
        first, second = dict(one.parameters), dict(other.parameters)
        if not (first.items() <= second.items() or second.items() <= first.items()):
            return None
        changes += _changes("defense", one, other)
    return tuple(changes)


def reconfigured(a: str, b: str) -> tuple[Change, ...] | None:
    """The parameters in which two defenses of the same plug-ins differ; None if none does.

    Args:
        a: of A, as its repr.
        b: of B; another plug-in or another order of them makes another defense.
    """
    parts = _aligned(a, b)
    if parts is None:
        return None
    changes = [made for one, other in parts for made in _changes(CHANGED_DEFENSE, one, other)]
    return tuple(changes) or None


def retuned(a: str, b: str) -> tuple[Change, ...] | None:
    """The parameters in which two attacks differ; None if one of them is no number.

    A number says how hard an attack tries, or how: iterations, steps, a weight. What is no number,
    such as a prior's name, makes another attack of it. A parameter that one side lacks was added.
    """
    parts = _aligned(a, b)
    if parts is None:
        return None
    changes: list[Change] = []
    for one, other in parts:
        first, second = dict(one.parameters), dict(other.parameters)
        for name in first.keys() & second.keys():
            differ = first[name] != second[name]
            if differ and not (_is_numeric(first[name]) and _is_numeric(second[name])):
                return None
        changes += _changes("attack", one, other)
    return tuple(changes)


def _aligned(a: str, b: str) -> list[tuple[Configuration, Configuration]] | None:
    first, second = configurations(a), configurations(b)
    if [one.name for one in first] != [one.name for one in second]:
        return None
    return list(zip(first, second, strict=True))


def _changes(kind: str, a: Configuration, b: Configuration) -> list[Change]:
    first, second = dict(a.parameters), dict(b.parameters)
    words_a, words_b = dict(a.written), dict(b.written)
    return [
        Change(
            kind=kind,
            field=f"{a.name} {name}",
            a=words_a.get(name, ABSENT),
            b=words_b.get(name, ABSENT),
        )
        for name in dict.fromkeys((*first, *second))
        if first.get(name) != second.get(name)
    ]


def _configuration(text: str) -> Configuration:
    call = _parsed(text)
    if (
        not isinstance(call, ast.Call)
        or not isinstance(call.func, ast.Name)
        or call.args
        or any(keyword.arg is None for keyword in call.keywords)
    ):
        return Configuration(text)
    try:
        given = {str(one.arg): _value(one.value) for one in call.keywords}
        written = {str(one.arg): ast.unparse(one.value) for one in call.keywords}
    except RecursionError:
        return Configuration(text)
    return Configuration(call.func.id, tuple(sorted(given.items())), tuple(written.items()))


def _parsed(text: str) -> ast.expr | None:
    if len(text) > _LONGEST:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an odd escape in a name is none of ours
            return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def _value(node: ast.expr) -> str:
    found = _literal(node)
    if _is_number(found):
        try:
            return repr(float(found))
        except OverflowError:
            return str(found)
    return ast.unparse(node)


def _literal(node: ast.expr | str) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_numeric(text: str) -> bool:
    value = _literal(text)
    several = isinstance(value, tuple | list) and all(_is_number(one) for one in value)
    return several or _is_number(value)
