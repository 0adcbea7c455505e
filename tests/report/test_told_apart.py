"""What a report says of patients who are matched without a picture."""

from __future__ import annotations

import csv
import io
from typing import Any
from xml.etree import ElementTree

import pytest

from leakaudit.policy import judge
from leakaudit.records import CellRecord, Matched, Matching, MatchScore, ReportRecord
from leakaudit.report import render_html
from leakaudit.report.files.csv_table import cells_csv
from leakaudit.report.files.junit import junit_xml
from leakaudit.report.files.markdown import cells_table, worst_table
from leakaudit.report.share.sharing import shared
from leakaudit.report.text.words import headline
from leakaudit.report.views.told_apart import matched_settings, told_apart_sentence
from tests.configured import a_plugin
from tests.policy.test_judging import policy, threshold
from tests.report.sample import VICTIMS, cell, leakage, sample_report

SAYS = "could not turn them into pictures; a better one may."


def matching(hits: int) -> Matching:
    low, high = {5: (0.478, 1.0), 1: (0.005, 0.716)}[hits]
    return Matching(
        top1=hits / 5,
        low=low,
        high=high,
        chance=1 / 15,
        gallery=15,
        n=5,
        other_slice=Matched(top1=0.4, low=0.05, high=0.85),
        other_pass=Matched(top1=hits / 5, low=low, high=high),
        patients=tuple(
            MatchScore(
                patient=name,
                hit=float(number < hits),
                rank=1.0 if number < hits else 7.5,
                margin=3.25 if number < hits else -0.5,
                wrong=0.0,
            )
            for number, name in enumerate(VICTIMS)
        ),
    )


def matching_cell(hits: int, index: int = 1) -> CellRecord:
    whole = cell(2, index, "decoder-inversion")
    assert whole.cost is not None
    return whole.model_copy(
        update={
            "cell": f"cell-who-{index}",
            "attack": a_plugin("ReleaseMatching(passes=8)"),
            "attack_name": "release-matching",
            "threat": "curious-server-with-candidates",
            "recovers": "identities",
            "leakage": None,
            "matching": matching(hits),
            "cost": whole.cost.model_copy(update={"queries": 120}),
        }
    )


def with_matching(ssim: float, hits: int = 5, **changes: Any) -> ReportRecord:
    """The sample where one setting is matched, and each attack on its images reaches ``ssim``."""
    cells = tuple(
        one.model_copy(update={"leakage": leakage(ssim)}) if one.leakage else one
        for one in sample_report().cells
    )
    return sample_report(cells=(*cells, matching_cell(hits)), **changes)


def test_who_is_told_apart_without_a_picture_is_said_in_one_sentence() -> None:
    sentence = told_apart_sentence(with_matching(0.25))  # below the blind floor
    assert sentence.endswith(SAYS)
    assert sentence.startswith("The messages tell patients apart (")
    assert "for 100\N{NO-BREAK SPACE}% of the patients, where chance is 6.7" in sentence


def test_an_audit_of_nothing_else_says_what_it_found() -> None:
    alone = with_matching(0.25)
    alone = alone.model_copy(update={"cells": alone.cells[-1:]})
    assert told_apart_sentence(alone).endswith("one may turn them into pictures.")
    said = headline(alone)
    assert "no attack on images gave a valid figure" in said
    assert "Whose message it is was told" in said


def test_nothing_is_said_where_pictures_were_rebuilt_or_nobody_is_matched() -> None:
    assert told_apart_sentence(with_matching(0.8)) == ""
    assert told_apart_sentence(with_matching(0.25, hits=1)) == ""
    assert told_apart_sentence(sample_report()) == ""


def test_a_picture_is_one_beyond_a_guess_or_beyond_the_policys_limit() -> None:
    def judged(ssim: float, limit: float) -> ReportRecord:
        record = with_matching(ssim)
        target = matching_cell(5).target
        asked = policy(threshold("ssim", limit=limit))
        verdict = judge(asked, record.targets, record.cells, {target})
        return record.model_copy(update={"verdict": verdict})

    assert told_apart_sentence(judged(0.25, 0.9)).endswith(SAYS)
    assert told_apart_sentence(judged(0.25, 0.2)) == ""
    assert told_apart_sentence(judged(0.5, 0.4)) == ""
    assert told_apart_sentence(judged(0.5, 0.9)) == ""  # within the limit, yet beyond a guess


def test_the_share_stands_in_every_table_and_never_with_images() -> None:
    record = with_matching(0.25)
    found = {case.recovers: case for case in record.worst if case.target == "target-2-1"}
    assert found["identities"].worst == "cell-who-1"
    assert found["identities"].matched is not None
    assert found["identities"].matched.mean == 1.0
    assert found["identities"].ssim_brain is None
    assert found["identities"].advantage is None
    assert found["images"].worst != "cell-who-1"
    rows = list(csv.DictReader(io.StringIO(cells_csv(record))))
    (row,) = (one for one in rows if one["cell"] == "cell-who-1")
    assert (row["recovers"], row["matched_top1"], row["ssim_brain"]) == ("identities", "1.0", "")
    assert float(row["matched_chance"]) == pytest.approx(1 / 15)
    assert row["queries"] == "120"
    assert {one["matched_top1"] for one in rows if one["cell"] != "cell-who-1"} == {""}
    for table in (worst_table(record), cells_table(record)):
        assert "| identities |" in table
        assert "| 1.000 [0.478, 1.000] (chance 0.07) |" in table
    output = ElementTree.fromstring(junit_xml(record)).iter("system-out")
    assert "Share of patients matched by what was released: 1.00" in [one.text for one in output]
    (setting,) = matched_settings(record)
    assert setting.cell.cell == "cell-who-1"
    assert setting.seconds


@pytest.mark.slow
def test_the_page_shows_who_was_matched_what_it_cost_and_what_it_means() -> None:
    record = with_matching(0.25)
    page = render_html(record)
    assert SAYS in page
    assert "Singling out without a picture" in page
    assert "matched among" in page
    assert "120" in page
    gaps = page[page.index('<section id="limits"') :]
    assert "Release matching" not in gaps[: gaps.index("What the figures")]
    assert "Who is who" in page
    other = render_html(shared(record, bytes(32)))
    assert "matched among" in other
    assert not any(name in other for name in VICTIMS)
