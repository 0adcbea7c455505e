"""The controls that show an attack at work; without them a cell has no figure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from leakaudit.audit.planning.plans import CellPlan
from leakaudit.audit.scoring.images import withheld
from leakaudit.measure import controls
from leakaudit.records import (
    CellRecord,
    Control,
    Doubt,
    State,
)


def controlled(plan: CellPlan, raw: Mapping[str, CellRecord]) -> CellRecord:
    """The cell with the controls that show its attack at work; without figures if one does not.

    A figure that shows by itself that the attack reads is kept where a control failed or was not
    made: it can exceed a limit, but with a doubt it never helps to a PASS.
    """
    record = raw[plan.key]
    if record.state in (State.UNSUPPORTED, State.NOT_RUN):
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
            **withheld(record),
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
