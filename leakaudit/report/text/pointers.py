"""Numbers that know where they stand in report.json, so that each on the page can say so.

`add_pointers` copies a record. Each number of the copy carries its JSON pointer (RFC 6901).
`formatting.figure` marks the text of such a number, and `to_markup` turns the marks into elements
with a ``data-json`` attribute when the page is written. A list carries its pointer for `count`, a
text that holds numbers for `with_pointer`. A number that was computed on the way carries none, so
the page computes nothing: its numbers are in the record.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from typing import Any, TypeVar, final

from markupsafe import Markup, escape
from pydantic import BaseModel

from leakaudit.visible import spelled_out

# Private-use characters, which no text of a record keeps: `add_pointers` makes them visible there.
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


def add_pointers(record: Model) -> Model:
    """Copy a record: its numbers carry their pointers, its texts have no marks."""
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


def with_pointer(text: str) -> str:
    """Return a record's text that may hold numbers, marked with its pointer."""
    return marked(unmarked(text), text)


def marked(text: str, value: object) -> str:
    """The text of a number with its pointer, if it has one."""
    pointer = pointer_of(value)
    return f"{_OPEN}{pointer}{_THEN}{text}{_CLOSE}" if pointer else text


def strip_marks(text: str) -> str:
    """Return a text without its marks, for attributes, figures and lengths."""
    return _MARKED.sub(lambda found: found[2], text)


def to_markup(text: str) -> Markup | str:
    """Turn marks into ``<span data-json="/cells/0/...">0.74</span>`` and escape all else.

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
