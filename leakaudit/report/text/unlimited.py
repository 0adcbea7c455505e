"""What a policy sets no limit on, and the highest that was observed of it where it is judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from leakaudit.records import CellRecord, Interval, ReportRecord, TargetRecord, Verdict
from leakaudit.records.targets import plain_network
from leakaudit.report.text.formatting import figure, patients_words, percent, scientific
from leakaudit.report.text.validity import valid_leakage, valid_masks, valid_matching

Found = TypeVar("Found")
Told = tuple[str, str]  # the figure in words, and of which setting


@dataclass(frozen=True)
class Judged:
    """What of a record a policy judges."""

    targets: tuple[TargetRecord, ...]
    every: tuple[TargetRecord, ...]
    cells: tuple[CellRecord, ...]


def highest(record: ReportRecord, verdict: Verdict, measure: str) -> Told | None:
    """The highest figure of a measure over the judged settings, and its setting's key.

    None where there is no figure.
    """
    keys = {one.target for one in verdict.settings}
    judged = Judged(
        targets=tuple(one for one in record.targets if one.target in keys),
        every=record.targets,
        cells=tuple(c for c in record.cells if c.target in keys and not c.control_only),
    )
    return _MEASURES[measure](judged)


def _ssim(judged: Judged) -> Told | None:
    found = _highest(judged.cells, valid_leakage, lambda one: one.ssim_brain.mean)
    if found is None:
        return None
    figures, key = found
    mine = [f for c in judged.cells if c.target == key and (f := valid_leakage(c))]
    each = [patient.ssim_brain for one in mine for patient in one.patients]
    return _of_patients(figures.ssim_brain.mean, figures.ssim_brain.n, each), key


def _mask_dice(judged: Judged) -> Told | None:
    found = _highest(judged.cells, valid_masks, lambda one: one.dice.mean)
    if found is None:
        return None
    figures, key = found
    mine = [f for c in judged.cells if c.target == key and (f := valid_masks(c))]
    each = [patient.dice for one in mine for patient in one.patients]
    return _of_patients(figures.dice.mean, figures.dice.n, each), key


def _of_patients(mean: float, n: int, each: Sequence[float]) -> str:
    whom = f"{figure(mean)} on average over {patients_words(n)}"
    return f"{whom}, {figure(max(each))} for the worst single one" if each else whom


def _advantage(judged: Judged) -> Told | None:
    found = _highest(judged.cells, _advantage_of, lambda one: one.mean)
    if found is None:
        return None
    advantage, key = found
    return f"{figure(advantage.mean)} on average over {patients_words(advantage.n)}", key


def _advantage_of(cell: CellRecord) -> Interval | None:
    leakage, masks = valid_leakage(cell), valid_masks(cell)
    return leakage.advantage if leakage else masks.advantage if masks else None


def _singled_out(judged: Judged) -> Told | None:
    images = [cell for cell in judged.cells if cell.recovers == "images"]
    found = _highest(images, valid_leakage, lambda one: one.reidentification.top1)
    if found is None:
        return None
    share = found[0].reidentification
    return f"{percent(share.top1)} of {patients_words(share.n)}", found[1]


def _matched(judged: Judged) -> Told | None:
    found = _highest(judged.cells, valid_matching, lambda one: one.top1)
    if found is None:
        return None
    share, key = found
    return f"{percent(share.top1)} of {patients_words(share.n)}", key


def _harm(judged: Judged) -> Told | None:
    cells = [c for c in judged.cells if c.recovers == "images" and c.victims == "inference"]
    found = _highest(
        cells,
        lambda cell: one.harm if (one := valid_leakage(cell)) else None,
        lambda harm: harm.reconstruction.mean,
    )
    if found is None:
        return None
    harm, key = found
    return (
        f"the tumour is still found with a Dice of {figure(harm.reconstruction.mean)}, where the "
        f"originals give {figure(harm.original)}",
        key,
    )


def _epsilon(judged: Judged) -> Told | None:
    claims = [
        (one.guarantee.epsilon, one)
        for one in judged.targets
        if one.guarantee is not None
        and one.guarantee.claimed
        and one.guarantee.covers == "releases"
        and one.guarantee.epsilon is not None
    ]
    if not claims:
        return None
    epsilon, target = max(claims, key=lambda one: one[0])
    return f"{scientific(epsilon)} is claimed", target.target


def _dice_loss(judged: Judged) -> Told | None:
    losses = [
        (base.utility.mean.mean, one.utility.mean.mean, one, base)
        for one in judged.targets
        if one.utility is not None
        and (base := plain_network(one, judged.every)) is not None
        and base.target != one.target
        and base.utility is not None
    ]
    if not losses:
        return None
    before, after, target, base = max(losses, key=lambda one: one[0] - one[1])
    words = f"a mean Dice of {figure(after)}, where the undefended network reaches {figure(before)}"
    if not (target.is_shown_useful and base.is_shown_useful):
        words += "; one of the two may be worth no more than an untrained network"
    return words, target.target


def _highest(
    cells: Sequence[CellRecord],
    figures: Callable[[CellRecord], Found | None],
    value: Callable[[Found], float],
) -> tuple[Found, str] | None:
    found = [(one, cell.target) for cell in cells if (one := figures(cell)) is not None]
    return max(found, key=lambda one: value(one[0]), default=None)


_MEASURES: dict[str, Callable[[Judged], Told | None]] = {
    "ssim": _ssim,
    "mask_dice": _mask_dice,
    "advantage": _advantage,
    "reidentification": _singled_out,
    "matched": _matched,
    "clinical_harm": _harm,
    "epsilon": _epsilon,
    "dice_loss": _dice_loss,
}
