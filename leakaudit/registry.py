"""Entry points to plug-in classes; broken, clashing and unknown names are loud.

A third party declares a plug-in exactly as the built-in ones are declared:

    [project.entry-points."leakaudit.attacks"]
    my-attack = "my_package.my_attack:MyAttack"
"""

from __future__ import annotations

import hashlib
import inspect
import typing
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, final, get_args

from pydantic import TypeAdapter, ValidationError

from leakaudit.contracts import Attack, Defense, Recovers
from leakaudit.errors import ConfigError, LeakauditError, PluginError
from leakaudit.files import sha256_of
from leakaudit.spelling import nearest

Kind = Literal["attack", "defense"]
_GROUPS: Mapping[Kind, str] = {"attack": "leakaudit.attacks", "defense": "leakaudit.defenses"}
_BASES: Mapping[Kind, type] = {"attack": Attack, "defense": Defense}


@final
@dataclass(frozen=True)
class Plugin:
    """A plug-in that could be loaded.

    Args:
        name: entry point name.
        kind: ``attack`` or ``defense``.
        cls: the class.
        distribution: name of the installed distribution that declares it.
        version: version of that distribution.
    """

    name: str
    kind: Kind
    cls: type
    distribution: str
    version: str

    @property
    def summary(self) -> str:
        """First line of the class's docstring, without its markup."""
        return (inspect.getdoc(self.cls) or "").split("\n", 1)[0].replace("``", "")

    @property
    def code(self) -> str:
        """SHA-256 over its top-level package's files: what it does is part of every key."""
        return code_of(self.cls.__module__)

    @property
    def parameters(self) -> dict[str, Any]:
        """Its configurable fields with their types."""
        hints = typing.get_type_hints(self.cls)
        return {
            field.name: hints[field.name]
            for field in fields(self.cls)
            if not field.metadata.get("fitted")
        }

    def make(self, parameters: Mapping[str, Any]) -> Any:
        """Build the plug-in.

        Raises:
            ConfigError: an unknown parameter (with the nearest name), a wrong type, a bad value.
        """
        known = self.parameters
        values = {}
        for name, value in parameters.items():
            if name not in known:
                raise ConfigError(
                    f"{self.name} has no parameter {name!r}{nearest(name, known)}; it has "
                    f"{', '.join(known) or 'none'}"
                )
            if isinstance(value, bool) and known[name] is not bool:
                expected = getattr(known[name], "__name__", known[name])
                raise ConfigError(f"{self.name}: {name} is {value}; expected {expected}")
            try:
                values[name] = TypeAdapter(known[name]).validate_python(value)
            except ValidationError as error:
                raise ConfigError(
                    f"{self.name}: {name} is {value!r}; {error.errors()[0]['msg'].lower()}"
                ) from error
        try:
            return self.cls(**values)
        except LeakauditError:
            raise
        except Exception as error:  # a third party's own checks may raise anything
            raise ConfigError(f"{self.name}: {type(error).__name__}: {error}") from error


# An entry under `defenses` that another network stands for; `list` names it with the plug-ins.
ARCHITECTURE = "architecture"
_NO_PLUGINS: Mapping[Kind, tuple[str, ...]] = {"defense": (ARCHITECTURE,)}


@cache
def installed(kind: Kind) -> tuple[EntryPoint, ...]:
    """All declared entry points of a kind, by name."""
    return tuple(sorted(entry_points(group=_GROUPS[kind]), key=lambda point: point.name))


def declared(kind: Kind, name: str) -> EntryPoint:
    """The entry point of that name; nothing is imported.

    Raises:
        PluginError: unknown (with the nearest name), or claimed twice.
    """
    points = [point for point in installed(kind) if point.name == name]
    if not points:
        names = sorted({*(point.name for point in installed(kind)), *_NO_PLUGINS.get(kind, ())})
        meant = nearest(name, names)
        raise PluginError(
            f"unknown {kind} {name!r}{f'{meant} There' if meant else '; there'} are "
            f"{', '.join(names)}"
        )
    if len(points) > 1:
        owners = ", ".join(owner_of(point)[0] for point in points)
        raise PluginError(f"{kind} {name!r} is declared by {owners}; uninstall all but one")
    return points[0]


def load(kind: Kind, name: str) -> Plugin:
    """The plug-in of that name, imported here; an audit imports no attack, see `leakaudit.asking`.

    Raises:
        PluginError: unknown (with the nearest name), claimed twice, or it cannot be imported.
    """
    point = declared(kind, name)
    distribution, version = owner_of(point)
    return loaded(kind, name, point.value, distribution, version)


def loaded(kind: Kind, name: str, value: str, distribution: str, version: str) -> Plugin:
    """The plug-in that an entry point of that value leads to, imported here.

    Raises:
        PluginError: it cannot be imported, or is none.
    """
    try:
        cls = EntryPoint(name=name, value=value, group=_GROUPS[kind]).load()
    except Exception as error:
        raise PluginError(
            f"{kind} {name!r} of {distribution} ({value}) cannot be imported: {error}"
        ) from error
    base = _BASES[kind]
    if not (isinstance(cls, type) and issubclass(cls, base) and is_dataclass(cls)):
        raise PluginError(
            f"{kind} {name!r} of {distribution} ({value}) is not a dataclass derived from "
            f"{base.__name__}"
        )
    recovers = getattr(cls, "recovers", "images")
    if recovers not in get_args(Recovers):
        raise PluginError(
            f"{kind} {name!r} of {distribution} recovers {recovers!r}; that must be one of "
            f"{', '.join(get_args(Recovers))}"
        )
    return Plugin(name, kind, cls, distribution, version)


def usable(kind: Kind) -> tuple[list[Plugin], list[str]]:
    """Every plug-in that loads, and one sentence for each that does not."""
    plugins, problems = [], []
    for name in sorted({point.name for point in installed(kind)}):
        try:
            plugins.append(load(kind, name))
        except PluginError as error:
            problems.append(str(error))
    return plugins, problems


def owner_of(point: EntryPoint) -> tuple[str, str]:
    """Name and version of the distribution that declares an entry point."""
    if point.dist is None:
        return "unknown distribution", "0"
    return point.dist.name, point.dist.version


def code_of(module: str) -> str:
    """SHA-256 over the files of a module's top-level package, or of a module of its own.

    The files are found without importing anything.
    """
    top = module.partition(".")[0]
    try:
        spec = find_spec(top)
    except ValueError:  # a module that was not imported in the usual way
        spec = None
    if spec is None:
        return "unknown"
    if spec.submodule_search_locations:
        return _code_of(Path(next(iter(spec.submodule_search_locations))))
    return sha256_of(Path(spec.origin)) if spec.has_location and spec.origin else "unknown"


@cache
def _code_of(folder: Path, without: tuple[str, ...] = ()) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.relative_to(folder).parts[0] in without or "__pycache__" in path.parts:
            continue
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def core_code() -> str:
    """Return a digest of the core's code, except the parts that change no result."""
    return _code_of(Path(__file__).parent, without=("report", "cli", "testing", "quick.yaml"))
