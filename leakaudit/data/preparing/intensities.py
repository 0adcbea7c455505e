"""Intensities as the preparation needs them: background exactly 0, nothing below it.

Scans come z-scored, scaled to [-1, 1], with an offset or with wrapped integers. Cut off at 0, half
of a z-scored brain would be black, and every figure about another image. What can be undone is
undone here, and what could change a figure is said.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from leakaudit.data.findings import Finding
from leakaudit.errors import DataError

CLIPPED_AT_MOST: Final = 0.01
"""Share of a brain's voxels below the background that may be cut off without a grave caution."""

# Over the edges of the box around a scan: of a stripped one nearly all are background.
_CONSTANT: Final = 0.5
_STRIPPED: Final = 0.9
# From this share of negative voxels on a brain is centred on its background, as by a z-score.
_CENTRED: Final = 0.1
# In brats_slabs the 0.1th percentile of a brain lies at up to 0.32 of its 99.5th: far beyond this
# the background is not where the scale begins.
_GAP: Final = 0.55
# Traces of arithmetic around a brain: a twentieth of `BRAIN_THRESHOLD`.
_TRACE: Final = 0.001
_Z_SCORE: Final = 0.1  # how far mean and standard deviation may be from 0 and 1
_OUTLIER: Final = 0.5
# So much of a brain at its least value, and more than in the next hundredth of its range, was cut
# off there, and where the scale began is lost. Rounding alone puts up to 0.3 % there in brats_slabs
# (0.5 % with as much above it); scans are cut off at 0.5 % or more.
_CUT_OFF: Final = 0.004
_SPIKE: Final = 1.5
# A centred brain's least becomes this share of its 99.5th percentile: `BRAIN_THRESHOLD`.
_LEAST: Final = 0.02
# Neighbours that differ by this share of an integer's range have wrapped around.
_JUMP: Final = 0.75
_FEWEST_JUMPS: Final = 4
_UNSIGNED_JUMPS: Final = 0.002
_FEWEST_VALUES: Final = 8


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Rescaled:
    """One modality of one patient, its scale beginning at the background.

    Args:
        values: as stored or floats, background 0, none negative.
        clipped: share of the brain's voxels that lay below the background and are 0 now.
        findings: what was done, and what is uncertain.
    """

    values: NDArray[Any]
    clipped: float = 0.0
    findings: tuple[Finding, ...] = ()


def rescale(values: NDArray[Any]) -> Rescaled:
    """Bring a scan's background to 0 and everything else above it.

    A scan with background 0 and nothing negative is returned as it is.

    Args:
        values: a whole volume ``(x, y, z)`` as stored; finite.

    Raises:
        DataError: one value everywhere or throughout the brain, or integers that wrapped around
            and cannot be told apart.
    """
    low, high = values.min(), values.max()
    if low == high:
        if low == 0:
            return Rescaled(values=values)  # the preparation says so with the crop in view
        raise DataError(f"holds one value everywhere, {low:g}, and so no image")
    background, share = _background(values)
    findings: list[Finding] = []
    if share < _STRIPPED and (even := _without_traces(values)) is not None:
        values = even
        background, share = _background(values)
        findings.append(_TRACES)
    if share < _STRIPPED:
        findings.append(
            Finding(
                kind="not-stripped",
                grave=True,
                words="Around the brain there is no even background (noise, air or a skull): "
                "figures inside the brain are about the whole image. Strip the skull and set what "
                "lies outside to 0.",
            )
        )
    if share < _CONSTANT:
        if low < 0:
            findings.append(_shifted_without_background())
            values = values.astype(np.float64) - float(low)
        return Rescaled(values=values, findings=tuple(findings))
    values, unwrapped = _unwrapped(values, background)
    findings += unwrapped
    inside = values[values != background]
    _require_an_image(inside, findings)
    below = float((inside < background).mean())
    if below >= _CENTRED:
        return _centred(values, background, findings)
    if background != 0 and _is_centred(inside) and not _is_minus_one_to_one(values, background):
        findings.append(_Z_SCORED_ON_A_CONSTANT)
    start, top = np.percentile(inside, [0.1, 99.5]) - background
    if start > _GAP * top:
        findings.append(
            Finding(
                kind="background-gap",
                grave=True,
                words="The brain's darkest voxels lie far above the background: the scale does not "
                "begin there, and contrast is lower than in scans as they come. Figures are about "
                "this contrast.",
            )
        )
    if background != 0:
        sign = "below 0, and so were other voxels" if background < 0 else "above 0"
        findings.append(
            Finding(
                kind="offset",
                grave=False,
                words=f"The background was {sign}: it was even, and was subtracted.",
            )
        )
        values = values.astype(np.float64) - background
    if below:
        grave = below > CLIPPED_AT_MOST
        findings.append(
            Finding(
                kind="clipped",
                grave=grave,
                words=f"{'More than' if grave else 'Up to'} {CLIPPED_AT_MOST:.0%} of the brain's "
                "voxels lay below the background and were set to 0.",
            )
        )
        values = np.maximum(values, 0)
    return Rescaled(values=values, clipped=below, findings=tuple(findings))


_TRACES: Final = Finding(
    kind="traces",
    grave=False,
    words=f"Around the brain were traces (less than {_TRACE:.1%} of its brightness), as "
    "registering or resampling leaves them: they were set to the background.",
)
_Z_SCORED_ON_A_CONSTANT: Final = Finding(
    kind="z-scored",
    grave=True,
    words="Values are negative: the brain is centred on 0, as after a z-score, and its background "
    "is a constant, which was taken for the zero of the scale. Nothing confirms that, and SSIM "
    "depends on it. Audit the scans as they were before.",
)


_CENTRED_AND_CERTAIN: Final = Finding(
    kind="z-scored",
    grave=False,
    words="Values are negative: the scans are z-scored on a background of 0. The brain's least "
    "value was taken for the zero of the scale, which keeps SSIM where nothing was cut off before.",
)
_CENTRED_AND_UNCERTAIN: Final = Finding(
    kind="z-scored",
    grave=True,
    words="Values are negative, or below the background: it lies amid the brain's values, but they "
    "are not a plain z-score or were cut off at their lower end. Where their scale began is lost, "
    "and SSIM depends on it. Audit the scans as they were before.",
)


def _is_centred(inside: NDArray[Any]) -> bool:
    """Whether a brain's values lie around 0, as its own statistics put them.

    Whole numbers do so by chance, such as scans stored from -1024 on.
    """
    some = inside[:: max(1, len(inside) // 1000)]
    if (some == np.rint(some)).all():
        return False
    spread = inside.std(dtype=np.float64)
    return bool(min(abs(inside.mean(dtype=np.float64)), abs(np.median(inside))) < _Z_SCORE * spread)


def _is_minus_one_to_one(values: NDArray[Any], background: float) -> bool:
    """Whether the whole image was scaled to [-1, 1], which keeps the background at its zero."""
    return bool(np.allclose([background, values.min(), values.max()], [-1, -1, 1], atol=1e-3))


def _is_cut_off(inside: NDArray[np.float64], top: float) -> bool:
    """Whether the lower tail of a brain's values was set to one value."""
    least = inside.min()
    next_to_it = ((inside > least) & (inside <= least + 0.01 * (top - least))).mean()
    return bool((inside == least).mean() > max(_CUT_OFF, _SPIKE * next_to_it))


def _is_z_scored(inside: NDArray[Any]) -> bool:
    """Whether a brain has mean 0 and standard deviation 1."""
    mean, spread = inside.mean(dtype=np.float64), inside.std(dtype=np.float64)
    return bool(abs(mean) < _Z_SCORE and abs(spread - 1) < _Z_SCORE)


def _background(values: NDArray[Any]) -> tuple[float, float]:
    """The commonest value along the edges of the volume's box, and its share there."""
    edges = _edges(values)
    found, counts = np.unique(edges, return_counts=True)
    return float(found[counts.argmax()]), float(counts.max() / len(edges))


def _edges(values: NDArray[Any]) -> NDArray[Any]:
    """The voxels along the twelve edges of the volume's box."""
    return np.concatenate(
        [
            np.moveaxis(values, axis, 0)[:, one, other].ravel()
            for axis in range(3)
            for one, other in itertools.product((0, -1), repeat=2)
        ]
    )


def _without_traces(values: NDArray[Any]) -> NDArray[Any] | None:
    """Make a background even if only traces disturb it; None if more does."""
    if values.dtype.kind != "f":
        return None
    edges = _edges(values)
    background = np.median(edges)
    trace = _TRACE * (np.percentile(values, 99.5) - background)
    if trace <= 0 or (np.abs(edges - background) <= trace).mean() < _STRIPPED:
        return None
    even = 0.0 if abs(background) <= trace else background
    return np.where(np.abs(values - background) <= trace, even, values)


def _shifted_without_background() -> Finding:
    return Finding(
        kind="intensities",
        grave=True,
        words="Values are negative and no background is even: the least value was taken for the "
        "zero of the scale, which nothing confirms.",
    )


def _require_an_image(inside: NDArray[Any], findings: list[Finding]) -> None:
    """Refuse a brain of one value; say if it has hardly more.

    Raises:
        DataError: one value.
    """
    if not len(inside):
        return
    some = np.unique(inside[:: max(1, len(inside) // 20_000)])
    if len(some) == 1 and inside.min() == inside.max():
        raise DataError(
            f"holds one value throughout, {some[0]:g}: a mask, not an image; name the image's file"
        )
    if len(some) < _FEWEST_VALUES:
        findings.append(
            Finding(
                kind="few-values",
                grave=True,
                words=f"An image holds fewer than {_FEWEST_VALUES} different values: a mask or a "
                "rounded image, which is rebuilt more easily than a scan.",
            )
        )


def _centred(values: NDArray[Any], background: float, findings: list[Finding]) -> Rescaled:
    """A z-scored brain on its background: the brain's least value becomes just brain."""
    # Voxels of the brain that happen to equal the background are surrounded by others.
    brain = ndimage.binary_fill_holes(values != background)
    inside = values[brain].astype(np.float64)
    least, start, top = np.percentile(inside, [0, 0.1, 99.5])
    if start - least > _OUTLIER * (top - start):
        least = start
    zero = least - (top - least) * _LEAST / (1 - _LEAST)
    clipped = float((inside < zero).mean())
    moved = np.zeros(values.shape)
    moved[brain] = np.maximum(inside - zero, 0)
    is_certain = _is_z_scored(inside) and not _is_cut_off(inside, float(top))
    findings.append(_CENTRED_AND_CERTAIN if is_certain else _CENTRED_AND_UNCERTAIN)
    return Rescaled(values=moved, clipped=clipped, findings=tuple(findings))


def _unwrapped(values: NDArray[Any], background: float) -> tuple[NDArray[Any], list[Finding]]:
    """Integers that ran over their range, put back where that is certain.

    Raises:
        DataError: they ran over it more than once, or cannot be told from others.
    """
    span = _integer_span(values)
    if span is None:
        return values, []
    jumps, pairs = _jumps(values, background, span)
    is_signed = values.min() < 0
    if jumps < (_FEWEST_JUMPS if is_signed else max(_FEWEST_JUMPS, _UNSIGNED_JUMPS * pairs)):
        return values, []
    if is_signed and background >= 0:
        whole = values.astype(np.float64)
        whole[whole < 0] += span
        if _jumps(whole, background, span)[0] < 0.05 * jumps:
            words = (
                f"Values above {span // 2 - 1} had been stored as negative ones (integers that ran "
                "over their range); they were put back."
            )
            return whole, [Finding(kind="wrapped", grave=False, words=words)]
    raise DataError(
        f"integers ran over their range of {span} values (dark voxels lie next to bright ones "
        "all over the brain); write the scan again with a larger type"
    )


def _integer_span(values: NDArray[Any]) -> int | None:
    """Number of values of the integer type that these would fill; None if of none."""
    low, high = float(values.min()), float(values.max())
    if values.dtype.kind == "f" and (values[::3, ::3] != np.rint(values[::3, ::3])).any():
        return None
    for span in (2**8, 2**16):
        if -span / 2 <= low < 0 and span * 0.4 <= high < span / 2 and low < -span * 0.1:
            return span
        if low >= 0 and span * 0.95 <= high < span:
            return span
    return None


def _jumps(values: NDArray[Any], background: float, span: int) -> tuple[int, int]:
    """Neighbouring voxels of the brain that differ by most of the span, and all neighbours."""
    jumps = pairs = 0
    for axis in range(3):
        one = np.moveaxis(values, axis, 0)
        first, second = one[:-1].astype(np.float32), one[1:].astype(np.float32)
        both = (first != background) & (second != background)
        jumps += int((np.abs(first - second)[both] > _JUMP * span).sum())
        pairs += int(both.sum())
    return jumps, pairs
