"""Every figure of an attack, declared once.

In: a `Metric` in `METRICS`. Out: what scoring stores, and what cells.csv, the tables, the page, the
comparison and the policy walk. A new metric is one entry here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from leakaudit.records import (
    CellRecord,
    Interval,
    Leakage,
    MaskLeakage,
    Matching,
    PatientScore,
    Reidentification,
    State,
)
from leakaudit.records.advantage import advantage
from leakaudit.records.metric import IMAGES, Metric, Named, leakage_of

if TYPE_CHECKING:
    from leakaudit.measure.arrays import Brains, Images

# No SSIM and no Dice goes beyond 1 except by rounding; what does was not written by an audit.
_MOST = 2.0


@final
@dataclass(frozen=True)
class Recovered:
    """The arrays that an image metric compares.

    Args:
        images: what the attack recovered, ``(victims, modalities, *spatial)`` in [0, 1].
        truth: the originals, of the same shape.
        brain: where the brain is, ``(victims, *spatial)``.
        tumour: where the tumour is, likewise; it may be empty.
    """

    images: Images
    truth: Images
    brain: Brains
    tumour: Brains


def _masks(cell: CellRecord) -> MaskLeakage | None:
    return cell.mask_leakage if cell.state is State.OK else None


def _matching(cell: CellRecord) -> Matching | None:
    return cell.matching if cell.state is State.OK else None


def _singled_out(cell: CellRecord) -> Reidentification | None:
    """A site knows whose images it holds: singling out is asked of nobody else's."""
    found = leakage_of(cell)
    return found.reidentification if found is not None and cell.recovers == "images" else None


def _none(cell: CellRecord) -> None:
    """A share of patients, of whom none has a figure."""


def _interval_of(share: Reidentification | None) -> Interval | None:
    if share is None:
        return None
    ends = {"low": share.low, "high": share.high}
    return Interval(mean=share.top1, **ends, n=share.n, method="clopper-pearson")


def _scores(cell: CellRecord, measure: str) -> Named | None:
    """Score of each patient of a cell that is told by this measure."""
    found = cell.figures if cell.state is State.OK else None
    if found is None or found.measure != measure:
        return None
    scores, _ = found.by_patient()
    return list(zip((one.patient for one in found.patients), scores, strict=True))


def _advantages(cell: CellRecord) -> Named | None:
    """Each patient's own advantage; whom the guess gets wholly right has none."""
    found = leakage_of(cell) or _masks(cell)
    if found is None:
        return None
    names = [one.patient for one in found.patients]
    return [
        (name, value)
        for name, score, floor in zip(names, *found.by_patient(), strict=True)
        if (value := advantage(score, floor)) is not None
    ]


def _advantage_parts(cell: CellRecord) -> Named | None:
    """Return each patient's part of the advantage, which is the mean of these parts.

    Not each patient's own: the mean of those is another number than the two that are compared.
    None if some part cannot be told, as of a score that is out of range.
    """
    found = leakage_of(cell) or _masks(cell)
    if found is None:
        return None
    scores, floors = found.by_patient()
    if any(abs(value) > _MOST for value in (*scores, *floors)):
        return None
    mean = math.fsum(floors) / len(floors) if floors else 0.0
    names = [one.patient for one in found.patients]
    parts = [
        (name, advantage(score, floor, mean_floor=mean))
        for name, score, floor in zip(names, scores, floors, strict=True)
    ]
    told = [(patient, part) for patient, part in parts if part is not None]
    return told if len(told) == len(parts) else None


def _fidelity(name: str, *wanted: str) -> Callable[[Recovered], Sequence[float | None]]:
    """A function of `leakaudit.measure.fidelity`, loaded at its first use: scikit-image is slow."""

    def scored(recovered: Recovered) -> Sequence[float | None]:
        from leakaudit.measure import fidelity

        given = [getattr(recovered, one) for one in ("images", "truth", *wanted)]
        return list(getattr(fidelity, name)(*given))

    return scored


METRICS: tuple[Metric, ...] = (
    Metric(
        name="ssim_brain",
        words="SSIM inside the brain",
        head="SSIM inside the brain",
        scored=_fidelity("ssim_brain", "brain"),
        meaning="How alike reconstruction and original look (structural similarity), averaged over "
        "the brain, then modalities, slices and patients. 1 is identical. Over the whole image "
        "even an all-black guess scores high, so the whole-image figure stands in the details "
        "only, beside the same inside the tumour.",
        limit="ssim",
        columns=("ssim_brain", "ssim_brain_low", "ssim_brain_high"),
        short="SSIM",
    ),
    Metric(
        name="mask_dice",
        words="Dice of recovered masks",
        head="Dice of the mask",
        low=0.0,
        recovers=("masks",),
        over=lambda cell: found.dice if (found := _masks(cell)) else None,
        each=lambda cell: _scores(cell, "mask_dice"),
        limit="mask_dice",
        columns=("mask_dice",),
        short="mask Dice",
    ),
    Metric(
        name="advantage",
        words="advantage over a blind guess",
        head="Advantage",
        meaning="How far an attack gets from the blind floor to the original: (SSIM \N{MINUS SIGN} "
        "blind floor) / (1 \N{MINUS SIGN} blind floor). 0 knows nothing, 1 is the original; below "
        "0 is worse than guessing.",
        low=-math.inf,
        recovers=(*IMAGES, "masks"),
        over=lambda cell: found.advantage if (found := leakage_of(cell) or _masks(cell)) else None,
        each=_advantages,
        parts=_advantage_parts,
        limit="advantage",
        columns=("advantage",),
        short="advantage",
    ),
    Metric(
        name="reidentification",
        words="share of patients picked out",
        head="Picked out",
        meaning="Re-identification: how often the reconstruction is most similar to its own "
        "patient among all patients but the auxiliary ones. The interval is Clopper-Pearson's.",
        low=0.0,
        recovers=("images",),
        over=lambda cell: _interval_of(_singled_out(cell)),
        each=_none,
        share=_singled_out,
        limit="reidentification",
    ),
    Metric(
        name="matched",
        words="share of patients matched by what was released",
        head="Matched",
        meaning="How often an adversary who holds images of candidates, the victims among them, "
        "names the right one by what was released alone. No picture is rebuilt. Chance is one over "
        "the number of candidates; a tie counts in part; the interval is Clopper-Pearson's.",
        low=0.0,
        recovers=("identities",),
        over=lambda cell: found.score if (found := _matching(cell)) else None,
        each=lambda cell: _scores(cell, "matched"),
        share=_matching,
        limit="matched",
        columns=("matched_top1", "matched_low", "matched_high"),
        short="share matched",
    ),
    Metric(
        name="ssim_tumour",
        words="SSIM inside the tumour",
        head="SSIM tumour",
        scored=_fidelity("ssim_region", "tumour"),
        columns=("ssim_tumour",),
    ),
    Metric(
        name="ssim_image",
        words="SSIM over the whole image",
        head="SSIM whole image",
        scored=_fidelity("ssim_image"),
    ),
    Metric(
        name="psnr",
        words="peak signal-to-noise ratio over the whole image",
        head="PSNR",
        unit="dB",
        low=-math.inf,
        high=math.inf,
        digits=1,
        missing="infinite",
        complete=True,
        scored=_fidelity("psnr"),
    ),
    Metric(
        name="mae",
        words="mean absolute error inside the brain",
        head="MAE",
        meaning="Mean absolute error inside the brain, 0 is identical.",
        low=0.0,
        more_leaks=False,
        digits=3,
        missing="not recorded",
        scored=_fidelity("mae", "brain"),
    ),
    Metric(
        name="ncc",
        words="normalized cross-correlation inside the brain",
        head="NCC",
        meaning="Normalized cross-correlation inside the brain, 1 is identical except for "
        "brightness and contrast.",
        scored=_fidelity("ncc", "brain"),
        columns=("ncc",),
    ),
    # Every segmenter of an audit has learned of its training patients.
    Metric(
        name="tumour_dice",
        words="tumour Dice on reconstructions",
        head="Tumour Dice",
        meaning="Dice of the whole tumour that a segmenter finds in the reconstructions: what they "
        "would tell a clinician. The segmenter is the undefended network at the shallowest audited "
        "cut, which never saw these patients; for patients it was trained on there is no such "
        "figure.",
        low=0.0,
        recovers=("images",),
        victims=("inference",),
        limit="clinical_harm",
        absent="no tumour was looked for in reconstructions",
    ),
)

# What a policy may limit of a setting as a whole, in words.
OF_SETTINGS: Mapping[str, str] = {
    "epsilon": "epsilon of the guarantee on what is released",
    "dice_loss": "loss of mean Dice to the undefended network of the same cut",
}


def placed(record: type[Leakage] | type[PatientScore], found: Mapping[str, Any]) -> dict[str, Any]:
    """Figures by the fields of a record; what has no field of its own is among the further ones.

    Args:
        record: that holds the figures.
        found: by the names of their metrics. A field without a figure is None.
    """
    fields = record.model_fields.keys()
    named = {one.name: found.get(one.name) for one in METRICS if one.scored and one.name in fields}
    return {**named, "further": {name: one for name, one in found.items() if name not in fields}}


def limited(measure: str) -> Metric | None:
    """The metric that a policy limits by this name; None if there is none."""
    return next((one for one in METRICS if measure and one.limit == measure), None)


def limits() -> dict[str, str]:
    """Return the limits that a policy may set, by name, in words."""
    return {one.limit: one.words for one in METRICS if one.limit} | dict(OF_SETTINGS)
