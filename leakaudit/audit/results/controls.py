"""Where the state of every cell is settled, by all of its controls.

In: what each attack left, as cell.json holds it without a state. Out: the cells of the report.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from leakaudit.audit.planning.plans import CellPlan
from leakaudit.measure import controls
from leakaudit.records import CellRecord, Control, Doubt, Leakage, MaskLeakage, Matching, State


def settled(plans: Iterable[CellPlan], left: Mapping[str, CellRecord]) -> dict[str, CellRecord]:
    """Every cell with its final state.

    Args:
        plans: the cells.
        left: what each attack left, by key: ``ok`` if it ended, before controls are applied.
    """
    alone = {key: _by_own_controls(record) for key, record in left.items()}
    return {plan.key: _shown_elsewhere(plan, alone) for plan in plans}


def _by_own_controls(record: CellRecord) -> CellRecord:
    """An attack whose own control or objective failed has no leakage figure."""
    found, negative = record.figures, record.negative_control
    if record.state is not State.OK or found is None or negative is None:
        return record
    reason = ""
    if negative.passed is None:
        reason = f"no negative control: {negative.detail}"
    elif not negative.passed:
        reason = f"negative control failed: {negative.detail}"
    elif isinstance(found, Matching):
        return record  # it has no objective, and nothing to break down
    elif not found.objective_last < found.objective_first:
        reason = (
            f"attack not working: its own objective did not fall "
            f"({found.objective_first:.4g} to {found.objective_last:.4g})"
        )
    else:
        return record.model_copy(update={"notes": (*record.notes, *_below_the_guess(found))})
    failed = {"state": State.CONTROL_FAILED, "reason": reason}
    return record.model_copy(update={**failed, **_withheld(record)})


def _below_the_guess(leakage: Leakage | MaskLeakage) -> tuple[str, ...]:
    """A note on an attack that ends below what a guess gets.

    No doubt: the guess is the best of several on these very victims, so that an attack on a system
    that releases nothing ends below it. Whether an attack works is what its controls show.
    """
    if leakage.advantage.high is None or leakage.advantage.high >= 0:
        return ()
    return (
        "It recovered less than the best guess that sees nothing of this: an attack that learns "
        "nothing here does, and one that broke down here does too. Its controls show that it works "
        "elsewhere.",
    )


def _shown_elsewhere(plan: CellPlan, raw: Mapping[str, CellRecord]) -> CellRecord:
    """The cell with the controls that show its attack at work; without figures if one does not.

    A figure that shows by itself that the attack reads is kept where a control failed or was not
    made: it can exceed a limit, but with a doubt it never helps to a PASS.
    """
    record = raw[plan.key]
    if not record.state.was_tried:
        return record
    made = {"positive_control": shown_at_work(raw.get(plan.positive_control))}
    if plan.disguise_control:
        made["disguise_control"] = shown_at_work(raw.get(plan.disguise_control))
    record = record.model_copy(update=made)
    lacking = [(kind, one) for kind, one in made.items() if not one.passed]
    if not lacking or record.state is not State.OK:
        return record
    kind, control = lacking[0]
    outcome = "not made" if control.passed is None else "failed"
    if shown_at_work(record).passed:
        doubts = (Doubt(kind="control", words=_at_least(kind, one)) for kind, one in lacking)
        return record.model_copy(update={"doubts": (*record.doubts, *doubts)})
    return record.model_copy(
        update={
            "state": State.CONTROL_FAILED,
            "reason": f"{kind.replace('_', ' ')} {outcome}: {control.detail}",
            **_withheld(record),
        }
    )


def _at_least(kind: str, control: Control) -> str:
    """Why a figure whose control is lacking says what leaks, and shows no protection."""
    if kind == "positive_control":
        what = "is not shown at work on the undefended network"
    elif control.passed is None:
        what = "was not tried behind a disguise that hides nothing"
    else:
        what = "fails behind a disguise that hides nothing"
    return f"This attack {what}: its figure says what leaks at least, and shows no protection."


def shown_at_work(control: CellRecord | None) -> Control:
    """Whether the attack works undefended at the same cut, disguised if ``control`` is."""
    if control is None:
        return Control(passed=None, detail="no such cell was planned")
    where = f"on the undefended system cut at level {control.cut_level}"
    if control.disguise:
        where += f", every release disguised ({control.disguise})"
    figures = control.figures
    if control.state is not State.OK or figures is None:
        return Control(passed=False, detail=f"{where} it ended {control.state} ({control.reason})")
    scores, floor = map(np.array, figures.by_patient())
    found = controls.positive_control(scores, floor, unit=figures.unit)
    return found.model_copy(update={"detail": f"{where}, {found.detail}"})


def _withheld(record: CellRecord) -> dict[str, object]:
    """The fields that set a record's figures aside."""
    return {
        "leakage": None,
        "withheld": record.leakage,
        "mask_leakage": None,
        "withheld_masks": record.mask_leakage,
        "matching": None,
        "withheld_matching": record.matching,
    }
