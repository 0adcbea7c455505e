"""The sample report with parts of it changed, as an audit would have written it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from leakaudit.measure import controls, statistics
from leakaudit.records import (
    CellRecord,
    Leakage,
    MaskLeakage,
    MaskScore,
    ReportRecord,
    State,
    TargetRecord,
    Utility,
)
from tests.report.sample import VICTIMS, sample_report

IDENTITY = "cell-1-0-decoder-inversion"
NOISE = "cell-1-1-decoder-inversion"
RISE = (0.021, 0.034, 0.018, 0.027, 0.030)
NOISY = (0.021, -0.034, 0.018, -0.027, 0.010)


def with_cells(change: Callable[[CellRecord], CellRecord | None], **more: Any) -> ReportRecord:
    """The sample, each cell that is no control changed, or left out where None comes back."""
    made = [one if one.control_only else change(one) for one in sample_report().cells]
    return sample_report(cells=tuple(one for one in made if one is not None), **more)


def with_targets(change: Callable[[TargetRecord], TargetRecord | None]) -> ReportRecord:
    """The sample, each training that is no control changed, or left out where None comes back."""
    made = [one if one.control_only else change(one) for one in sample_report().targets]
    return sample_report(targets=tuple(one for one in made if one is not None))


def one_cell(key: str, **update: Any) -> ReportRecord:
    """The sample with fields of one cell replaced."""
    return with_cells(lambda one: one.model_copy(update=update) if one.cell == key else one)


def moved(key: str, by: Sequence[float]) -> ReportRecord:
    """The sample where one attack recovers more, or less, of each of its victims."""
    return with_cells(lambda one: moved_cell(one, by) if one.cell == key else one)


def moved_cell(cell: CellRecord, by: Sequence[float], floor: float = 0.0) -> CellRecord:
    """A cell with other scores, and floors higher by ``floor``."""
    assert cell.leakage is not None
    return cell.model_copy(update={"leakage": moved_leakage(cell.leakage, by, floor)})


def moved_leakage(leakage: Leakage, by: Sequence[float], floor: float = 0.0) -> Leakage:
    patients = tuple(
        one.model_copy(
            update={
                "ssim_brain": one.ssim_brain + more,
                "blind_floor": one.blind_floor + floor,
            }
        )
        for one, more in zip(leakage.patients, by, strict=True)
    )
    scores = np.array([one.ssim_brain for one in patients])
    floors = np.array([one.blind_floor for one in patients])
    return leakage.model_copy(
        update={
            "patients": patients,
            "ssim_brain": statistics.interval(scores),
            "blind_floor": float(floors.mean()),
            "advantage": controls.advantage(scores, floors),
        }
    )


def dice_moved(target: TargetRecord, by: Sequence[float]) -> TargetRecord:
    """A training whose network is worth more, or less, on each of the patients."""
    assert target.utility is not None
    patients = tuple(
        one.model_copy(update={"mean": None if one.mean is None else one.mean + more})
        for one, more in zip(target.utility.patients, by, strict=True)
    )
    means = [one.mean for one in patients if one.mean is not None]
    utility: Utility = target.utility.model_copy(
        update={"patients": patients, "mean": statistics.interval(means)}
    )
    return target.model_copy(update={"utility": utility})


def masks(scores: Sequence[float], floor: float = 0.2) -> MaskLeakage:
    """The figures of an attack that recovers masks."""
    floors = np.array([floor + 0.01 * number for number in range(len(scores))])
    return MaskLeakage(
        dice=statistics.interval(scores),
        blind_floor=float(floors.mean()),
        blind_floor_name="average mask",
        advantage=controls.advantage(np.array(scores), floors),
        patients=tuple(
            MaskScore(patient=name, dice=score, blind_floor=float(at))
            for name, score, at in zip(VICTIMS, scores, floors, strict=True)
        ),
        without_tumour=0,
        objective_first=1.0,
        objective_last=0.1,
    )


def failed(reason: str = "RuntimeError: it broke off") -> dict[str, Any]:
    """Fields of a cell that failed."""
    return {"state": State.FAILED, "reason": reason, "leakage": None}


def write(record: ReportRecord, folder: Path) -> Path:
    """A report folder that holds report.json alone, as copied from another machine."""
    folder.mkdir(parents=True)
    text = json.dumps(record.model_dump(mode="json"), allow_nan=False)
    (folder / "report.json").write_text(text)
    return folder
