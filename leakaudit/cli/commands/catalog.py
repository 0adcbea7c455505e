"""`leakaudit list` and `leakaudit show`: what is installed, and what it does and knows."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import MISSING, fields
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from leakaudit.asking import attack_use, facts_of, kind_of, usable_attacks
from leakaudit.cli.printing.capabilities import describe_capability
from leakaudit.cli.printing.messages import line_width, say
from leakaudit.config import ARCHITECTURE
from leakaudit.contracts import Capability, Defense
from leakaudit.errors import LeakauditError, PluginError, UsageError
from leakaudit.registry import Kind, Plugin, declared, installed, load, owner_of, usable
from leakaudit.spelling import nearest
from leakaudit.threat.presets import PRESETS, Threat
from leakaudit.visible import made_visible

_PLUGINS: dict[str, Kind] = {"attacks": "attack", "defenses": "defense"}
_LISTED = (*_PLUGINS, "threats")
# A docstring's heading, and an entry of an attack's facts.
_HEAD = re.compile(r"\w+:")
_ENTRY = re.compile(r"[a-z]+: ")


_ARCHITECTURE = f"""{ARCHITECTURE} (an entry under defenses; no plug-in)

Withhold skips or narrow the cut: another network, audited as a defense or a part of one.

What it sets takes the place of what the target says for all. The same network without a further
defense is always audited beside it.

configuration:
  withheld_skips: how many of the shallowest levels above the cut do not cross
  bottleneck: how many channels of each crossing level do at most; null for all"""


def list_(
    what: Annotated[
        str | None, typer.Argument(help="attacks, defenses or threats; without it: all of them.")
    ] = None,
) -> int:
    """List installed attacks, defenses and threat presets."""
    if what is not None and what not in _LISTED:
        raise UsageError(
            f"expected attacks, defenses or threats, got {what!r}{nearest(what, _LISTED)}"
        )
    for number, listed in enumerate([what] if what else _LISTED):
        if number:
            print()
        Console(width=line_width()).print(_table(listed), markup=False)
    return 0


def _table(listed: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", leading=1)
    table.add_column(listed, no_wrap=True)
    if listed == "threats":
        table.add_column("position", no_wrap=True)
        table.add_column("grants")
        for threat in PRESETS.values():
            table.add_row(threat.name, threat.position, ", ".join(sorted(threat.capabilities)))
        return table
    table.add_column("what it does")
    if listed == "attacks":
        kinds, problems = usable_attacks()
        rows = {name: "\n".join([kind.summary, *kind.facts()]) for name, kind in kinds.items()}
    else:
        plugins, problems = usable(_PLUGINS[listed])
        rows = {plugin.name: "\n".join([plugin.summary, *_facts(plugin)]) for plugin in plugins}
    if listed == "defenses":
        rows[ARCHITECTURE] = _ARCHITECTURE.split("\n")[2]
    for name in sorted(rows):
        table.add_row(name, rows[name])
    for problem in problems:
        say(f"warning: {problem}")
    return table


def _facts(plugin: Plugin) -> list[str]:
    """Return the papers of a defense."""
    cited = plugin.cls.citations if issubclass(plugin.cls, Defense) else ()
    papers = [citation.short for citation in cited]
    return [f"after: {', '.join(papers)}"] if papers else []


def show(
    name: Annotated[str, typer.Argument(help="An attack, defense, threat or capability.")],
) -> int:
    """Show what an attack, defense or threat does and knows, or what a capability is."""
    if name in PRESETS:
        print(_describe_threat(PRESETS[name]))
        return 0
    kinds: tuple[Kind, ...] = ("attack", "defense")
    capabilities = [capability.value for capability in Capability]
    for kind in kinds:
        if any(point.name == name for point in installed(kind)):
            print(
                _describe_attack(name) if kind == "attack" else _describe_plugin(load(kind, name))
            )
            return 0
    if name == ARCHITECTURE:
        print(_ARCHITECTURE)
        return 0
    if name in capabilities:
        print(describe_capability(name, _wrapped))
        return 0
    known = [*PRESETS, ARCHITECTURE, *capabilities]
    known += [point.name for kind in kinds for point in installed(kind)]
    # The whole list is what `leakaudit list` prints, in columns.
    raise PluginError(f"unknown name {name!r}{nearest(name, known)}; `leakaudit list` names all")


def _describe_threat(threat: Threat) -> str:
    held = [one for one in Capability if one in threat.capabilities]
    lines = [
        f"{threat.name} (threat): {threat.behaviour} {threat.position}",
        "",
        *_wrapped(threat.who),
        "",
        f"victims: {threat.victims}",
        "holds:",
        *(line for one in held for line in _wrapped(f"{one}: {one.row.words}", indent="  ")),
        *(("", *_wrapped(threat.limits)) if threat.limits else ()),
        "",
        "`leakaudit show NAME` says which attacks need a capability",
    ]
    return "\n".join(lines)


def _wrapped(text: str, *, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        min(line_width(), 100),
        break_on_hyphens=False,
        initial_indent=indent,
        subsequent_indent=2 * indent,
    )


def _describe_attack(name: str) -> str:
    kind = kind_of(name)
    distribution, version = owner_of(declared("attack", name))
    head = _head(name, "attack", distribution, version)
    if kind.has_defaults:
        (facts,) = facts_of([attack_use(name)])
        if isinstance(facts, LeakauditError):
            raise facts
        return "\n".join([*head, *_reflowed(facts.describe())])
    settings = [
        f"  {one.name}: {'required' if one.required else _default(one.default)}"
        for one in kind.parameters
    ]
    return "\n".join([*head, *_described(made_visible(kind.doc), list(kind.facts()), settings)])


def _describe_plugin(plugin: Plugin) -> str:
    settings = [
        f"  {field.name}: {_default(field.default)}"
        for field in fields(plugin.cls)
        if field.name in plugin.parameters
    ]
    head = _head(plugin.name, plugin.kind, plugin.distribution, plugin.version)
    told = _described(inspect.getdoc(plugin.cls) or "", _facts(plugin), settings)
    return "\n".join([*head, *told])


def _head(name: str, kind: Kind, distribution: str, version: str) -> list[str]:
    return [f"{name} ({kind}, {distribution} {version})", ""]


def _described(doc: str, facts: list[str], settings: list[str]) -> list[str]:
    lines = _reflowed(doc.replace("``", ""))
    if facts:
        lines += ["", *(line for fact in facts for line in _wrapped(fact))]
    return [*lines, "", "configuration:", *(settings or ["  none"])]


def _reflowed(doc: str) -> list[str]:
    """A docstring whose paragraphs and entries are broken anew if some line is too wide."""
    lines: list[str] = []
    for paragraph in doc.split("\n\n"):
        rows = paragraph.split("\n")
        if max(map(len, rows)) > line_width():
            rows = [row for entry in _entries(rows) for row in entry]
        lines += [*rows, ""]
    return lines[:-1]


def _entries(rows: list[str]) -> Iterator[list[str]]:
    """The entries of a paragraph, each broken at the terminal's width.

    A line begins one after a heading, where it stands no further in than an indented entry, and
    where it has a name before a colon.
    """
    entry, indent = rows[0].strip(), _indent(rows[0])
    for row in rows[1:]:
        outwards = _indent(row) <= indent
        if _HEAD.fullmatch(entry) or (outwards and (indent > 0 or _ENTRY.match(row))):
            yield _wrapped(entry, indent=indent * " ")
            entry, indent = row.strip(), _indent(row)
        else:
            entry = f"{entry} {row.strip()}"
    yield _wrapped(entry, indent=indent * " ")


def _indent(row: str) -> int:
    return len(row) - len(row.lstrip())


def _default(value: object) -> str:
    """A default as an audit file would write it."""
    if value is MISSING:
        return "required"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)
