"""Papers, as the publisher of an audit cites them.

In: BibTeX entries of a package of plug-ins.  Out: records that the report shows and writes again.
"""

from __future__ import annotations

import re
from importlib.resources import files

from leakaudit.records.base import Record

_ENTRY = re.compile(r"^@\w+\{([^,\s]+),\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^\s*(\w+) = \{(.*)\},?$", re.MULTILINE)


class Citation(Record):
    """A paper, as the publisher of an audit cites it.

    Args:
        key: of the BibTeX entry.
        authors: as ``Family, Given``; a last ``others`` stands for the rest.
        title: of the paper.
        venue: where it appeared.
        year: when.
        doi: without the resolver, if there is one.
        arxiv: number of the preprint, if there is one.
    """

    key: str
    authors: tuple[str, ...]
    title: str
    venue: str
    year: int
    doi: str = ""
    arxiv: str = ""

    @property
    def short(self) -> str:
        """``He et al. 2019``."""
        families = [name.partition(",")[0] for name in self.authors if name != "others"]
        if len(self.authors) > 2 or "others" in self.authors:
            return f"{families[0]} et al. {self.year}"
        return f"{' and '.join(families)} {self.year}"

    @property
    def words(self) -> str:
        """The whole reference as a sentence."""
        names = ", ".join(name.partition(",")[0] for name in self.authors if name != "others")
        if "others" in self.authors:
            names += " et al."
        stop = "" if self.title.endswith("?") else "."
        parts = ["" if self.venue == "arXiv" else self.venue, str(self.year)]
        parts += [f"doi:{self.doi}"] if self.doi else []
        parts += [f"arXiv:{self.arxiv}"] if self.arxiv and not self.doi else []
        return f"{names}: {self.title}{stop} {', '.join(part for part in parts if part)}."

    @property
    def bibtex(self) -> str:
        """A BibTeX entry; of the general kind, since the venue is free text."""
        fields = {
            "author": _escaped(" and ".join(self.authors)),
            "title": f"{{{_escaped(self.title)}}}",
            "howpublished": "" if self.venue == "arXiv" else _escaped(self.venue),
            "year": str(self.year),
            "doi": self.doi,
            "eprint": self.arxiv,
            "archiveprefix": "arXiv" if self.arxiv else "",
        }
        lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
        return "\n".join([f"@misc{{{self.key},", *lines, "}"])


class Bibliography(dict[str, Citation]):
    """Papers by key, as read from BibTeX in the form that `Citation.bibtex` writes."""

    @classmethod
    def of(cls, text: str) -> Bibliography:
        """Read BibTeX entries.

        Args:
            text: entries, each field in one line.
        """
        found = cls()
        for key, body in _ENTRY.findall(text):
            fields = {name: _plain(value) for name, value in _FIELD.findall(body)}
            found[key] = Citation(
                key=key,
                authors=tuple(fields["author"].split(" and ")),
                title=fields["title"].strip("{}"),
                venue=fields.get("howpublished", "arXiv"),
                year=int(fields["year"]),
                doi=fields.get("doi", ""),
                arxiv=fields.get("eprint", ""),
            )
        return found

    def __call__(self, *keys: str) -> tuple[Citation, ...]:
        """The papers of these keys, in their order."""
        return tuple(self[key] for key in keys)


def papers_of(package: str) -> Bibliography:
    """The entries of ``papers.bib`` in a package of plug-ins.

    Args:
        package: its name.
    """
    return Bibliography.of(files(package).joinpath("papers.bib").read_text(encoding="utf-8"))


def _escaped(text: str) -> str:
    """Text without what BibTeX and LaTeX would read as their own."""
    return "".join(f"\\{char}" if char in "&%#_$" else char for char in text)


def _plain(text: str) -> str:
    return re.sub(r"\\([&%#_$])", r"\1", text)
