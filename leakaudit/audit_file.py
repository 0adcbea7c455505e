"""Audit files: YAML 1.2 to an `AuditConfig` and back; what is refused is named with its line."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
)

from leakaudit.config import (
    ARCHITECTURE,
    AuditConfig,
    PluginUse,
    ReferenceConfig,
    expand,
    expand_stack,
)
from leakaudit.errors import ConfigError, UsageError
from leakaudit.registry import Kind, load, nearest

_LARGEST_FILE = 100_000
_DEEPEST = 20


def read_audit(
    path: Path, *, data: str | None = None, usual_data: str | None = None
) -> AuditConfig:
    """Read an audit file.

    Args:
        path: the file.
        data: replaces ``data.path``, relative to the working folder; makes ``data.kind`` folder.
        usual_data: the same, but only if ``data.kind`` is folder already: where this machine
            keeps its data says nothing about which audits mean that data.

    Raises:
        ConfigError: with file, line and, for a misspelt key, the nearest valid one.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise ConfigError(f"{path}: the audit file can not be read ({error.strerror})") from error
    return parse_audit(text, str(path), folder=path.parent, data=data, usual_data=usual_data)


def parse_audit(
    text: bytes,
    source: str,
    *,
    folder: Path,
    data: str | None = None,
    usual_data: str | None = None,
) -> AuditConfig:
    """Parse the content of an audit file; ``source`` names it in messages, else as `read_audit`."""
    if len(text) > _LARGEST_FILE:
        raise ConfigError(f"{source}: larger than {_LARGEST_FILE} bytes; that is no audit file")
    tree = _parse_yaml(text, source)
    plain = _plain(tree, source)
    section = {} if plain.get("data") is None else plain["data"]
    if isinstance(section, dict):
        given = data or (usual_data if section.get("kind") == "folder" else None)
        if given:
            plain["data"] = {**section, "kind": "folder", "path": _resolved(Path(given), source)}
        elif isinstance(section.get("path"), str):
            plain["data"] = {**section, "path": _resolved(folder / section["path"], source)}
    try:
        config = AuditConfig.model_validate(plain)
    except ValidationError as error:
        raise ConfigError(_explain(error, tree, source)) from error
    for index, uses in enumerate(config.defenses):
        for part, use in enumerate(uses):
            if use.name != ARCHITECTURE:
                _check_plugin("defense", use, ["defenses", index, part], tree, source)
        try:
            expand_stack(uses, config.target)
        except ConfigError as error:
            line = _line(tree, ["defenses", index])
            raise ConfigError(f"{source}, line {line}: {error}") from error
    for index, use in enumerate(config.attacks):
        _check_plugin("attack", use, ["attacks", index], tree, source)
    return config


def audit_yaml(config: AuditConfig) -> str:
    """The resolved audit as YAML, defaults written out."""
    stream = io.StringIO()
    YAML().dump(config.model_dump(mode="json"), stream)
    return stream.getvalue()


def _check_plugin(
    kind: Kind, use: PluginUse, at: list[int | str], tree: CommentedMap, source: str
) -> None:
    try:
        expand(kind, use)
    except UsageError as error:
        location = [*at, use.name]
        if isinstance(error, ConfigError):
            known = load(kind, use.name).parameters
            location += [name for name in use.parameters if name not in known][:1]
        raise type(error)(f"{source}, line {_line(tree, location)}: {error}") from error


def _resolved(path: Path, source: str) -> str:
    try:
        return str(path.resolve())
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(f"{source}: data path {str(path)!r} is no path ({error})") from error


def _parse_yaml(text: bytes, source: str) -> CommentedMap:
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
        raise ConfigError(f"{source}: an audit file is a mapping with name, attacks, threats, ...")
    return tree


def _plain(tree: Any, source: str, line: int = 1) -> Any:
    """Containers and scalars of Python's own types; ``line`` is where ``tree`` stands."""
    if isinstance(tree, CommentedMap):
        return {
            str(key): _plain(value, source, tree.lc.key(key)[0] + 1) for key, value in tree.items()
        }
    if isinstance(tree, CommentedSeq):
        return [
            _plain(value, source, tree.lc.item(index)[0] + 1) for index, value in enumerate(tree)
        ]
    if isinstance(tree, float) and not math.isfinite(tree):
        raise ConfigError(
            f"{source}, line {line}: {float(tree)} is no value that anything here can have"
        )
    for scalar in (bool, int, float, str):
        if isinstance(tree, scalar):
            return scalar(tree)
    return tree


def _explain(error: ValidationError, tree: CommentedMap, source: str) -> str:
    first = error.errors()[0]
    location = [part for part in first["loc"] if part != "function-after"]
    line = _line(tree, [*location, *first.get("ctx", {}).get("at", ())])
    where = ".".join(map(str, location[:2] if location[:1] == ["defenses"] else location))
    if first["type"] == "extra_forbidden":
        known = _keys_beside(location)
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
    """What pydantic found, without the names of Python's types."""
    kind = error["type"]
    if kind in ("tuple_type", "list_type"):
        return "expected a list"
    if kind == "too_short":
        return "the list is empty; name at least one"
    if kind in ("model_type", "dict_type"):
        return "expected keys and values"
    if kind == "literal_error":
        given, expected = str(error["input"]), error["ctx"]["expected"]
        close = nearest(given, expected.replace("'", "").replace(",", "").split())
        return f"expected {expected}, got {given!r}{close}"
    return str(error["msg"].removeprefix("Value error, "))


def _line(tree: Any, location: list[int | str]) -> int:
    """The line of the deepest part of ``location`` that stands in the file.

    An index into what is no list is passed over: a defence that stands alone is a stack of one.
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


def _keys_beside(location: list[int | str]) -> list[str]:
    model: Any = AuditConfig
    for part in location[:-1]:
        field = getattr(model, "model_fields", {}).get(str(part))
        candidate = getattr(field, "annotation", None)
        if part == "references":
            candidate = ReferenceConfig
        if isinstance(part, int):
            candidate = PluginUse
        if candidate is not None:
            model = candidate
    return list(getattr(model, "model_fields", {}))
