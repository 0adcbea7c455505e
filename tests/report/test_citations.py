"""What ran is cited, and nothing else."""

from __future__ import annotations

import re

import pytest

from leakaudit.records import Bibliography, Citation, ReportRecord, State
from leakaudit.registry import usable
from leakaudit.report.page.citations import bibtex, citations
from leakaudit.report.page.page import render_html
from tests.report.sample import sample_report

IDEA = Citation(
    key="doe2030idea",
    authors=("Doe, Jane", "Roe, Richard"),
    title="An idea?",
    venue="A Conference",
    year=2030,
    arxiv="3001.00001",
)
OTHER = IDEA.model_copy(update={"key": "doe2031other", "title": "Another <idea>", "arxiv": ""})


def cited(name: str, state: State | None = None) -> ReportRecord:
    """The sample, where one attack cites two papers and all its cells ended in a state."""
    record = sample_report()
    plugins = tuple(
        one.model_copy(update={"citations": (IDEA, OTHER)}) if one.name == name else one
        for one in record.plugins
    )
    cells = tuple(
        one.model_copy(update={"state": state, "leakage": None, "reason": "stopped"})
        if state and one.attack_name == name
        else one
        for one in record.cells
    )
    return sample_report(plugins=plugins, cells=cells)


@pytest.mark.parametrize(
    ("state", "counts"),
    [(None, True), (State.FAILED, True), (State.NOT_RUN, False), (State.UNSUPPORTED, False)],
)
def test_an_attack_is_cited_if_it_ran(state: State | None, counts: bool) -> None:
    keys = [one.key for one in citations(cited("decoder-inversion", state))]
    assert keys[:2] == ["roth2022splitunet", "wang2004image"]
    assert keys[2:] == (["doe2030idea", "doe2031other"] if counts else [])


def test_a_defense_is_cited_and_a_paper_but_once() -> None:
    record = cited("gaussian-noise")
    twice = record.plugins[0].model_copy(update={"citations": (IDEA,)})
    record = record.model_copy(update={"plugins": (twice, *record.plugins[1:])})
    keys = [one.key for one in citations(record)]
    assert keys.count("doe2030idea") == keys.count("doe2031other") == 1


def test_words_and_bibtex() -> None:
    assert IDEA.short == "Doe and Roe 2030"
    assert IDEA.words == "Doe, Roe: An idea? A Conference, 2030, arXiv:3001.00001."
    more = IDEA.model_copy(update={"authors": ("Doe, Jane", "others"), "doi": "10.1/x"})
    assert more.short == "Doe et al. 2030"
    assert more.words == "Doe et al.: An idea? A Conference, 2030, doi:10.1/x."
    text = bibtex(cited("decoder-inversion"))
    entries = re.findall(r"^@misc\{(\w+),\n((?:  \w+ = \{.*\},\n)+)\}$", text, re.MULTILINE)
    assert [key for key, _ in entries] == [
        "roth2022splitunet",
        "wang2004image",
        "doe2030idea",
        "doe2031other",
    ]
    assert "  author = {Doe, Jane and Roe, Richard},\n" in entries[2][1]
    assert "  title = {{An idea?}},\n" in entries[2][1]
    assert "  eprint = {3001.00001},\n" in entries[2][1]
    assert "eprint" not in entries[3][1]
    odd = IDEA.model_copy(update={"title": "50 % of R&D_", "doi": "10.1/a_b"}).bibtex
    assert r"title = {{50 \% of R\&D\_}}" in odd
    assert "doi = {10.1/a_b}" in odd
    assert Bibliography.of(odd)("doe2030idea")[0].bibtex == odd
    assert list(Bibliography.of(text).values()) == list(citations(cited("decoder-inversion")))


def test_the_page_lists_them_as_text() -> None:
    html = render_html(cited("decoder-inversion"))
    section = html[html.index('id="citations"') :]
    assert "<li>Doe, Roe: Another &lt;idea&gt;. A Conference, 2030.</li>" in section


def test_every_built_in_attack_and_all_defenses_but_the_undefended_name_their_papers() -> None:
    for kind in ("attack", "defense"):
        for plugin in usable(kind)[0]:
            if plugin.distribution == "leakaudit" and plugin.name != "identity":
                named: tuple[Citation, ...] = getattr(plugin.cls, "citations")  # noqa: B009
                assert named
                for one in named:
                    assert (
                        one.doi
                        or one.arxiv
                        or one.key
                        in (
                            "srivastava2014dropout",
                            "dwork2006calibrating",
                        )
                    )
