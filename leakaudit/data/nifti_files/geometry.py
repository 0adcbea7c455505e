"""Where voxels lie: which way a file is stored, and whether two files lie on each other.

Headers say it, and headers are often wrong: masks are saved with an identity matrix, origins are
lost by cropping, orientations by conversion. So where two files of a patient disagree, their voxels
are asked which reading explains them better.

Everything is brought to one orientation, LPS: the axes run to the patient's left, back and top, as
BraTS is stored. As ``(slice, y, x)`` a head then stands upright, forehead on top.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, final

import nibabel as nib
import numpy as np
from nibabel import orientations
from nibabel.affines import apply_affine
from numpy.typing import NDArray

from leakaudit.errors import DataError

UPRIGHT: Final = "LPS"
"""The orientation in which arrays are prepared: axes to the left, the back and the top."""

_WITHIN: Final = 0.5  # voxels: two grids lie on each other if no corner is further off
_NEARLY: Final = 2.0  # voxels: so far off nothing is refused
# A reading is clearly the better one from this on. Over the 20 patients of brats_slabs the true
# reading of a mask explained at least 1.2 times as much as any mirrored one, 2.0 in all but one.
_TIMES: Final = 1.5
_MORE: Final = 0.01
_BINS: Final = 8


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """Where the voxels of one file lie.

    Args:
        shape: extents of the three axes as stored.
        affine: voxel indices to millimetres, ``(4, 4)``.
        is_known: whether the header says where they lie. An identity (or a mere scaling) with its
            origin at voxel 0 is what programs write that know nothing of it.
    """

    shape: tuple[int, ...]
    affine: NDArray[np.float64]
    is_known: bool

    @classmethod
    def of(cls, shape: tuple[int, ...], affine: NDArray[np.float64], *, is_oriented: bool) -> Grid:
        """The grid that a header announces.

        Args:
            shape: extents of the voxels; those after the third are left out.
            affine: voxel indices to millimetres.
            is_oriented: whether the header says that the affine means anything.

        Raises:
            DataError: an affine that puts all voxels on a plane, a line or a point.
        """
        directions = affine[:3, :3]
        sizes = np.linalg.norm(directions, axis=0)
        if not sizes.all() or abs(np.linalg.det(directions / sizes)) < 1e-3:
            if is_oriented:
                raise DataError("the affine in the header puts all voxels on a plane")
            affine = np.eye(4)
        is_scaling = bool(
            (np.diag(np.diag(affine)) == affine).all() and (np.diag(affine) > 0).all()
        )
        return cls(shape=shape[:3], affine=affine, is_known=is_oriented and not is_scaling)

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Extents of a voxel along the stored axes, in millimetres."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0).tolist()
        return x, y, z

    @property
    def codes(self) -> str:
        """Where the stored axes run to, such as ``LPS``; the nearest ones if they are oblique."""
        return "".join(nib.aff2axcodes(self.affine))

    @property
    def tilt(self) -> float:
        """Degrees between the stored axes and those of the body, the largest."""
        cosines = np.abs(self.affine[:3, :3]) / np.asarray(self.spacing)
        return float(np.degrees(np.arccos(np.clip(cosines.max(axis=0).min(), 0, 1))))

    def corners(self) -> NDArray[np.float64]:
        """The eight corner voxels in millimetres, ``(8, 3)``."""
        ends = itertools.product(*((0, extent - 1) for extent in self.shape))
        return np.asarray(apply_affine(self.affine, np.array(list(ends))), np.float64)

    def distance(self, other: Grid) -> float:
        """How far two grids of one shape are apart at most, in voxels of this one."""
        apart = np.linalg.norm(self.corners() - other.corners(), axis=1).max()
        return float(apart / min(self.spacing))


def turned(values: NDArray[Any], grid: Grid, codes: str) -> tuple[NDArray[Any], Grid]:
    """Voxels with their axes in another order and direction; no value changes.

    Args:
        values: ``(x, y, z)`` or with further axes.
        grid: where they lie.
        codes: where the axes shall run to, such as ``LPS``.

    Returns:
        The voxels, a view, and where they lie now.
    """
    start = nib.io_orientation(grid.affine)
    turn = orientations.ornt_transform(start, orientations.axcodes2ornt(codes))
    moved = orientations.apply_orientation(values, turn)
    affine = grid.affine @ orientations.inv_ornt_aff(turn, grid.shape)
    return moved, Grid(shape=moved.shape[:3], affine=affine, is_known=grid.is_known)


def explained(values: NDArray[Any], classes: NDArray[Any]) -> float:
    """Share of the variance that lies between classes, 0 to 1 (the correlation ratio, squared).

    Args:
        values: intensities, ``(n,)``.
        classes: small whole numbers from 0, ``(n,)``.
    """
    centred = values.astype(np.float64) - values.mean(dtype=np.float64)
    total = float(centred @ centred)
    if not total:
        return 0.0
    counts = np.bincount(classes)
    sums = np.bincount(classes, weights=centred)
    return float((sums[counts > 0] ** 2 / counts[counts > 0]).sum() / total)


def binned(values: NDArray[Any]) -> NDArray[np.int64]:
    """Intensities as `_BINS` classes of equal size, by which another modality is explained."""
    edges = np.quantile(values, np.linspace(0, 1, _BINS + 1)[1:-1])
    return np.searchsorted(edges, values)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Settled:
    """Voxels brought to another file's grid.

    Args:
        values: the voxels.
        how: ``"agreed"`` where the headers agree as stored; ``"turned"`` by the headers;
            ``"as stored"`` although they disagree.
        is_sure: whether headers agree, or the voxels clearly say the same.
    """

    values: NDArray[Any]
    how: Literal["agreed", "turned", "as stored"]
    is_sure: bool = True


def settle(
    values: NDArray[Any],
    grid: Grid,
    reference: Grid,
    evidence: Callable[[NDArray[Any]], float],
) -> Settled:
    """Bring one file's voxels to another's grid, as the headers say unless the voxels deny it.

    Args:
        values: ``(x, y, z)`` as stored.
        grid: where the header says they lie.
        reference: where they shall lie.
        evidence: how well voxels on the grid of ``reference`` fit the patient, 0 to 1.

    Raises:
        DataError: they lie elsewhere, or nothing says where.
    """
    if grid.is_known and reference.is_known:
        moved, place = turned(values, grid, reference.codes)
        fits = moved.shape == reference.shape
        apart = place.distance(reference) if fits else np.inf
        if apart <= _WITHIN and grid.codes == reference.codes:
            return Settled(values=values, how="agreed")
        readings = {"turned": moved} if fits and grid.codes != reference.codes else {}
        if values.shape == reference.shape:
            readings["as stored"] = values
        if apart > _WITHIN:
            readings["elsewhere"] = _resampled(values, grid, reference)
        by_default = "turned" if apart <= _WITHIN else "elsewhere"
        if by_default == "elsewhere" and apart <= _NEARLY:
            by_default = next(iter(readings))
    else:
        if values.shape != reference.shape:
            raise _no_fit(values.shape, reference.shape)
        readings, by_default = {"as stored": values}, "as stored"
        both = grid.is_known or reference.is_known
        moved, _ = turned(values, grid, reference.codes)
        if both and grid.codes != reference.codes and moved.shape == reference.shape:
            readings["turned"] = moved
        elif not both:
            return Settled(values=values, how="agreed")
    return _best(readings, by_default, evidence, values.shape, reference.shape)


def _best(
    readings: dict[str, NDArray[Any]],
    by_default: str,
    evidence: Callable[[NDArray[Any]], float],
    shape: tuple[int, ...],
    wanted: tuple[int, ...],
) -> Settled:
    """The reading that the voxels fit clearly best; else the default one, which is not sure."""
    if set(readings) == {"elsewhere"}:
        raise _no_fit(shape, wanted)
    scores = {name: evidence(voxels) for name, voxels in readings.items()}
    best, *others = sorted(scores, key=lambda name: scores[name], reverse=True)
    second = max((scores[name] for name in others), default=0.0)
    is_sure = not others or scores[best] >= max(_TIMES * second, second + _MORE)
    chosen = best if is_sure else by_default
    if chosen == "elsewhere":
        raise DataError(
            "by its header it lies elsewhere than the other files of this patient, and its voxels "
            f"{'agree' if is_sure else 'do not show where they belong'}; resample it onto them"
        )
    how: Literal["turned", "as stored"] = "turned" if chosen == "turned" else "as stored"
    return Settled(values=readings[chosen], how=how, is_sure=is_sure)


def _no_fit(shape: tuple[int, ...], wanted: tuple[int, ...]) -> DataError:
    return DataError(
        f"shape {shape[:3]} differs from {wanted} of the patient's other files, and turning it as "
        "the headers say does not help"
    )


def _resampled(values: NDArray[Any], grid: Grid, onto: Grid) -> NDArray[Any]:
    """The nearest voxel at every place of another grid; 0 where there is none."""
    matrix = np.linalg.inv(grid.affine) @ onto.affine
    found = np.zeros(onto.shape, values.dtype)
    x, y = (np.arange(extent) for extent in onto.shape[:2])
    for z in range(onto.shape[2]):  # slice by slice: whole volumes of indices take gigabytes
        places = np.stack(np.broadcast_arrays(x[:, None], y[None, :], z), axis=-1)
        nearest = np.rint(apply_affine(matrix, places)).astype(np.int64)
        inside = ((nearest >= 0) & (nearest < values.shape)).all(axis=-1)
        found[..., z][inside] = values[tuple(nearest[inside].T)]
    return found
