"""A configured plug-in as a user writes it in an audit file, in one line of YAML."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

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
