"""What `leakaudit show` says of a capability: what it is, who holds it, which attacks need it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any

from leakaudit.cli.messages import say
from leakaudit.contracts import Attack, Capability
from leakaudit.registry import Plugin, usable
from leakaudit.threat.capabilities import MEANINGS, granting


def describe_capability(name: str, wrapped: Callable[[str], list[str]]) -> str:
    """The capability in lines for a terminal.

    Args:
        name: of the capability.
        wrapped: breaks a paragraph into lines.
    """
    capability = Capability(name)
    threats, attacks = granting(capability), _needing(capability)
    unneeded = f"no installed attack{'; one that is granted it may use it' if threats else ''}"
    paragraphs = (
        f"granted by: {', '.join(threats) or 'no threat'}",
        f"needed by: {', '.join(attacks) or unneeded}",
    )
    return "\n".join(
        [
            f"{name} (capability)",
            "",
            *wrapped(MEANINGS[capability]),
            *(line for each in paragraphs for line in ("", *wrapped(each))),
        ]
    )


def _needing(capability: Capability) -> list[str]:
    """The installed attacks that can not be made without it, as they are configured by default."""
    plugins, problems = usable("attack")
    for problem in problems:
        say(f"warning: {problem}")
    return [plugin.name for plugin in plugins if capability in _needs(plugin)]


def _needs(plugin: Plugin) -> frozenset[Capability]:
    cls: Any = plugin.cls
    if not issubclass(cls, Attack):
        return frozenset()
    has_defaults = all(
        one.default is not MISSING or one.default_factory is not MISSING for one in fields(cls)
    )
    needs: frozenset[Capability] = plugin.make({}).needs() if has_defaults else cls.requires
    return needs
