"""The disguises that the report's attacks cannot read, as `leakaudit disguises` measured it."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from leakaudit.capabilities import RELEASES
from leakaudit.records import PluginRecord, ReportRecord
from leakaudit.records.readings import Readings


@cache
def shipped() -> Readings:
    """The table that comes with the program."""
    text = files("leakaudit.report").joinpath("disguises.json").read_text(encoding="utf-8")
    return Readings.model_validate_json(text)


def holes(record: ReportRecord, table: Readings) -> tuple[str, ...]:
    """A sentence for each attack of the report that leaves a disguise unread, or was not tried."""
    return tuple(filter(None, (_hole(plugin, table) for plugin in record.plugins)))


def _hole(plugin: PluginRecord, table: Readings) -> str:
    if plugin.kind != "attack" or not RELEASES & set(plugin.requires):
        return ""
    if plugin.name not in table.attacks:
        return f"{plugin.name} reads releases; behind which disguises it still does was not tried."
    unread = table.unread(plugin.name)
    if not unread:
        return ""
    return (
        f"{plugin.name} does not read an undefended release behind: {', '.join(unread)}. "
        "A defense that does the like is not measured by it."
    )
