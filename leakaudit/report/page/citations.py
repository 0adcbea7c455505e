"""The references of the attacks that ran, of the defenses and of the method, also as BibTeX."""

from __future__ import annotations

from leakaudit.records import Citation, ReportRecord, papers_of

_CORE = papers_of("leakaudit.report.page")


def citations(record: ReportRecord) -> tuple[Citation, ...]:
    """List the papers: of the system and the measures, then of each attack and defense, once."""
    ran = {cell.attack_name for cell in record.cells if cell.state.was_tried}
    found = dict(_CORE)
    for plugin in record.plugins:
        if plugin.kind != "attack" or plugin.name in ran:
            found |= {citation.key: citation for citation in plugin.citations}
    return tuple(found.values())


def bibtex(record: ReportRecord) -> str:
    """Return the papers as a BibTeX file."""
    return "\n\n".join(citation.bibtex for citation in citations(record)) + "\n"
