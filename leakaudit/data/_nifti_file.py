"""Reading one NIfTI file that is not trusted.

nibabel parses the header; the sizes it announces are checked before anything of that size is
allocated, and of the compressed stream no more is read than the header announces.
"""

from __future__ import annotations

import gzip
import math
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedIOBase, BytesIO
from pathlib import Path
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

_MAX_OFFSET: Final = 2**24  # header extensions before the data; real ones hold kilobytes
_DEFLATE_RATIO: Final = 1040  # deflate can not expand a byte to more than this
_CHUNK: Final = 2**22


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Volume:
    """The voxels of one file as stored.

    Args:
        raw: ``(x, y, z)`` or ``(x, y, z, modality)``, unscaled, in the file's own type.
        slope: factor that the header applies to every voxel.
        intercept: summand that the header applies after it.
        patient: identifier of the patient.
        file: where it came from.
    """

    raw: NDArray[Any]
    slope: float
    intercept: float
    patient: str
    file: str

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents of `raw`."""
        return tuple(self.raw.shape)

    def channel(self, index: int | None = None) -> NDArray[Any]:
        """Scaled values ``(x, y, z)`` of one modality; the only one of a 3D file if None.

        Raises:
            DataError: values that are not finite.
        """
        values = self.raw if index is None else self.raw[..., index]
        if self.slope != 1.0 or self.intercept != 0.0:
            with np.errstate(over="ignore", invalid="ignore"):  # inf and NaN are reported below
                values = values.astype(np.float64) * self.slope + self.intercept
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise DataError(
                "the data hold NaN or infinite values, expected finite intensities",
                patient=self.patient,
                file=self.file,
            )
        return values


def read_volume(path: Path, *, patient: str) -> Volume:
    """Read one ``.nii`` or ``.nii.gz`` file.

    Args:
        path: the file; a symbolic link to a regular file is followed.
        patient: whose it is, for the message of an error.

    Raises:
        DataError: not a regular file, not NIfTI, truncated, longer than its header says, too
            large, a bad dimension, a complex or structured type, a NaN in the affine.
    """
    try:
        with _open_regular(path) as (handle, size):
            compressed = _is_gzip(handle, path)
            stream = gzip.GzipFile(fileobj=handle) if compressed else handle
            header, consumed = _read_header(stream)
            shape, dtype, offset = _announced(header)
            count = math.prod(shape) * dtype.itemsize
            # A file can not hold more than its own size allows: known before reading it.
            if offset + count > size * (_DEFLATE_RATIO if compressed else 1):
                raise DataError(
                    f"truncated: {size} bytes can not hold the {shape} voxels announced"
                )
            slope, intercept = _scaling(header)
            _check_affine(header)
            _read_exactly(stream, offset - consumed)
            data = _read_exactly(stream, count)
            # The read past the end also makes gzip compare the checksum of the whole stream.
            if compressed and stream.read(1):
                raise DataError("the file holds more data than its header announces")
    except DataError as error:
        raise DataError(str(error), patient=patient, file=str(path)) from None
    except EOFError:
        raise DataError(
            "truncated: the compressed stream ends early", patient=patient, file=str(path)
        ) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"the gzip stream is damaged ({error})", patient=patient, file=str(path)
        ) from None
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"can not be read ({reason})", patient=patient, file=str(path)) from None
    raw = np.frombuffer(data, dtype=dtype).reshape(shape, order="F")
    return Volume(raw=raw, slope=slope, intercept=intercept, patient=patient, file=str(path))


@contextmanager
def _open_regular(path: Path) -> Iterator[tuple[BufferedIOBase, int]]:
    """Open a regular file for reading; yields it with its size in bytes."""
    if not path.exists() and not path.is_symlink():
        raise DataError("the file is missing")
    # Before opening: opening a device can already act on it. stat raises on a symlink loop.
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise DataError("not a regular file (folder, FIFO, socket or device)")
    # Non-blocking and checked again, since a FIFO put here in between must not hang us.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as handle:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise DataError("not a regular file (folder, FIFO, socket or device)")
        yield handle, status.st_size


def _is_gzip(handle: BufferedIOBase, path: Path) -> bool:
    magic = handle.read(2)
    handle.seek(0)
    compressed = magic == b"\x1f\x8b"
    if path.name.lower().endswith(".gz") and not compressed:
        raise DataError("not a gzip file although it is named .gz")
    return compressed


def _read_header(stream: BufferedIOBase) -> tuple[Any, int]:
    """The parsed header and the number of bytes it took."""
    start = _read_exactly(stream, 4)
    sizes = {int.from_bytes(start, "little"), int.from_bytes(start, "big")}
    if 348 in sizes:
        kind, length = nib.Nifti1Header, 348
    elif 540 in sizes:
        kind, length = nib.Nifti2Header, 540
    else:
        raise DataError("not a NIfTI file (its first four bytes are no header size)")
    block = start + _read_exactly(stream, length - 4)
    # check=False: nibabel would repair some fields and log; the checks here refuse instead.
    header = kind(binaryblock=block, check=False)
    if bytes(header["magic"].tobytes())[:3] not in (b"n+1", b"n+2"):
        raise DataError("not a single-file NIfTI (its magic is neither n+1 nor n+2)")
    return header, length


def _announced(header: Any) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Shape, element type and byte offset of the data, all checked against the limits."""
    dims = [int(extent) for extent in header["dim"]]
    if not 3 <= dims[0] <= 7:
        raise DataError(f"expected 3 or 4 dimensions, the header announces {dims[0]}")
    shape = dims[1 : dims[0] + 1]
    if min(shape) < 1:
        raise DataError(f"dimensions must be positive, the header announces {tuple(shape)}")
    while len(shape) > 3 and shape[-1] == 1:
        shape.pop()
    if len(shape) > 4:
        raise DataError(f"expected 3 or 4 dimensions, the header announces {tuple(shape)}")
    try:
        dtype = np.dtype(header.get_data_dtype())
    except (HeaderDataError, KeyError, TypeError) as error:
        raise DataError(f"unknown data type in the header ({error})") from None
    if dtype.kind not in "iuf":
        raise DataError(f"expected integer or real voxels, the header announces {dtype}")
    if math.prod(shape[:3]) > MAX_VOXELS:
        raise DataError(f"volume too large: {tuple(shape[:3])} is more than {MAX_VOXELS} voxels")
    if math.prod(shape) * dtype.itemsize > MAX_BYTES:
        raise DataError(f"file too large: {tuple(shape)} {dtype} is more than {MAX_BYTES} bytes")
    offset = float(header["vox_offset"])
    if not float(header["sizeof_hdr"]) <= offset <= _MAX_OFFSET:
        raise DataError(f"the header announces data at byte {offset:g}, which can not be")
    return tuple(shape), dtype, int(offset)


def _scaling(header: Any) -> tuple[float, float]:
    try:
        slope, intercept = header.get_slope_inter()
    except HeaderDataError as error:
        raise DataError(f"bad intensity scaling in the header ({error})") from None
    return (1.0 if slope is None else float(slope), 0.0 if intercept is None else float(intercept))


def _check_affine(header: Any) -> None:
    """Refuse an orientation that is not finite: such a header was not written by a scanner."""
    try:
        with np.errstate(all="ignore"):
            affine = np.asarray(header.get_best_affine())
    except (HeaderDataError, ValueError) as error:
        raise DataError(f"bad affine in the header ({error})") from None
    if not np.isfinite(affine).all():
        raise DataError("the affine in the header holds NaN or infinite values")


def _read_exactly(stream: BufferedIOBase, count: int) -> bytes:
    """Read ``count`` bytes in chunks, so that a lie in the header allocates no more than exists."""
    buffer = BytesIO()
    while count > 0:
        chunk = stream.read(min(count, _CHUNK))
        if not chunk:
            raise DataError("truncated: the data end before the header says so")
        buffer.write(chunk)
        count -= len(chunk)
    return buffer.getvalue()
