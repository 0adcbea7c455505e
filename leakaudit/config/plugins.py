"""Attacks and defenses as an audit file names them, and what they stand for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from typing import Any, final

from pydantic import Field, ValidationError, model_validator

from leakaudit.asking import attack_use, facts_of
from leakaudit.config.sections import Section
from leakaudit.config.target import TargetConfig
from leakaudit.contracts import AttackFacts, Defense, Stack
from leakaudit.errors import ConfigError, LeakauditError
from leakaudit.registry import ARCHITECTURE, Kind, load
from leakaudit.spelling import nearest

_ARCHITECTURAL = ("withheld_skips", "bottleneck")


class PluginUse(Section):
    """A plug-in by name with its parameters; a list for a parameter is a grid."""

    name: str
    parameters: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, value: object) -> object:
        """``name`` or ``{name: {parameter: value}}``."""
        if isinstance(value, str):
            return {"name": value}
        if isinstance(value, list | tuple):
            raise ValueError("a list within a list; a stack is one list of plug-ins")
        if isinstance(value, Mapping) and len(value) == 1:
            ((name, parameters),) = value.items()
            if name != "name":
                if parameters is not None and not isinstance(parameters, Mapping):
                    raise ValueError(
                        f"{name} is followed by {parameters!r}; write its parameters as "
                        f"{name}: {{parameter: value}}"
                    )
                return {"name": name, "parameters": parameters or {}}
        if isinstance(value, Mapping) and "name" not in value:
            raise ValueError(
                f"one name in each entry, got {', '.join(map(str, value)) or 'none'}; start every "
                "plug-in with a dash of its own, or write a stack as [one, another]"
            )
        return value


@final
@dataclass(frozen=True, kw_only=True)
class DefenseSetting:
    """One entry under ``defenses``, one point of its grids.

    Args:
        name: of the plug-in; of a stack the parts' names with ``+`` between them.
        defense: configured, not fitted.
        target: with the withheld skips and bottlenecks that it meets.
        sets_architecture: whether the entry names these itself.
        written: the point as an audit file has it, ``gaussian-noise: {std: 2.0}``.
    """

    name: str
    defense: Defense
    target: TargetConfig
    sets_architecture: bool
    written: str


def expand_stack(uses: Sequence[PluginUse], target: TargetConfig) -> list[DefenseSetting]:
    """Every point of the grids of a defense's parts.

    ``architecture`` among them is not a plug-in: it says which skips are withheld and how narrow
    the bottleneck is, in place of what the target says for all.

    Raises:
        ConfigError: a name or a parameter is wrong, or the parts do not go together.
    """
    architectures = [use for use in uses if use.name == ARCHITECTURE]
    plugins = [use for use in uses if use.name != ARCHITECTURE] or [PluginUse(name="identity")]
    if len(architectures) > 1:
        raise ConfigError("a defense has one architecture; put its settings together")
    for use in architectures:
        target = _rebuilt(target, use.parameters)
    if len(plugins) > 1 and any(use.name == "identity" for use in plugins):
        raise ConfigError("identity changes nothing; leave it out of the stack")
    grids = [expand("defense", use) for use in plugins]
    for use, points in zip(plugins, grids, strict=True):
        _require_on(use, [made for _, made in points])
    return [
        DefenseSetting(
            name="+".join(use.name for use in plugins),
            defense=_chained([made for _, made in point]),
            target=target,
            sets_architecture=bool(architectures),
            written=_written(architectures, plugins, [given for given, _ in point]),
        )
        for point in product(*grids)
    ]


def _chained(made: Sequence[Defense]) -> Defense:
    return made[0] if len(made) == 1 else Stack(chain=tuple(made))


def _written(
    architectures: Sequence[PluginUse],
    plugins: Sequence[PluginUse],
    given: Sequence[Mapping[str, Any]],
) -> str:
    """One point of an entry as it is written; beside an architecture ``identity`` is left out."""
    parts = [as_written(use.name, use.parameters) for use in architectures] + [
        as_written(use.name, one)
        for use, one in zip(plugins, given, strict=True)
        if use.name != "identity" or not architectures
    ]
    return parts[0] if len(parts) == 1 else f"[{', '.join(parts)}]"


def _require_on(use: PluginUse, made: Sequence[Defense]) -> None:
    """Refuse parameters at which a defense says itself that it changes nothing."""
    for defense in made:
        off = dict(type(defense).off or {})
        if off and all(getattr(defense, name) == value for name, value in off.items()):
            said = ", ".join(f"{name}: {value}" for name, value in off.items())
            raise ConfigError(
                f"{use.name} changes nothing at {said}; leave it out: identity is always audited, "
                "and a stack without it is an entry of its own"
            )


def _rebuilt(target: TargetConfig, settings: Mapping[str, Any]) -> TargetConfig:
    """The target with other withheld skips or bottlenecks."""
    for name in settings:
        if name not in _ARCHITECTURAL:
            raise ConfigError(
                f"architecture has no setting {name!r}{nearest(name, _ARCHITECTURAL)}; it has "
                f"{', '.join(_ARCHITECTURAL)}"
            )
    if not settings:
        raise ConfigError(f"architecture says nothing; it has {', '.join(_ARCHITECTURAL)}")
    try:
        return TargetConfig.model_validate({**target.model_dump(), **settings})
    except ValidationError as error:
        raise ConfigError(f"architecture: {error.errors()[0]['msg']}") from error


def expand(kind: Kind, use: PluginUse) -> list[tuple[dict[str, Any], Any]]:
    """Every point of a plug-in's parameter grid: its parameters, and what they make.

    Of a defense that is the plug-in itself; of an attack its `AttackFacts`, since nothing of an
    attack runs where an audit does.

    Raises:
        ConfigError: the name or a parameter is wrong.
    """
    points = _points(use)
    if kind == "attack":
        return list(zip(points, _facts([(use.name, point) for point in points]), strict=True))
    plugin = load(kind, use.name)
    return [(point, plugin.make(point)) for point in points]


def ask_ahead(uses: Sequence[PluginUse]) -> None:
    """Ask all attacks together what `expand` will want to know, and tell no error yet."""
    asked = []
    for use in uses:
        with suppress(LeakauditError):
            asked += [attack_use(use.name, point) for point in _points(use)]
    facts_of(asked)


def _facts(points: Sequence[tuple[str, Mapping[str, Any]]]) -> list[AttackFacts]:
    found = []
    for answer in facts_of([attack_use(name, point) for name, point in points]):
        if isinstance(answer, LeakauditError):
            raise type(answer)(str(answer)) from answer
        found.append(answer)
    return found


def _points(use: PluginUse) -> list[dict[str, Any]]:
    empty = [name for name, value in use.parameters.items() if value == []]
    if empty:
        raise ConfigError(f"{use.name}: the list for {empty[0]} is empty; name at least one value")
    choices = [
        value if isinstance(value, list | tuple) else [value] for value in use.parameters.values()
    ]
    return [dict(zip(use.parameters, point, strict=True)) for point in product(*choices)]


_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


_NO_WORDS = {"true", "false", "null"}


def as_written(name: str, parameters: Mapping[str, Any]) -> str:
    """``gaussian-noise: {std: 2.0}``, or the name alone where nothing is set."""
    return f"{_value(name)}: {_value(parameters)}" if parameters else _value(name)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_value(str(name))}: {_value(one)}" for name, one in value.items())
        return f"{{{inside}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _NO_WORDS:
        return value
    if value is None or isinstance(value, str | bool):
        return json.dumps(value)  # YAML reads it alike
    return str(value)
