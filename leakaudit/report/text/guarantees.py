"""Words a privacy claim, and the observed effects of a defense."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from leakaudit.records import Effect, Guarantee, ReportRecord, TargetRecord
from leakaudit.report.text.formatting import (
    estimate,
    figure,
    labelled,
    percent,
    significant,
    spoken,
)
from leakaudit.report.text.validity import valid_leakage

_ABOUT = {
    "releases": ("release", "of one patient that nothing was trained on (passes times slices)"),
    "training releases": ("release", "of one training patient (epochs times slices)"),
    "weights": ("training step", "with one training patient: for the trained weights alone"),
    "training": (
        "release",
        "of one training patient (epochs times slices), and the trained weights with them",
    ),
}


@dataclass(frozen=True)
class SeenRow:
    """One part of a defense in one phase, and what it did."""

    part: str
    phase: str
    words: str


def about(guarantee: Guarantee | None) -> str:
    """Say over what (epsilon, delta) is a total; empty without a guarantee."""
    if guarantee is None:
        return ""
    unit, whose = _ABOUT[guarantee.covers]
    plural = "" if guarantee.releases == 1 else "s"
    return f"in total over {figure(guarantee.releases)} {unit}{plural} {whose}"


def worst_words(record: ReportRecord, targets: Collection[str]) -> str:
    """The highest valid similarity that an attack on released activations reached there."""
    found = [
        (leakage.ssim_brain.mean, cell, leakage)
        for cell in record.cells
        if cell.target in targets
        and cell.victims == "inference"
        and cell.recovers == "images"
        and (leakage := valid_leakage(cell)) is not None
    ]
    if not found:
        return ""
    _, cell, leakage = max(found, key=lambda each: each[0])
    return (
        f"{spoken(cell.attack_name)} reached an SSIM inside the brain of "
        f"{estimate(leakage.ssim_brain)}, where one guess for everybody gets "
        f"{figure(leakage.blind_floor)}."
    )


def seen_rows(target: TargetRecord) -> tuple[SeenRow, ...]:
    """Return the effects of each part of a target's defense, a row per phase that has any."""
    rows = ((effect, _did(effect)) for effect in target.effects)
    return tuple(
        SeenRow(part=labelled([effect.defense]), phase=effect.phase, words=words)
        for effect, words in rows
        if words
    )


def _did(effect: Effect) -> str:
    """The figures that differ from doing nothing."""
    said = []
    if effect.bounded_share:
        said.append(f"clipped {percent(effect.bounded_share)} of the slices")
    if effect.noise_std:
        said.append(f"added noise of standard deviation {significant(effect.noise_std)}")
    if effect.change_to_signal:
        times = significant(effect.change_to_signal)
        said.append(f"changed what crosses by {times} times its own size")
    if effect.dropped_share:
        said.append(f"set {percent(effect.dropped_share)} of the values to 0")
    if effect.returned_change:
        times = significant(effect.returned_change)
        said.append(f"changed returned gradients by {times} times their own size")
    if effect.penalty is not None:
        said.append(
            f"added {significant(effect.penalty)} to the loss that a site's encoder learns by"
        )
    if effect.records_clipped is not None:
        said.append(f"clipped {percent(effect.records_clipped)} of the patients' gradients")
    if effect.update_noise_std:
        said.append(
            f"added noise of {significant(effect.update_noise_std)} to each sum of gradients"
        )
    return ", ".join(said)
