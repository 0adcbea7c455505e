"""Which templates were not the program's own when a page was rendered; the page may not say it."""

from __future__ import annotations

from pathlib import Path

from leakaudit.cli.printing.messages import say
from leakaudit.integrity import shown
from leakaudit.records.manifest import ReportManifest


def replaced_words(manifest: ReportManifest) -> str:
    """The replaced templates of a report that has some, by name, in a line."""
    return f"rendered with replaced templates: {', '.join(map(shown, sorted(manifest.templates)))}"


def warn_custom_templates(manifest: ReportManifest | None, page: Path) -> None:
    """Name the replaced templates on stderr; nothing if there are none."""
    if manifest is not None and manifest.templates:
        say(f"{page}: {replaced_words(manifest)}")
