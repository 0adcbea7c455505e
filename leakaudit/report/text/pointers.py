"""Numbers that know where they stand in report.json, so that each on the page can say so.

`pointed` copies a record with every number replaced by one of the same value that carries its JSON
pointer (RFC 6901). `formatting.figure` marks the text of such a number, whatever sentence it ends
up in, and `elements` turns the marks into elements with a ``data-json`` attribute when the page is
written. Lists carry theirs for `count`, and texts for `told`, which is for texts that hold numbers.
A number that was computed from others on the way carries no pointer: what the page shows is
computed in the record.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from typing import Any, TypeVar, final

from markupsafe import Markup, escape
from pydantic import BaseModel

from leakaudit.visible import spelled_out

# Private-use characters, which no text of a record keeps: `pointed` makes them visible there.
_OPEN, _THEN, _CLOSE = "\U000f1e00", "\U000f1e01", "\U000f1e02"
_MARKED = re.compile(
    f"{_OPEN}([^{_OPEN}{_THEN}{_CLOSE}]*){_THEN}([^{_OPEN}{_THEN}{_CLOSE}]*){_CLOSE}"
)
_ANY = re.compile(f"[{_OPEN}{_THEN}{_CLOSE}]")

Model = TypeVar("Model", bound=BaseModel)


@final
class PointedFloat(float):
    """A float of a record."""

    pointer: str


@final
class PointedInt(int):
    """An int of a record."""

    pointer: str


@final
class PointedStr(str):
    """A text of a record."""

    pointer: str


@final
class PointedTuple(tuple[Any, ...]):
    """A list of a record."""

    pointer: str


_Pointed = PointedFloat | PointedInt | PointedStr | PointedTuple


def pointed(record: Model) -> Model:
    """The same record, its numbers with their pointers and its texts without marks."""
    found: Model = _walk(record, "")
    return found


def pointer_of(value: object) -> str:
    """Where a value stands in report.json; empty if it is not one of a record's."""
    return value.pointer if isinstance(value, _Pointed) else ""


def count(values: Sequence[object]) -> int:
    """How many there are; the pointer is that of the list."""
    number = PointedInt(len(values))
    number.pointer = pointer_of(values)
    return number


def told(text: str) -> str:
    """A text of a record that may hold numbers, with its pointer."""
    return marked(unmarked(text), text)


def marked(text: str, value: object) -> str:
    """The text of a number with its pointer, if it has one."""
    pointer = pointer_of(value)
    return f"{_OPEN}{pointer}{_THEN}{text}{_CLOSE}" if pointer else text


def plain(text: str) -> str:
    """A text as it reads, without marks: for attributes, figures and whatever is measured."""
    return _MARKED.sub(lambda found: found[2], text)


def elements(text: str) -> Markup | str:
    """Marks as elements ``<span data-json="/cells/0/...">0.74</span>``, all else escaped.

    A text without marks is returned as it is.
    """
    if not _ANY.search(text):
        return text
    parts, end = [], 0
    for found in _MARKED.finditer(text):
        parts.append(escape(unmarked(text[end : found.start()])))
        parts.append(Markup('<span data-json="{}">{}</span>').format(found[1], found[2]))
        end = found.end()
    parts.append(escape(unmarked(text[end:])))
    return Markup("").join(parts)


def unmarked(text: str) -> str:
    """A text that is not ours with the characters of marks made visible."""
    return _ANY.sub(lambda found: spelled_out(found[0]), text)


def _walk(value: Any, pointer: str) -> Any:
    if isinstance(value, BaseModel):
        fields = {
            name: _walk(getattr(value, name), f"{pointer}/{name}")
            for name in type(value).model_fields
        }
        return type(value).model_construct(value.model_fields_set, **fields)
    if isinstance(value, dict):
        return {
            unmarked(str(key)) if type(key) is str else key: _walk(
                each, f"{pointer}/{_escaped(str(key))}"
            )
            for key, each in value.items()
        }
    if isinstance(value, list | tuple):
        each = (_walk(one, f"{pointer}/{n}") for n, one in enumerate(value))
        return _at(PointedTuple(each), pointer)
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        return _at(PointedStr(unmarked(value)), pointer)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return _at(PointedFloat(value) if isinstance(value, float) else PointedInt(value), pointer)


def _at(value: Any, pointer: str) -> Any:
    value.pointer = pointer
    return value


def _escaped(key: str) -> str:
    """A key as a part of a pointer."""
    return key.replace("~", "~0").replace("/", "~1")
