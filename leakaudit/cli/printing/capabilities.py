"""Prints a capability for `leakaudit show`: its meaning, its holders, the attacks that need it."""

from __future__ import annotations

from collections.abc import Callable

from leakaudit.asking import attack_use, facts_of, usable_attacks
from leakaudit.cli.printing.messages import say
from leakaudit.contracts import AttackFacts, Capability
from leakaudit.threat.presets import PRESETS


def describe_capability(name: str, wrapped: Callable[[str], list[str]]) -> str:
    """The capability in lines for a terminal.

    Args:
        name: of the capability.
        wrapped: breaks a paragraph into lines.
    """
    capability = Capability(name)
    threats = [threat.name for threat in PRESETS.values() if capability in threat.capabilities]
    attacks = _needing(capability)
    unneeded = f"no installed attack{'; one that is granted it may use it' if threats else ''}"
    attribute = capability.row.attribute
    paragraphs = (
        f"an attack reads observation.{attribute}: {capability.row.holds.replace('`', '')}",
        f"granted by: {', '.join(threats) or 'no threat'}",
        f"needed by: {', '.join(attacks) or unneeded}",
    )
    return "\n".join(
        [
            f"{name} (capability)",
            "",
            *wrapped(capability.row.words),
            *(line for each in paragraphs for line in ("", *wrapped(each))),
        ]
    )


def _needing(capability: Capability) -> list[str]:
    """The installed attacks that cannot be made without it, as they are configured by default."""
    kinds, problems = usable_attacks()
    for problem in problems:
        say(f"warning: {problem}")
    made = {name: attack_use(name) for name, kind in kinds.items() if kind.has_defaults}
    needs = {name: kind.requires for name, kind in kinds.items()}
    for name, facts in zip(made, facts_of(made.values()), strict=True):
        if isinstance(facts, AttackFacts):
            needs[name] = facts.needs()
    return [name for name, needed in needs.items() if capability in needed]
