"""A figure counts if the attack is shown at work: undefended at the same cut, and disguised."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leakaudit.audit.planning.facts import cell_facts
from leakaudit.audit.planning.plans import CellPlan
from leakaudit.audit.results.assemble import _pooled_cell
from leakaudit.audit.results.controls import settled
from leakaudit.records import CellRecord, Control, Leakage, State
from tests.audit.test_folded_plans import planned
from tests.audit.test_matrix import matrix
from tests.audit.test_pooling import leakage
from tests.report.sample import sample_report

MEASURED = next(cell for cell in sample_report().cells if cell.leakage is not None)


def with_ssim(gain: float) -> Leakage:
    """Figures of an attack that exceeds every victim's floor by ``gain``."""
    assert MEASURED.leakage is not None
    patients = tuple(
        one.model_copy(update={"ssim_brain": one.blind_floor + gain + 0.001 * number})
        for number, one in enumerate(MEASURED.leakage.patients)
    )
    return MEASURED.leakage.model_copy(update={"patients": patients})


def record(plan: CellPlan, gain: float) -> CellRecord:
    return CellRecord(
        **cell_facts(plan),
        state=State.OK,
        leakage=with_ssim(gain),
        negative_control=Control(passed=True, detail="made"),
    )


@pytest.fixture
def plans(tiny_audit: dict[str, Any]) -> dict[str, CellPlan]:
    """A defended cell of an attack that reads releases, and both of its controls."""
    cells = {cell.key: cell for cell in matrix(tiny_audit).cells}
    defended = next(
        cell
        for cell in cells.values()
        if cell.attack_name == "decoder-inversion" and cell.target.defense_name != "identity"
    )
    return {
        "defended": defended,
        "undefended": cells[defended.positive_control],
        "disguised": cells[defended.disguise_control],
    }


def ended(plans: dict[str, CellPlan], gains: dict[str, float], of: str = "defended") -> CellRecord:
    raw = {plans[name].key: record(plans[name], gain) for name, gain in gains.items()}
    return settled([plans[of]], raw)[plans[of].key]


def test_an_attack_that_works_undefended_and_disguised_has_a_figure(
    plans: dict[str, CellPlan],
) -> None:
    found = ended(plans, {"defended": 0.01, "undefended": 0.5, "disguised": 0.4})
    assert (found.state, found.doubts) == (State.OK, ())
    for control in (found.positive_control, found.disguise_control):
        assert control is not None
        assert control.passed
    assert found.positive_control is not None
    assert found.disguise_control is not None
    assert "undefended system cut at level 0, 0.5" in found.positive_control.detail
    assert "every release disguised (" in found.disguise_control.detail


def test_an_attack_that_gives_up_behind_anything_has_none(plans: dict[str, CellPlan]) -> None:
    found = ended(plans, {"defended": 0.01, "undefended": 0.5, "disguised": 0.01})
    assert found.state is State.CONTROL_FAILED
    assert found.reason.startswith("disguise control failed: on the undefended system cut at")
    assert (found.leakage, found.withheld) == (None, with_ssim(0.01))


def test_a_control_that_was_not_made_shows_nothing(plans: dict[str, CellPlan]) -> None:
    for lacking in ("undefended", "disguised"):
        gains = {"defended": 0.01, "undefended": 0.5, "disguised": 0.5}
        del gains[lacking]
        found = ended(plans, gains)
        assert found.state is State.CONTROL_FAILED
        assert "not made: no such cell was planned" in found.reason


def test_a_figure_that_shows_itself_that_it_reads_is_kept_and_doubted(
    plans: dict[str, CellPlan],
) -> None:
    found = ended(plans, {"defended": 0.3, "undefended": 0.5, "disguised": 0.01})
    assert found.state is State.OK
    assert found.leakage == with_ssim(0.3)
    assert [doubt.kind for doubt in found.doubts] == ["control"]
    assert "fails behind a disguise" in found.doubts[0].words
    found = ended(plans, {"undefended": 0.5, "disguised": 0.01}, "undefended")
    assert (found.state, len(found.doubts)) == (State.OK, 1)
    found = ended(plans, {"defended": 0.3, "undefended": 0.01, "disguised": 0.5})
    assert (found.state, found.leakage) == (State.OK, with_ssim(0.3))
    assert "not shown at work on the undefended network" in found.doubts[0].words


@pytest.mark.parametrize("state", [State.FAILED, State.TIMED_OUT])
def test_a_leak_stays_where_its_control_crashed(plans: dict[str, CellPlan], state: State) -> None:
    crashed = CellRecord(**cell_facts(plans["undefended"]), state=state, reason="killed")
    raw = {
        plans["defended"].key: record(plans["defended"], 0.3),
        plans["undefended"].key: crashed,
        plans["disguised"].key: record(plans["disguised"], 0.5),
    }
    defended = plans["defended"]
    found = settled([defended], raw)[defended.key]
    assert (found.state, found.leakage) == (State.OK, with_ssim(0.3))
    assert [doubt.kind for doubt in found.doubts] == ["control"]
    raw[plans["defended"].key] = record(plans["defended"], 0.01)
    assert settled([defended], raw)[defended.key].state is State.CONTROL_FAILED


def test_a_control_that_failed_its_own_control_shows_nothing(plans: dict[str, CellPlan]) -> None:
    left = {
        plan.key: record(plan, 0.01 if name == "defended" else 0.5) for name, plan in plans.items()
    }
    undefended = left[plans["undefended"].key]
    reads_anything = {"negative_control": Control(passed=False, detail="it reads anything")}
    left[undefended.cell] = undefended.model_copy(update=reads_anything)
    found = settled(plans.values(), left)
    assert found[undefended.cell].reason == "negative control failed: it reads anything"
    assert {one.state for one in found.values()} >= {State.CONTROL_FAILED}
    assert found[plans["defended"].key].state is State.CONTROL_FAILED
    assert "it ended control-failed" in found[plans["defended"].key].reason


def test_a_leak_stays_where_no_control_was_made(plans: dict[str, CellPlan]) -> None:
    found = ended(plans, {"defended": 0.3})
    assert (found.state, len(found.doubts)) == (State.OK, 2)


def in_fold(plan: CellPlan, gain: float) -> CellRecord:
    """The record of patients whom no other fold has."""
    found = leakage(plan.target.fold - 1)
    patients = tuple(
        one.model_copy(update={"ssim_brain": one.blind_floor + gain + 0.001 * number})
        for number, one in enumerate(found.patients)
    )
    leaked = found.model_copy(update={"patients": patients})
    return record(plan, gain).model_copy(update={"leakage": leaked})


@pytest.mark.parametrize(("gain", "state"), [(0.3, State.OK), (0.01, State.TIMED_OUT)])
def test_a_leak_in_some_folds_stays_where_another_fold_did_not_end(
    gain: float,
    state: State,
    tiny_audit: dict[str, Any],
    tmp_path: Path,
    write_audit: Callable[[Path, dict[str, Any]], Path],
) -> None:
    made = planned(tiny_audit, tmp_path, write_audit, 3)
    plans = next(
        each for each in made.matrix.attacks if each[0].attack_name == "activation-inversion"
    )
    attacked = {plan.key: in_fold(plan, gain) for plan in plans}
    slow = plans[1]
    attacked[slow.key] = CellRecord(**cell_facts(slow), state=State.TIMED_OUT, reason="too slow")
    found = _pooled_cell(plans, attacked, made.folds)
    assert found.state is state
    assert (found.figures is not None) is (state is State.OK)
    assert [fold.state for fold in found.folds] == [State.OK, State.TIMED_OUT, State.OK]
    if found.leakage is not None:
        assert len(found.leakage.patients) == 10
        assert "fold 2: timed-out (too slow)" in found.doubts[-1].words
        assert (found.doubts[-1].kind, found.reason) == ("folds", "")


def test_the_control_itself_is_held_to_no_disguise(plans: dict[str, CellPlan]) -> None:
    found = ended(plans, {"disguised": 0.01, "undefended": 0.5}, "disguised")
    assert found.state is State.OK
    assert found.disguise_control is None
