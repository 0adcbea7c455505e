"""A metric is declared once, and everything that shows figures walks the declaration."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from leakaudit.audit.results.pooled_figures import pooled_leakage
from leakaudit.audit.scoring.images import ImageScorer
from leakaudit.comparison import compare_reports, comparison_text
from leakaudit.config import PolicyConfig, resolved_policy
from leakaudit.contracts import Reconstruction
from leakaudit.measure import metrics
from leakaudit.measure.metrics import METRICS, Recovered
from leakaudit.policy import judge
from leakaudit.records import FoldRecord, Leakage, Outcome, ReportRecord, State
from leakaudit.records.metric import Metric
from leakaudit.report import render_html
from leakaudit.report.files.csv_table import COLUMNS, cells_csv
from leakaudit.report.files.markdown import cells_table, worst_table
from leakaudit.report.text.verdicts import threshold_words
from tests.report.sample import sample_report
from tests.tiny import tiny_patients

VICTIMS, AUXILIARY = tiny_patients(5, seed=8), tiny_patients(3, seed=7)
TRUTH = np.stack([patient.images[patient.middle] for patient in VICTIMS])


def closeness(recovered: Recovered) -> Sequence[float | None]:
    """1 minus the largest error of any voxel, of each victim."""
    errors = np.abs(recovered.images - recovered.truth)
    return [float(1 - one.max()) for one in errors]


CLOSENESS = Metric(
    name="closeness",
    words="closeness of the worst voxel",
    head="Closeness",
    meaning="One minus the largest error of any voxel.",
    low=0.0,
    scored=closeness,
    limit="closeness",
    columns=("closeness", "closeness_low", "closeness_high"),
    tabled=True,
    short="closeness",
)


@pytest.fixture
def declared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "METRICS", (*METRICS, CLOSENESS))


def recovered(error: float) -> Leakage:
    """The figures of an attack that recovers everything but for an error of the first voxels."""
    images = TRUTH.copy()
    images[:, :, 0, 0] += error * np.linspace(1.0, 0.8, len(images))[:, None]
    attempt = Reconstruction(
        images=torch.from_numpy(images), objective_first=1.0, objective_last=0.5, iterations=1
    )
    return ImageScorer(VICTIMS, AUXILIARY, VICTIMS).figures(attempt)["leakage"]


def report(error: float) -> ReportRecord:
    """One attack on one network."""
    record = sample_report()
    first = record.cells[0].model_copy(update={"leakage": recovered(error)})
    mine = tuple(one for one in record.targets if one.target == first.target)
    return sample_report(targets=mine, cells=(first,), references=())


@pytest.mark.usefixtures("declared")
def test_a_metric_that_is_declared_is_in_the_record() -> None:
    found = recovered(0.5)
    assert found.further["closeness"].mean == pytest.approx(0.55)
    assert found.patients[0].further["closeness"] == pytest.approx(0.5)
    assert Leakage.model_validate_json(found.model_dump_json()) == found
    names = [one.patient for one in found.patients]
    folds = [
        FoldRecord(fold=number, key=f"{number}", state=State.OK, patients=tuple(part))
        for number, part in enumerate((names[:2], names[2:]), 1)
    ]
    halves = [
        found.model_copy(update={"patients": tuple(p for p in found.patients if p.patient in part)})
        for part in (names[:2], names[2:])
    ]
    assert pooled_leakage(halves, folds).further["closeness"].mean == pytest.approx(0.55)


@pytest.mark.usefixtures("declared")
def test_it_is_in_cells_csv_in_the_tables_and_on_the_page() -> None:
    made = report(0.5)
    (row,) = csv.DictReader(io.StringIO(cells_csv(made)))
    assert float(row["closeness"]) == pytest.approx(0.55)
    assert float(row["closeness_low"]) < 0.55 < float(row["closeness_high"])
    for table in (cells_table(made), worst_table(made)):
        head, _, row_of = table.splitlines()
        assert head.endswith("| Closeness |")
        assert "| 0.550 [" in row_of
    page = render_html(made)
    assert '<th scope="col" class="n">Closeness</th>' in page
    assert "<dt>Closeness</dt><dd>One minus the largest error of any voxel.</dd>" in page
    assert "Closeness, closeness of the worst voxel:" in page


@pytest.mark.usefixtures("declared")
def test_it_is_compared_patient_by_patient() -> None:
    found = compare_reports(report(0.5), report(0.4))
    (row,) = found.cells
    (delta,) = [one for one in row.figures if one.measure == "closeness"]
    assert delta.difference is not None
    assert delta.difference.mean == pytest.approx(0.09)
    assert delta.reading == "higher"
    assert "closeness, n=5" in comparison_text(found, ("a", "b"))


@pytest.mark.usefixtures("declared")
@pytest.mark.parametrize(("limit", "outcome"), [(0.5, Outcome.FAIL), (0.7, Outcome.PASS)])
def test_a_policy_limits_it(limit: float, outcome: Outcome) -> None:
    given = {"closeness": limit, "rationale": "a reason"}
    policy = resolved_policy(
        PolicyConfig.model_validate({"owner": "me", "date": "2026-01-31", "thresholds": [given]})
    )
    made = report(0.5)
    found = judge(policy, made.targets, made.cells, {made.targets[0].target})
    assert found.outcome is outcome
    assert found.checks[0].observed == pytest.approx(0.6)
    words = threshold_words(policy.thresholds[0])
    assert words == "closeness of the worst voxel of the worst patient"


def test_without_a_declaration_a_policy_refuses_the_name() -> None:
    given = {"owner": "me", "date": "2026-01-31", "thresholds": [{"closeness": 0.5}]}
    with pytest.raises(ValueError, match="unknown measure 'closeness'"):
        PolicyConfig.model_validate(given)


def test_a_metric_that_leaks_more_where_it_is_lower_has_no_limit() -> None:
    with pytest.raises(ValueError, match="leak more where they are higher"):
        Metric(name="x", words="x", head="X", limit="x", more_leaks=False)


def test_names_limits_and_columns_are_unique_and_columns_are_known() -> None:
    columns = [column for one in METRICS for column in one.columns]
    names = [one.name for one in METRICS]
    limited = [one.limit for one in METRICS if one.limit]
    for several in (columns, names, limited):
        assert len(set(several)) == len(several)
    assert set(columns) <= set(COLUMNS)
