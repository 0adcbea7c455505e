"""cells.csv: one row a cell, for a spreadsheet or a data frame."""

from __future__ import annotations

import csv
import io

from leakaudit.records import CellRecord, ReportRecord, TargetRecord
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

    A missing value is an empty field, never 0. Figures stand in full precision. Text that a
    spreadsheet would run as a formula starts with an apostrophe; numbers are left alone.
    """
    targets = {target.target: target for target in record.targets}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")  # RFC 4180; quotes stray CR and LF
    writer.writerow(COLUMNS)
    for cell in record.cells:
        row = _row(cell, targets.get(cell.target))
        writer.writerow([_field(row[column]) for column in COLUMNS])
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
        "defense": cell.defense,
        "attack": cell.attack,
        "threat": cell.threat,
        "victims": cell.victims,
        "releases": cell.releases,
        "seed": cell.seed,
        "state": cell.state.value,
        "reason": cell.reason,
        "n_victims": leakage.ssim_brain.n if leakage else None,
        "ssim_brain": leakage.ssim_brain.mean if leakage else None,
        "ssim_brain_low": leakage.ssim_brain.low if leakage else None,
        "ssim_brain_high": leakage.ssim_brain.high if leakage else None,
        "blind_floor": leakage.blind_floor if leakage else None,
        "advantage": figures.advantage.mean if (figures := leakage or masks) else None,
        "reid_top1": leakage.reidentification.top1 if leakage else None,
        "dice_mean": utility.mean.mean if utility else None,
        "noise_to_signal": target.noise_to_signal if target else None,
        "seconds": seconds if isinstance(seconds, int | float) else None,
        "control_only": "true" if cell.control_only else "false",
        "ssim_tumour": leakage.ssim_tumour.mean if leakage and leakage.ssim_tumour else None,
        "ncc": leakage.ncc.mean if leakage else None,
        "site": cell.site,
        "recovers": cell.recovers,
        "mask_dice": masks.dice.mean if masks else None,
        "mask_floor": masks.blind_floor if masks else None,
        "gradient_batch": cell.gradient_batch,
        "gradient_checkpoints": " ".join(map(str, cell.gradient_checkpoints)),
        "round_steps": cell.round_steps,
        "bottleneck": cell.bottleneck,
        "tensor": cell.tensor.words if cell.tensor else "",
        "matched_top1": who.top1 if who else None,
        "matched_low": who.low if who else None,
        "matched_high": who.high if who else None,
        "matched_chance": who.chance if who else None,
        "queries": cell.cost.queries if cell.cost else None,
        "disguise": cell.disguise,
    }


def _field(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    return repr(value)
