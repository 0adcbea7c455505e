"""Checks of a plug-in's own configuration."""

from __future__ import annotations

from leakaudit.errors import ConfigError


def require_between(owner: object, low: float | int, high: float | int, *names: str) -> None:
    """Check that the named fields of a plug-in lie in [low, high].

    Raises:
        ConfigError: one does not, with its name, its value and the range.
    """
    for name in names:
        value = getattr(owner, name)
        if not low <= value <= high:
            plug_in = type(owner).__name__
            raise ConfigError(f"{plug_in}: {name} is {value}; it must be {low:g} to {high:g}")
