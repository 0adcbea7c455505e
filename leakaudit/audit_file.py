"""Audit files and policy files: YAML 1.2 to an `AuditConfig` and back, or to a `PolicyConfig`.

A refusal names the line.
"""

from __future__ import annotations

import io
from pathlib import Path

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from leakaudit.asking import kind_of
from leakaudit.config import (
    ARCHITECTURE,
    AuditConfig,
    PluginUse,
    PolicyConfig,
    ask_ahead,
    expand,
    expand_stack,
    require_proposed,
)
from leakaudit.errors import ConfigError, UsageError
from leakaudit.registry import Kind, load
from leakaudit.yaml_text import explain, line_of, parse_yaml, plain, read_text

_POLICY_FILE = "a policy file is a mapping with owner, date, thresholds, ..."
_AUDIT_FILE = "an audit file is a mapping with name, attacks, threats, ..."


def read_audit(
    path: Path,
    *,
    data: str | None = None,
    usual_data: str | None = None,
    policy: PolicyConfig | None = None,
) -> AuditConfig:
    """Read an audit file.

    Args:
        path: the file.
        data: replaces ``data.path``, relative to the working folder; makes ``data.kind`` folder.
        usual_data: the same, but only if ``data.kind`` is folder already: where this machine
            keeps its data says nothing about which audits mean that data.
        policy: replaces the file's.

    Raises:
        ConfigError: with file, line and, for a misspelt key, the nearest valid one.
    """
    text = read_text(path, "the audit file")
    return parse_audit(
        text, str(path), folder=path.parent, data=data, usual_data=usual_data, policy=policy
    )


def parse_audit(
    text: bytes,
    source: str,
    *,
    folder: Path,
    data: str | None = None,
    usual_data: str | None = None,
    policy: PolicyConfig | None = None,
) -> AuditConfig:
    """Parse the content of an audit file; ``source`` names it in messages, else as `read_audit`."""
    tree = parse_yaml(text, source, _AUDIT_FILE)
    given = plain(tree, source)
    section = {} if given.get("data") is None else given["data"]
    if isinstance(section, dict):
        other = data or (usual_data if section.get("kind") == "folder" else None)
        if other:
            given["data"] = {**section, "kind": "folder", "path": _resolved(Path(other), source)}
        elif isinstance(section.get("path"), str):
            given["data"] = {**section, "path": _resolved(folder / section["path"], source)}
    looks = given.get("report")
    if isinstance(looks, dict):
        for name in ("logo", "templates"):
            if isinstance(looks.get(name), str):
                looks[name] = _resolved(folder / looks[name], source)
    if policy is not None:
        given["policy"] = policy
    elif isinstance(given.get("policy"), str):  # a file of its own, relative to this one
        given["policy"] = read_policy(folder / given["policy"])
    try:
        config = AuditConfig.model_validate(given)
    except ValidationError as error:
        raise ConfigError(explain(error, tree, source, AuditConfig)) from error
    for index, uses in enumerate(config.defenses):
        for part, use in enumerate(uses):
            if use.name != ARCHITECTURE:
                _check_plugin("defense", use, ["defenses", index, part], tree, source)
        try:
            expand_stack(uses, config.target)
        except ConfigError as error:
            line = line_of(tree, ["defenses", index])
            raise ConfigError(f"{source}, line {line}: {error}") from error
    ask_ahead(config.attacks)
    for index, use in enumerate(config.attacks):
        _check_plugin("attack", use, ["attacks", index], tree, source)
    try:
        require_proposed(config)
    except UsageError as error:
        line = line_of(tree, ["policy", "proposed"])
        raise type(error)(f"{source}, line {line}: {error}") from error
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
            known = _parameters(kind, use.name)
            location += [name for name in use.parameters if name not in known][:1]
        raise type(error)(f"{source}, line {line_of(tree, location)}: {error}") from error


def _parameters(kind: Kind, name: str) -> set[str]:
    if kind == "attack":
        return {one.name for one in kind_of(name).parameters}
    return set(load(kind, name).parameters)


def _resolved(path: Path, source: str) -> str:
    try:
        return str(path.resolve())
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(f"{source}: {str(path)!r} is not a path ({error})") from error


def read_policy(path: Path) -> PolicyConfig:
    """Read a policy file, or the policy of an audit file.

    Raises:
        ConfigError: with file, line and, for a misspelt key, the nearest valid one.
    """
    source = str(path)
    tree = parse_yaml(read_text(path, "the policy file"), source, _POLICY_FILE)
    given = plain(tree, source)
    if "policy" in given and given.keys() <= AuditConfig.model_fields.keys():
        if isinstance(given["policy"], str):
            raise ConfigError(
                f"{path}: this audit file's policy is the file {given['policy']}; name that file"
            )
        given, tree = given["policy"], tree["policy"]
    try:
        return PolicyConfig.model_validate(given)
    except ValidationError as error:
        raise ConfigError(explain(error, tree, source, PolicyConfig)) from error
