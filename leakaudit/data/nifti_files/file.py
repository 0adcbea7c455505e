"""Reading one NIfTI file that is not trusted.

Nothing is allocated that the file cannot hold, and of the compressed stream no more is read than
the header announces.
"""

from __future__ import annotations

import gzip
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedIOBase, BytesIO
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from leakaudit.data.nifti_files.header import LENGTHS, Header, parse_header
from leakaudit.errors import DataError

_MAX_TRAILING: Final = 2**16  # padding after the data: blocks of a tape, a line break of an editor
_DEFLATE_RATIO: Final = 1040  # deflate cannot expand a byte to more than this
_CHUNK: Final = 2**22
_POINTERS: Final = (b"vers", b"/ann")  # "version https://git-lfs...", "/annex/objects/..."
_APPLE_DOUBLE: Final = b"\0\5\x16\7"


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Volume:
    """The voxels of one file as stored.

    Args:
        raw: ``(x, y, z)`` or ``(x, y, z, modality)``, unscaled, in the file's own type.
        slope: factor that the header applies to every voxel.
        intercept: summand that the header applies after it.
        affine: voxel indices to millimetres, ``(4, 4)``, finite.
        is_oriented: whether the header says that the affine means anything.
        other_affine: a second one of the same header; None if there is none.
        patient: identifier of the patient.
        file: where it came from.
    """

    raw: NDArray[Any]
    slope: float
    intercept: float
    affine: NDArray[np.float64]
    patient: str
    file: str
    is_oriented: bool = True
    other_affine: NDArray[np.float64] | None = None

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


def read_header(path: Path, *, patient: str) -> Header:
    """Read what one ``.nii`` or ``.nii.gz`` file announces, and none of its voxels.

    Args:
        path: the file; a symbolic link to a regular file is followed.
        patient: whose it is, for the message of an error.

    Raises:
        DataError: what `read_volume` refuses, as far as the header and the file's size tell.
    """
    with _named_errors(path, patient), _open_stream(path) as (stream, size, compressed):
        return _announced(stream, size, compressed)[0]


def read_volume(path: Path, *, patient: str) -> Volume:
    """Read one ``.nii`` or ``.nii.gz`` file.

    Args:
        path: the file; a symbolic link to a regular file is followed.
        patient: whose it is, for the message of an error.

    Raises:
        DataError: not a regular file, not NIfTI, truncated, longer than its header says, too
            large, a bad dimension, a complex or structured type, a NaN in the affine.
    """
    with _named_errors(path, patient), _open_stream(path) as (stream, size, compressed):
        header, consumed = _announced(stream, size, compressed)
        _read_exactly(stream, header.offset - consumed)
        data = _read_exactly(stream, header.data_bytes)
        _read_to_the_end(stream)
    raw = np.frombuffer(data, dtype=header.dtype).reshape(header.shape, order="F")
    return Volume(
        raw=raw,
        slope=header.slope,
        intercept=header.intercept,
        affine=header.affine,
        patient=patient,
        file=str(path),
        is_oriented=header.is_oriented,
        other_affine=header.other_affine,
    )


@contextmanager
def _named_errors(path: Path, patient: str) -> Iterator[None]:
    """Make every failure of reading a `DataError` that names patient and file."""
    try:
        yield
    except DataError as error:
        message = str(error)
    except EOFError:
        message = "truncated: the compressed stream ends early"
    except (gzip.BadGzipFile, zlib.error) as error:
        message = f"the gzip stream is damaged ({error})"
    except (OSError, RuntimeError) as error:
        message = f"cannot be read ({getattr(error, 'strerror', None) or str(error)})"
    else:
        return
    raise DataError(message, patient=patient, file=str(path)) from None


@contextmanager
def _open_stream(path: Path) -> Iterator[tuple[BufferedIOBase, int, bool]]:
    """The uncompressed bytes of a file, its size on disk, and whether it is compressed."""
    with _open_regular(path) as (handle, size):
        compressed = _is_gzip(handle, path, size)
        yield (gzip.GzipFile(fileobj=handle) if compressed else handle), size, compressed


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


def _is_gzip(handle: BufferedIOBase, path: Path, size: int) -> bool:
    start = handle.read(4)
    handle.seek(0)
    if not size:
        raise DataError(
            "the file is empty (0 bytes): a placeholder of a cloud drive or a broken copy; fetch "
            "it again"
        )
    if start == _APPLE_DOUBLE:
        raise DataError("not an image but what macOS notes about one; delete it")
    if start in _POINTERS:
        raise DataError(
            "a pointer of Git LFS or git-annex, not the file; fetch it (git lfs pull, or "
            "git annex get)"
        )
    compressed = start[:2] == b"\x1f\x8b"
    if path.name.lower().endswith(".gz") and not compressed:
        raise DataError(
            "not a gzip file although it is named .gz: a download that failed, or a file to be "
            "named .nii"
        )
    return compressed


def _announced(stream: BufferedIOBase, size: int, compressed: bool) -> tuple[Header, int]:
    """The header, checked against the size of the file, and the bytes it took."""
    start = _read_exactly(stream, 4)
    for length in LENGTHS:
        if length in (int.from_bytes(start, "little"), int.from_bytes(start, "big")):
            break
    else:
        raise DataError("not a NIfTI file (its first four bytes are not header size)")
    header = parse_header(start + _read_exactly(stream, length - 4))
    needed = header.offset + header.data_bytes
    # A file cannot hold more than its own size allows: known before reading it.
    if needed > size * (_DEFLATE_RATIO if compressed else 1):
        raise DataError(f"truncated: {size} bytes cannot hold the {header.shape} voxels announced")
    if not compressed and size > needed + _MAX_TRAILING:
        raise _too_long()
    return header, length


def _too_long() -> DataError:
    return DataError(
        f"the file holds more data than its header announces (over {_MAX_TRAILING} bytes more); "
        "write it again with a header that fits"
    )


def _read_to_the_end(stream: BufferedIOBase) -> None:
    """Allow a little padding after the data, so that gzip compares the checksum of the whole.

    Raises:
        DataError: more than padding.
    """
    left = _MAX_TRAILING + 1
    try:
        while chunk := stream.read(left):
            left -= len(chunk)
            if left <= 0:
                raise _too_long()
    except gzip.BadGzipFile as error:
        # Behind a whole stream, whose checksum was right, come bytes that begin no other.
        if "Not a gzipped file" not in str(error):
            raise


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
