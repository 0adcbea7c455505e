"""One patient's files to prepared arrays: read, rescaled, laid on each other, upright, cropped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from leakaudit.data.cohort import BRAIN_THRESHOLD, area_mean, centre_crop, normalise, thin_masks
from leakaudit.data.findings import Finding
from leakaudit.data.layouts.sources import Source
from leakaudit.data.naming.labels import to_classes
from leakaudit.data.nifti_files.file import Volume, read_volume
from leakaudit.data.nifti_files.geometry import (
    UPRIGHT,
    Grid,
    Settled,
    binned,
    explained,
    settle,
    turned,
)
from leakaudit.data.preparing.intensities import rescale
from leakaudit.data.preparing.likeness import Signature, signature
from leakaudit.data.preparing.outlines import check_outlines
from leakaudit.data.preparing.plausible import check_copies, check_mask
from leakaudit.data.preparing.skulls import check_skull
from leakaudit.data.preparing.survey import channel_of
from leakaudit.errors import DataError

_DARK: Final = 0.5  # share of a scan that may fall below the brain's threshold
_TILTED: Final = 15.0  # degrees
_CROPPED, _BADLY_CROPPED = 0.01, 0.1  # shares of what a scan shows that the crop leaves out
DISTORTED: Final = 0.02
"""Relative difference of voxel sizes from which on it is said."""

BADLY_DISTORTED: Final = 0.1
"""Relative difference of voxel sizes from which on it could change a verdict."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """One patient, all slices.

    Args:
        patient: identifier.
        images: float32 ``(slices, m, y, x)`` in [0, 1].
        masks: int8 ``(slices, y, x)`` in our classes.
        cut_off: largest share of a modality's nonzero voxels that the crop leaves out.
        clipped: per modality, the share of the brain's voxels that rescaling set to 0.
        spacing: extents of a voxel along x, y and z in millimetres, before the area mean.
        is_oriented: whether a header says which way the patient lies.
        signature: what the patient is recognised by under another name.
        findings: what is uncertain.
    """

    patient: str
    images: NDArray[np.float32]
    masks: NDArray[np.int8]
    cut_off: float
    clipped: tuple[float, ...]
    spacing: tuple[float, float, float]
    is_oriented: bool
    signature: Signature
    findings: tuple[Finding, ...]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class _Scan:
    """One modality as stored, its background 0."""

    modality: str
    file: str
    values: NDArray[Any]
    grid: Grid


def prepare_patient(
    source: Source, wanted: Sequence[str], crop: int, factor: int, classes: Mapping[int, int]
) -> Prepared:
    """Read and prepare all slices of one patient.

    Args:
        source: where the files are.
        wanted: modalities in channel order.
        crop: extent of the centre crop in voxels.
        factor: edge of a block of the area mean in voxels.
        classes: our class of each value of the mask.

    Raises:
        DataError: a file that is missing, bad, holds no image or lies elsewhere than the others.
    """
    findings: list[Finding] = []
    scans, clipped = _read_scans(source, wanted, findings)
    reference = _commonest(scans)
    channels = _on_each_other(source, scans, reference, findings)
    masks = _read_mask(source, classes, channels, reference, findings)
    if reference.is_known:
        masks, upright = turned(masks, reference, UPRIGHT)
        channels = [turned(values, reference, UPRIGHT)[0] for values in channels]
    else:
        upright = reference
        findings.append(_NOT_AXIAL if _seems_not_axial(reference) else _NOT_ORIENTED)
    findings += _of_the_voxels(upright)
    images, cut_off = [], 0.0
    for scan, values in zip(scans, channels, strict=True):
        where = {"patient": source.patient, "file": scan.file}
        cropped = centre_crop(values.T, crop)
        try:
            prepared = normalise(area_mean(cropped, factor))
        except DataError as error:
            raise DataError(f"{scan.modality}: {error}", **where) from None
        if not prepared.any():
            raise DataError(f"{scan.modality} is zero everywhere in the cropped volume", **where)
        if (prepared[prepared > 0] <= BRAIN_THRESHOLD).mean() > _DARK:
            findings.append(_TOO_DARK)
        images.append(prepared)
        cut_off = max(cut_off, 1 - np.count_nonzero(cropped) / np.count_nonzero(values))
    if cut_off > _CROPPED:
        findings.append(_MUCH_CROPPED if cut_off > _BADLY_CROPPED else _SOME_CROPPED)
    findings += check_outlines(images, wanted)
    thinned = thin_masks(centre_crop(masks.T, crop), factor)
    stacked = np.stack(images, axis=1)
    findings += [*check_copies(images, wanted), *check_mask(thinned, stacked)]
    if not any(one.kind == "not-stripped" for one in findings):
        findings += check_skull(stacked)
    return Prepared(
        patient=source.patient,
        images=stacked,
        masks=np.ascontiguousarray(thinned, dtype=np.int8),
        cut_off=cut_off,
        clipped=clipped,
        spacing=upright.spacing,
        is_oriented=reference.is_known,
        signature=signature(stacked),
        findings=tuple(dict.fromkeys(findings)),
    )


_NOT_ORIENTED: Final = Finding(
    kind="no-orientation",
    grave=False,
    words="The headers do not say which way the patients lie (an identity, or none); their voxels "
    "were taken as stored, the third axis as the slices.",
)
_NOT_AXIAL: Final = Finding(
    kind="no-orientation",
    grave=True,
    words="The headers do not say which way the patients lie, and the slices do not seem to lie "
    "along the third axis: it is as long as one of the others, which differ, as in arrays whose "
    "axes were exchanged. Write the files with their slices last, or with an orientation.",
)
_SOME_CROPPED: Final = Finding(
    kind="cropped",
    grave=False,
    words="The centre crop leaves out more than 1 % of what a scan shows: that is not audited. A "
    "larger data.crop keeps it.",
)
_MUCH_CROPPED: Final = Finding(
    kind="cropped",
    grave=True,
    words="The centre crop leaves out more than 10 % of what a scan shows: that is not audited. A "
    "larger data.crop keeps it.",
)
_TOO_DARK: Final = Finding(
    kind="dark",
    grave=True,
    words="A few voxels are so bright that most of the brain falls below 2 % of them and does not "
    "count as brain. Look for artefacts, and cut off their intensities.",
)


def _seems_not_axial(grid: Grid) -> bool:
    """Whether another pair of axes than the first two is square."""
    x, y, z = grid.shape
    return x != y and z in (x, y)


def _read_scans(
    source: Source, wanted: Sequence[str], findings: list[Finding]
) -> tuple[list[_Scan], tuple[float, ...]]:
    """The wanted modalities with their backgrounds at 0, and what was clipped of each."""
    read: dict[Path, Volume] = {}
    scans, clipped = [], []
    for modality in wanted:
        file, _ = source.modalities[modality]
        where = {"patient": source.patient, "file": str(file)}
        if file not in read:
            read[file] = read_volume(file, patient=source.patient)
        volume = read[file]
        values = volume.channel(channel_of(source, modality, volume.shape))
        try:
            rescaled = rescale(values)
        except DataError as error:
            raise DataError(f"{modality} {error}", **where) from None
        findings += rescaled.findings
        clipped.append(rescaled.clipped)
        scans.append(
            _Scan(
                modality=modality,
                file=str(file),
                values=rescaled.values,
                grid=_grid(volume, findings),
            )
        )
    return scans, tuple(clipped)


def _grid(volume: Volume, findings: list[Finding]) -> Grid:
    """Where a file's voxels lie; a header that says it twice and differently is a finding."""
    where = {"patient": volume.patient, "file": volume.file}
    try:
        grid = Grid.of(volume.shape, volume.affine, is_oriented=volume.is_oriented)
    except DataError as error:
        raise DataError(str(error), **where) from None
    if volume.other_affine is not None and grid.is_known:
        other = Grid(shape=grid.shape, affine=volume.other_affine, is_known=True)
        if grid.distance(other) > 1:
            findings.append(
                Finding(
                    kind="header-contradiction",
                    grave=grid.codes != other.codes,
                    words="A header says twice where its voxels lie, and differently (sform and "
                    "qform); the sform was believed.",
                )
            )
    return grid


def _commonest(scans: Sequence[_Scan]) -> Grid:
    """The grid on which most modalities lie; one that is known before one that is not."""

    def votes(one: Grid) -> tuple[bool, int]:
        agree = [scan.grid.shape == one.shape and scan.grid.distance(one) <= 1 for scan in scans]
        return one.is_known, sum(agree)

    return max((scan.grid for scan in scans), key=votes)


def _on_each_other(
    source: Source, scans: Sequence[_Scan], reference: Grid, findings: list[Finding]
) -> list[NDArray[Any]]:
    """The modalities on one grid, as the headers say unless the voxels deny it."""
    first = next(scan for scan in scans if scan.grid is reference)

    def evidence(values: NDArray[Any]) -> float:
        brain = (first.values != 0) & (values != 0)
        return explained(values[brain], binned(first.values[brain])) if brain.any() else 0.0

    channels = []
    for scan in scans:
        try:
            settled = settle(scan.values, scan.grid, reference, evidence)
        except DataError as error:
            raise DataError(
                f"{scan.modality}: {error}", patient=source.patient, file=scan.file
            ) from None
        findings += _of_the_turning(settled, "A modality")
        channels.append(settled.values)
    return channels


def _read_mask(
    source: Source,
    classes: Mapping[int, int],
    channels: Sequence[NDArray[Any]],
    reference: Grid,
    findings: list[Finding],
) -> NDArray[np.int8]:
    """The mask in our classes on the grid of the modalities."""
    volume = read_volume(source.label, patient=source.patient)
    where = {"patient": source.patient, "file": str(source.label)}
    masks = to_classes(volume.channel(), classes)
    brain = np.any([values != 0 for values in channels], axis=0)

    def evidence(laid: NDArray[Any]) -> float:
        inside = laid[brain]
        return float(np.mean([explained(values[brain], inside) for values in channels]))

    try:
        settled = settle(masks, _grid(volume, findings), reference, evidence)
    except DataError as error:
        raise DataError(f"the label: {error}", **where) from None
    findings += _of_the_turning(settled, "The mask")
    return np.asarray(settled.values, np.int8)


def _of_the_turning(settled: Settled, what: str) -> list[Finding]:
    """Word the finding that a file's header disagrees with the others."""
    if settled.how == "agreed":
        return []
    how = (
        "was turned as its header says"
        if settled.how == "turned"
        else "was left as stored although its header says otherwise"
    )
    why = (
        "the voxels fit so"
        if settled.is_sure
        else "the voxels do not show whether that is right. Look at a picture before trusting this"
    )
    return [
        Finding(
            kind="headers-disagree",
            grave=not settled.is_sure,
            words=f"{what} {how}, which differs from the other files of the patient; {why}.",
        )
    ]


def _of_the_voxels(grid: Grid) -> list[Finding]:
    """Word the finding that voxels are not square in the slice, or that slices are tilted."""
    x, y, _ = grid.spacing
    findings = []
    if (distorted := max(x, y) / min(x, y) - 1) > DISTORTED:
        findings.append(
            Finding(
                kind="voxel-size",
                grave=distorted > BADLY_DISTORTED,
                words=f"Voxels are {x:g} x {y:g} mm in the slice; nothing is resampled, so the "
                "images are distorted. Resample them to square voxels.",
            )
        )
    if grid.is_known and grid.tilt > _TILTED:
        findings.append(
            Finding(
                kind="tilted",
                grave=False,
                words="The slices are tilted against the body's axes; the nearest axes were taken.",
            )
        )
    return findings
