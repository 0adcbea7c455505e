"""YAML 1.2 from a user, read into plain values; what is refused is named with its line."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
)

from leakaudit.errors import ConfigError
from leakaudit.spelling import nearest

LARGEST_FILE = 100_000
_DEEPEST = 20


def read_text(path: Path, what: str) -> bytes:
    """The content of a file, or as much of it as is too much.

    Args:
        path: the file.
        what: what it is called in messages.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ConfigError(f"{path}: {what} cannot be read ({error.strerror})") from error


def parse_yaml(text: bytes, source: str, what: str) -> CommentedMap:
    """A mapping as ruamel.yaml keeps it, with the line of every part.

    Args:
        text: of the file.
        source: names the file in messages.
        what: what such a file is: ``an audit file is a mapping with name, ...``.

    Raises:
        ConfigError: it is too large, too deep, no mapping, or uses tags, anchors or directives.
    """
    if len(text) > LARGEST_FILE:
        raise ConfigError(f"{source}: larger than {LARGEST_FILE} bytes; {what}")
    depth = 0
    try:
        for event in YAML().parse(text):
            depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
            if depth > _DEEPEST:  # the parser's time grows with the square of the depth
                line = event.start_mark.line + 1
                raise ConfigError(f"{source}, line {line}: nested deeper than {_DEEPEST} levels")
            if isinstance(event, DocumentStartEvent) and (event.version or event.tags):
                line = event.start_mark.line + 1
                raise ConfigError(f"{source}, line {line}: directives are not supported")
            if isinstance(event, AliasEvent) or getattr(event, "anchor", None):
                line = event.start_mark.line + 1
                raise ConfigError(f"{source}, line {line}: anchors and aliases are not supported")
            if getattr(event, "tag", None) is not None:
                line = event.start_mark.line + 1
                raise ConfigError(f"{source}, line {line}: tags are not supported")
        tree = YAML().load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = "" if mark is None else f", line {mark.line + 1}"
        problem = (error.problem or "not YAML").split("\n")[0]
        raise ConfigError(f"{source}{line}: {problem}") from error
    except (YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        reason = str(error).split("\n")[0] or "not YAML"
        raise ConfigError(f"{source}: {reason}") from error
    if not isinstance(tree, CommentedMap):
        raise ConfigError(f"{source}: {what}")
    return tree


def plain(tree: Any, source: str, line: int = 1) -> Any:
    """Containers and scalars of Python's own types; ``line`` is where ``tree`` stands."""
    if isinstance(tree, CommentedMap):
        return {
            str(key): plain(value, source, tree.lc.key(key)[0] + 1) for key, value in tree.items()
        }
    if isinstance(tree, CommentedSeq):
        return [
            plain(value, source, tree.lc.item(index)[0] + 1) for index, value in enumerate(tree)
        ]
    if isinstance(tree, float) and not math.isfinite(tree):
        raise ConfigError(
            f"{source}, line {line}: {float(tree)} is not a value that anything here can have"
        )
    for scalar in (bool, int, float, str):
        if isinstance(tree, scalar):
            return scalar(tree)
    return tree


def explain(error: ValidationError, tree: CommentedMap, source: str, model: type[BaseModel]) -> str:
    """The first thing that is wrong with a file, with its line, in words.

    Args:
        error: what pydantic found.
        tree: the file.
        source: names it.
        model: what it should have been.
    """
    found = error.errors()
    # A misspelt key is often a missing one as well; what is there says more than what is not.
    first = next((one for one in found if one["type"] == "extra_forbidden"), found[0])
    location = [part for part in first["loc"] if part != "function-after"]
    line = line_of(tree, [*location, *first.get("ctx", {}).get("at", ())])
    where = ".".join(map(str, location[:2] if location[:1] == ["defenses"] else location))
    if first["type"] == "extra_forbidden":
        known = _keys_beside(location, model)
        key = str(location[-1])
        message = f"unknown key {key!r}{nearest(key, known)}; known here: {', '.join(known)}"
    elif first["type"] == "missing":
        message = f"{where} is missing"
    else:
        message = _in_words(first)
        if where:
            if message[1:2].islower():  # a word, not a name such as T1w
                message = message[0].lower() + message[1:]
            message = f"{where}: {message}"
    return f"{source}, line {line}: {message}"


def _in_words(error: Any) -> str:
    """Word an error of pydantic's without the names of Python's types."""
    kind = error["type"]
    if kind in ("tuple_type", "list_type"):
        return "expected a list"
    if kind == "too_short":
        return "the list is empty; name at least one"
    if kind in ("model_type", "dict_type"):
        return "expected keys and values"
    if kind == "literal_error":
        given, expected = str(error["input"]), error["ctx"]["expected"]
        choices = expected.replace("'", "").replace(",", "").replace(" or ", " ").split()
        close = nearest(given, choices)
        return f"expected {expected}, got {given!r}{close}"
    return str(error["msg"].removeprefix("Value error, "))


def line_of(tree: Any, location: list[int | str]) -> int:
    """The line of the deepest part of ``location`` that stands in the file.

    An index into what is not a list is passed over: a defense that stands alone is a stack of one.
    """
    line = 1
    for part in location:
        if isinstance(part, int) and not isinstance(tree, CommentedSeq):
            continue
        if isinstance(tree, CommentedMap) and part in tree:
            line = int(tree.lc.key(part)[0]) + 1
            tree = tree[part]
        elif isinstance(tree, CommentedSeq) and isinstance(part, int) and part < len(tree):
            line = int(tree.lc.item(part)[0]) + 1
            tree = tree[part]
        elif isinstance(tree, CommentedSeq) and isinstance(part, str) and part in tree:
            line = int(tree.lc.item(tree.index(part))[0]) + 1
        else:
            break
    return line


def _keys_beside(location: list[int | str], root: type[BaseModel]) -> list[str]:
    """The keys of the section that holds what ``location`` names."""
    model = root
    for part in location[:-1]:
        field = model.model_fields.get(str(part))
        model = (_section(field.annotation) if field else None) or model
    return list(model.model_fields)


def _section(annotation: Any) -> type[BaseModel] | None:
    """The first section in a type such as ``tuple[Section, ...] | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((one for each in get_args(annotation) if (one := _section(each))), None)
