"""A comparison that was asked for stands in record, page and summary, with figures or a reason."""

from __future__ import annotations

import pytest

from leakaudit.audit.results.references import compared
from leakaudit.cli.printing.summary import print_matrix
from leakaudit.config import ReferenceConfig
from leakaudit.records import ReportRecord, State, TargetRecord
from leakaudit.report import render_html
from tests.report.sample import sample_report
from tests.report.test_page import Page

WANTED = ReferenceConfig(cut_level=1, seeds=(1,))
SKIPS = (0,)


def with_ended(record: ReportRecord, key: str, state: State, reason: str) -> ReportRecord:
    """The record as it is when one training did not end well."""
    gone = {"utility": None, "untrained_dice": None, "state": state, "reason": reason}
    targets = tuple(t.model_copy(update=gone) if t.target == key else t for t in record.targets)
    record = record.model_copy(update={"targets": targets})
    return record.model_copy(update={"references": compared(WANTED, SKIPS, of_cut_1(record))})


def of_cut_1(record: ReportRecord) -> list[TargetRecord]:
    return [target for target in record.targets if target.cut_level == 1]


def test_comparisons_are_paired_by_patient() -> None:
    found = compared(WANTED, SKIPS, of_cut_1(sample_report()))
    assert [one.kind for one in found] == ["centralised", "single-site", "single-site"]
    for one in found:
        assert one.dice is not None
        assert one.split_dice is not None
        assert one.difference is not None
        assert one.difference.mean == pytest.approx(one.split_dice.mean - one.dice.mean)
        assert one.reason == ""
    assert compared(None, (), of_cut_1(sample_report())) == ()


def test_a_network_that_withholds_skips_or_channels_is_another_and_not_compared() -> None:
    targets = of_cut_1(sample_report())
    undefended = next(one for one in targets if one.target == "target-1-0")
    gone = {"target": "withheld", "shared_skips": (), "utility": None}
    withheld = undefended.model_copy(update=gone)
    assert compared(WANTED, SKIPS, [*targets, withheld]) == compared(WANTED, SKIPS, targets)
    narrow = undefended.model_copy(update={"target": "narrow", "bottleneck": 4, "utility": None})
    assert compared(WANTED, SKIPS, [*targets, narrow]) == compared(WANTED, SKIPS, targets)


def test_a_missing_reference_is_named_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    record = with_ended(
        sample_report(), "reference-1-centralised-", State.TIMED_OUT, "stopped after 5 s"
    )
    assert [one.difference is None for one in record.references] == [True, False, False]
    told = "the centralised training with seed 1 ended timed-out (stopped after 5 s)"
    assert record.references[0].reason == told
    assert f"Not compared: {told}." in Page(render_html(record)).text
    print_matrix(record)
    assert told in " ".join(capsys.readouterr().out.split())
    assert ReportRecord.model_validate_json(record.model_dump_json()) == record


def test_no_comparison_is_left_when_the_split_training_is_missing() -> None:
    record = with_ended(sample_report(), "target-1-0", State.FAILED, "loss became NaN")
    told = "the training of the undefended Split-U-Net with seed 1 ended failed (loss became NaN)"
    assert [one.reason for one in record.references] == [told] * 3
    assert Page(render_html(record)).text.count(f"Not compared: {told}.") == 3


def test_nothing_is_averaged_over_the_seeds_that_are_left() -> None:
    targets = of_cut_1(sample_report())
    second = [target.model_copy(update={"seed": 2}) for target in targets]
    gone = {"utility": None, "state": State.FAILED, "reason": "out of memory"}
    second = [t.model_copy(update=gone) if t.kind == "centralised" else t for t in second]
    wanted = ReferenceConfig(cut_level=1, seeds=(1, 2))
    centralised, *others = compared(wanted, SKIPS, [*targets, *second])
    assert centralised.seeds == (1, 2)
    assert centralised.difference is None
    assert centralised.reason.startswith("the centralised training with seed 2 ended failed")
    assert all(one.difference is not None for one in others)
