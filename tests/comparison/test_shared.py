"""Shared reports in a comparison: what pseudonyms allow, and what is said where they do not."""

from __future__ import annotations

import pytest

from leakaudit.comparison import caveat_sentences, compare_reports, comparison_text
from leakaudit.errors import UsageError
from leakaudit.records import ReportRecord
from leakaudit.report import shared
from tests.report.sample import sample_report

SAMPLE = sample_report()
ONE = shared(SAMPLE, bytes(32))
OTHER = shared(SAMPLE, bytes(range(32)))


@pytest.mark.parametrize(
    ("a", "b", "whose"),
    [
        (SAMPLE, ONE, "B is a shared report"),
        (ONE, SAMPLE, "A is a shared report"),
        (ONE, OTHER, "A and B are shared reports"),
    ],
    ids=["B", "A", "both"],
)
def test_pseudonyms_are_not_taken_for_other_patients(
    a: ReportRecord, b: ReportRecord, whose: str
) -> None:
    with pytest.raises(UsageError) as refused:
        compare_reports(a, b)
    told = str(refused.value)
    assert told.startswith(f"{whose}, where patients have pseudonyms")
    assert "compare the runs' own reports" in told
    assert "differ in" not in told
    split = SAMPLE.data.split
    assert not [name for name in (*split.train, *split.victims) if name in told]
    assert "P-" not in told


def test_what_differs_besides_the_pseudonyms_is_said_as_well() -> None:
    data = OTHER.data.model_copy(update={"fingerprint": "f" * 64})
    with pytest.raises(UsageError, match=r"; they differ in data\.fingerprint \(.* as well$"):
        compare_reports(ONE, OTHER.model_copy(update={"data": data}))


def test_shared_reports_of_one_run_are_compared_and_called_so() -> None:
    found = compare_reports(ONE, ONE)
    assert found.equal
    assert (found.a.profile, found.b.profile) == ("share", "share")
    (told,) = caveat_sentences(found)
    assert told.startswith("shared reports are compared: paths, users, hosts")
    text = comparison_text(found, ("a/share", "b/share"))
    assert text.startswith("A  a/share: shared report of audit ")
    assert max(map(len, text.splitlines())) <= 80
    own = compare_reports(SAMPLE, SAMPLE)
    assert own.a.profile == "internal"
    assert caveat_sentences(own) == []
