"""A plug-in with its parameters as plain data, and what tells several of them apart.

In: a name and parameters. Out: a `Configured` that a record holds, and short labels. A defense is
several of them in order; the undefended network has none.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from math import isfinite
from typing import Any

from leakaudit.records.base import Record

Scalar = bool | int | float | str | None
# A parameter's value: nothing of a class that a plug-in wrote.
Plain = Scalar | tuple[Scalar | tuple[Scalar, ...], ...]
NO_DEFENSE = "no defense"


class Configured(Record):
    """A plug-in with its parameters.

    Two are equal if their names and values are; 8 equals 8.0, and True does not equal 1.

    Args:
        name: of its class.
        parameters: name and value of each, in the order of the class; infinity and NaN are text.
    """

    name: str
    parameters: tuple[tuple[str, Plain], ...] = ()

    @classmethod
    def of(cls, name: str, parameters: Mapping[str, Any]) -> Configured:
        """Take a plug-in's values; a value that is not plain data becomes its repr."""
        given = tuple((key, _plain(value)) for key, value in parameters.items())
        return cls(name=name, parameters=given)

    @property
    def values(self) -> dict[str, Plain]:
        """The value of each parameter by name."""
        return dict(self.parameters)

    @property
    def switched_on(self) -> tuple[tuple[str, Plain], ...]:
        """The parameters that are neither None nor False."""
        return tuple(one for one in self.parameters if one[1] is not None and one[1] is not False)

    @property
    def _identity(self) -> Hashable:
        return self.name, frozenset(
            (name, isinstance(value, bool), value) for name, value in self.parameters
        )

    def __eq__(self, other: object) -> bool:
        """Whether name and parameters are equal, in any order of the parameters."""
        return isinstance(other, Configured) and self._identity == other._identity

    def __hash__(self) -> int:
        """Equal for equal name and parameters."""
        return hash(self._identity)

    def __str__(self) -> str:
        """Return the plug-in as a call: ``GaussianNoise(std=1.0)``."""
        given = ", ".join(f"{name}={value!r}" for name, value in self.parameters)
        return f"{self.name}({given})"


def written(defense: Sequence[Configured]) -> str:
    """A defense in one line: ``Nopeek(weight=1.0) + GaussianNoise(std=1.0)``, ``no defense``."""
    return " + ".join(map(str, defense)) or NO_DEFENSE


def varying(several: Iterable[Configured]) -> dict[Configured, dict[str, Plain]]:
    """The parameters that differ among the plug-ins of one name.

    Returns:
        For each plug-in its varying parameters; none for a plug-in without a rival of its name.
    """
    rivals: dict[str, list[Configured]] = {}
    for one in dict.fromkeys(several):
        rivals.setdefault(one.name, []).append(one)
    return {
        one: {
            name: value
            for name, value in one.parameters
            if any((name, value) not in other.parameters for other in own)
        }
        for own in rivals.values()
        for one in own
    }


def labels(defenses: Iterable[Sequence[Configured]]) -> dict[tuple[Configured, ...], str]:
    """Short names of several defenses: each part with the parameters that vary, and no others.

    ``GaussianNoise std=1.0`` and ``GaussianNoise std=2.0``; ``TopK`` alone if there is one setting
    of it; ``no defense`` for the undefended network. A part is compared with the same part of the
    stacks of the same plug-ins.
    """
    stacks: dict[tuple[str, ...], list[tuple[Configured, ...]]] = {}
    for one in dict.fromkeys(map(tuple, defenses)):
        stacks.setdefault(tuple(part.name for part in one), []).append(one)
    found = {}
    for alike in stacks.values():
        told = [varying(column) for column in zip(*alike, strict=True)]
        for one in alike:
            parts = [
                " ".join(filter(None, [part.name, assigned(told[place][part])]))
                for place, part in enumerate(one)
            ]
            found[one] = " + ".join(parts) or NO_DEFENSE
    return found


def assigned(parameters: Mapping[str, Plain]) -> str:
    """Parameters in one line: ``std=1.0 unit=channel``."""
    return " ".join(f"{name}={value}" for name, value in parameters.items())


def _plain(value: object, depth: int = 2) -> Any:
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, list | tuple) and depth:
        return tuple(_plain(each, depth - 1) for each in value)
    return repr(value)
