"""In which parameters two configured plug-ins differ."""

from __future__ import annotations

from collections.abc import Sequence

from leakaudit.comparison.records import CHANGED_DEFENSE, Change
from leakaudit.records import Configured, Plain

ABSENT = "not there"
_Defense = Sequence[Configured]


def added(a: _Defense, b: _Defense) -> tuple[Change, ...] | None:
    """The parameters that one of two defenses has on top; None if they differ otherwise.

    A version may give a defense a new parameter; the others must be equal.
    """
    parts = _aligned(a, b)
    if parts is None:
        return None
    changes: list[Change] = []
    for one, other in parts:
        first, second = one.values, other.values
        if not (first.items() <= second.items() or second.items() <= first.items()):
            return None
        changes += _changes("defense", one, other)
    return tuple(changes)


def reconfigured(a: _Defense, b: _Defense) -> tuple[Change, ...] | None:
    """The parameters in which two defenses of the same plug-ins differ; None if none does.

    Args:
        a: of A.
        b: of B; another plug-in or another order of them makes another defense.
    """
    parts = _aligned(a, b)
    if parts is None:
        return None
    changes = [made for one, other in parts for made in _changes(CHANGED_DEFENSE, one, other)]
    return tuple(changes) or None


def retuned(a: Configured, b: Configured) -> tuple[Change, ...] | None:
    """The parameters in which two attacks differ; None if one of them is not a number.

    A number says how hard an attack tries, or how: iterations, steps, a weight. Another value, such
    as a prior's name, makes another attack of it. A parameter that one side lacks was added.
    """
    first, second = a.values, b.values
    differing = [name for name in first.keys() & second.keys() if first[name] != second[name]]
    if a.name != b.name or not all(
        _is_numeric(first[name]) and _is_numeric(second[name]) for name in differing
    ):
        return None
    return tuple(_changes("attack", a, b))


def _aligned(a: _Defense, b: _Defense) -> list[tuple[Configured, Configured]] | None:
    if [one.name for one in a] != [one.name for one in b]:
        return None
    return list(zip(a, b, strict=True))


def _changes(kind: str, a: Configured, b: Configured) -> list[Change]:
    first, second = a.values, b.values
    return [
        Change(
            kind=kind,
            field=f"{a.name} {name}",
            a=repr(first[name]) if name in first else ABSENT,
            b=repr(second[name]) if name in second else ABSENT,
        )
        for name in sorted({*first, *second})
        if name not in first or name not in second or first[name] != second[name]
    ]


def _is_numeric(value: Plain) -> bool:
    several = value if isinstance(value, tuple) else (value,)
    return all(isinstance(one, int | float) and not isinstance(one, bool) for one in several)
