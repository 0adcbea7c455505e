"""The header of one NIfTI file that is not trusted.

nibabel parses it; the sizes it announces are checked before anything of that size is allocated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, final

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from leakaudit.errors import DataError

MAX_VOXELS: Final = 2**28
"""Most voxels of one 3D volume that are read."""

MAX_BYTES: Final = 2**31
"""Most bytes of one file's data that are read, uncompressed."""

LENGTHS: Final = {348: nib.Nifti1Header, 540: nib.Nifti2Header}
"""The class of nibabel for each length of a header in bytes."""

_MAX_OFFSET: Final = 2**24  # header extensions before the data; real ones hold kilobytes
_ROUNDED_QUATERNION: Final = 1e-2  # written with three digits, b² + c² + d² is at most so far off


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Header:
    """The header of a file, checked against the limits.

    Args:
        shape: ``(x, y, z)`` or ``(x, y, z, modality)``; axes of extent 1 after z are left out.
        dtype: type of the stored voxels.
        offset: byte at which they begin.
        slope: factor that applies to every voxel.
        intercept: summand that applies after it.
        affine: voxel indices to millimetres, ``(4, 4)``, finite.
        is_oriented: whether the header says that the affine means anything.
        other_affine: the quaternion's where the header has both and the first one counts; else
            None.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int
    slope: float
    intercept: float
    affine: NDArray[np.float64]
    is_oriented: bool = True
    other_affine: NDArray[np.float64] | None = None

    @property
    def data_bytes(self) -> int:
        """Bytes of the voxels, uncompressed."""
        return math.prod(self.shape) * self.dtype.itemsize


def parse_header(block: bytes) -> Header:
    """The header that these bytes are.

    Args:
        block: as many bytes as `LENGTHS` has.

    Raises:
        DataError: it announces what cannot be, or more than the limits.
    """
    # check=False: nibabel would repair some fields and log; the checks here refuse instead.
    fields = LENGTHS[len(block)](binaryblock=block, check=False)
    if bytes(fields["magic"].tobytes())[:3] not in (b"n+1", b"n+2"):
        raise DataError("not a single-file NIfTI (its magic is neither n+1 nor n+2)")
    shape, dtype = _shape(fields), _dtype(fields)
    if math.prod(shape[:3]) > MAX_VOXELS:
        raise DataError(f"volume too large: {shape[:3]} is more than {MAX_VOXELS} voxels")
    slope, intercept = _scaling(fields)
    header = Header(
        shape=shape,
        dtype=dtype,
        offset=_offset(fields),
        slope=slope,
        intercept=intercept,
        affine=_affine(fields),
        is_oriented=bool(fields["sform_code"] > 0 or fields["qform_code"] > 0),
        other_affine=_other_affine(fields),
    )
    if header.data_bytes > MAX_BYTES:
        raise DataError(f"file too large: {shape} {dtype} is more than {MAX_BYTES} bytes")
    return header


def _shape(fields: Any) -> tuple[int, ...]:
    """Extents of x, y, z and, where there are several, of the modalities."""
    dims = [int(extent) for extent in fields["dim"]]
    if not 3 <= dims[0] <= 7:
        raise DataError(f"expected 3 or 4 dimensions, the header announces {dims[0]}")
    shape = tuple(dims[1 : dims[0] + 1])
    if min(shape) < 1:
        raise DataError(f"dimensions must be positive, the header announces {shape}")
    # ITK writes modalities as a vector behind an axis of time: (x, y, z, 1, modality).
    squeezed = (*shape[:3], *(extent for extent in shape[3:] if extent != 1))
    if len(squeezed) > 4:
        raise DataError(f"expected 3 or 4 dimensions, the header announces {shape}")
    return squeezed


def _dtype(fields: Any) -> np.dtype[Any]:
    try:
        dtype: np.dtype[Any] = np.dtype(fields.get_data_dtype())
    except (HeaderDataError, KeyError, TypeError) as error:
        raise DataError(f"unknown data type in the header ({error})") from None
    if dtype.kind not in "iuf":
        raise DataError(f"expected integer or real voxels, the header announces {dtype}")
    return dtype


def _offset(fields: Any) -> int:
    """Byte of the first voxel."""
    offset, smallest = float(fields["vox_offset"]), float(fields["sizeof_hdr"])
    if offset == 0:  # some writers leave it out; the data then follow the four bytes of extensions
        return int(smallest) + 4
    if not smallest <= offset <= _MAX_OFFSET:
        raise DataError(f"the header announces data at byte {offset:g}, which cannot be")
    return int(offset)


def _scaling(fields: Any) -> tuple[float, float]:
    try:
        slope, intercept = fields.get_slope_inter()
    except HeaderDataError as error:
        raise DataError(f"bad intensity scaling in the header ({error})") from None
    return (1.0 if slope is None else float(slope), 0.0 if intercept is None else float(intercept))


def _affine(fields: Any) -> NDArray[np.float64]:
    """Orientation and spacing; one that is not finite was not written by a scanner."""
    try:
        with np.errstate(all="ignore"):
            _mend_rounded_quaternion(fields)
            affine = np.asarray(fields.get_best_affine(), np.float64)
    except (HeaderDataError, ValueError) as error:
        raise DataError(f"bad affine in the header ({error})") from None
    if not np.isfinite(affine).all():
        raise DataError("the affine in the header holds NaN or infinite values")
    return affine


def _other_affine(fields: Any) -> NDArray[np.float64] | None:
    """Return the quaternion's affine beside one that counts; None if it makes no sense."""
    if not (fields["sform_code"] > 0 and fields["qform_code"] > 0):
        return None
    try:
        with np.errstate(all="ignore"):
            affine = np.asarray(fields.get_qform(), np.float64)
    except (HeaderDataError, ValueError):
        return None
    return affine if np.isfinite(affine).all() else None


def _mend_rounded_quaternion(fields: Any) -> None:
    """Scale b, c, d to length 1 where rounding made them longer, which leaves no place for a.

    A quaternion that is further off is left to nibabel, which refuses it.
    """
    names = ("quatern_b", "quatern_c", "quatern_d")
    length = float(np.linalg.norm([float(fields[name]) for name in names]))
    if 1 < length <= 1 + _ROUNDED_QUATERNION / 2:
        for name in names:
            fields[name] = float(fields[name]) / length
