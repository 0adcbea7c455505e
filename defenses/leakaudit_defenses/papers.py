"""The papers behind the defenses: entries of papers.bib, by key."""

from leakaudit.api import papers_of

cited = papers_of("leakaudit_defenses")
