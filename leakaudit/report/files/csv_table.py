"""cells.csv: one row a cell, for a spreadsheet or a data frame."""

from __future__ import annotations

import csv
import io
from collections import Counter

from leakaudit.measure import metrics
from leakaudit.records import CellRecord, Plain, ReportRecord, TargetRecord, written
from leakaudit.report.text.validity import valid_leakage, valid_masks, valid_matching

COLUMNS = (
    "cell",
    "target",
    "cut_level",
    "shared_skips",
    "defense",
    "attack",
    "threat",
    "victims",
    "releases",
    "seed",
    "state",
    "reason",
    "n_victims",
    "ssim_brain",
    "ssim_brain_low",
    "ssim_brain_high",
    "blind_floor",
    "advantage",
    "reid_top1",
    "dice_mean",
    "noise_to_signal",
    "seconds",
    "control_only",
    "ssim_tumour",
    "ncc",
    "site",
    "recovers",
    "mask_dice",
    "mask_floor",
    "gradient_batch",
    "gradient_checkpoints",
    "round_steps",
    "bottleneck",
    "tensor",
    "disguise",
    "matched_top1",
    "matched_low",
    "matched_high",
    "matched_chance",
    "queries",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")

Value = str | int | float | None


def cells_csv(record: ReportRecord) -> str:
    """Every cell, control cells included, as comma-separated text with a header line.

    A column for each parameter stands at the end: ``defense.std``, ``attack.steps``. Of the second
    part of a stack that has a parameter of that name it is ``defense.std.2``.

    A missing value is an empty field, never 0. Figures stand in full precision. Text that a
    spreadsheet would run as a formula starts with an apostrophe; numbers are left alone.
    """
    targets = {target.target: target for target in record.targets}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")  # RFC 4180; quotes stray CR and LF
    rows = [_row(cell, targets.get(cell.target)) | _parameters(cell) for cell in record.cells]
    columns = list(dict.fromkeys((*COLUMNS, *(name for row in rows for name in row))))
    writer.writerow(map(_field, columns))
    writer.writerows([_field(row.get(column)) for column in columns] for row in rows)
    return text.getvalue()


def _row(cell: CellRecord, target: TargetRecord | None) -> dict[str, Value]:
    """The fields of one cell by column; figures of a cell that is not ok stay None."""
    leakage, masks, who = valid_leakage(cell), valid_masks(cell), valid_matching(cell)
    utility = target.utility if target else None
    seconds = cell.volatile.get("seconds")
    return {
        "cell": cell.cell,
        "target": cell.target,
        "cut_level": cell.cut_level,
        "shared_skips": "+".join(str(level) for level in cell.shared_skips),
        "defense": written(cell.defense),
        "attack": str(cell.attack),
        "threat": cell.threat,
        "victims": cell.victims,
        "releases": cell.releases,
        "seed": cell.seed,
        "state": cell.state.value,
        "reason": cell.reason,
        "n_victims": leakage.ssim_brain.n if leakage else None,
        "blind_floor": leakage.blind_floor if leakage else None,
        "reid_top1": leakage.reidentification.top1 if leakage else None,
        "dice_mean": utility.mean.mean if utility else None,
        "noise_to_signal": target.noise_to_signal if target else None,
        "seconds": seconds if isinstance(seconds, int | float) else None,
        "control_only": "true" if cell.control_only else "false",
        "site": cell.site,
        "recovers": cell.recovers,
        "mask_floor": masks.blind_floor if masks else None,
        "gradient_batch": cell.gradient_batch,
        "gradient_checkpoints": " ".join(map(str, cell.gradient_checkpoints)),
        "round_steps": cell.round_steps,
        "bottleneck": cell.bottleneck,
        "tensor": cell.tensor.words if cell.tensor else "",
        "matched_chance": who.chance if who else None,
        "queries": cell.cost.queries if cell.cost else None,
        "disguise": cell.disguise,
        **_measured(cell),
    }


def _measured(cell: CellRecord) -> dict[str, Value]:
    """The mean of each metric and the ends of its interval, by the columns that it declares."""
    found: dict[str, Value] = {}
    for metric in metrics.METRICS:
        mean = metric.figure(cell)
        ends = (mean.mean, mean.low, mean.high) if mean is not None else (None, None, None)
        found |= dict(zip(metric.columns, ends, strict=False))
    return found


def _parameters(cell: CellRecord) -> dict[str, Value]:
    """The parameters of the defense, then of the attack, by column."""
    found: dict[str, Value] = {}
    seen: Counter[str] = Counter()
    parts = [("defense", part) for part in cell.defense] + [("attack", cell.attack)]
    for kind, part in parts:
        for name, value in part.parameters:
            column = f"{kind}.{name}"
            seen[column] += 1
            found[f"{column}.{seen[column]}" if seen[column] > 1 else column] = _told(value)
    return found


def _told(value: Plain) -> Value:
    """Truth as ``true`` or ``false``, lists as ``1 2``."""
    if isinstance(value, bool):
        return str(value).lower()
    return " ".join(map(str, value)) if isinstance(value, tuple) else value


def _field(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    return repr(value)
