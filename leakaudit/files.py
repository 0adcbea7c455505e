"""Files that are whole or absent: written beside their place, synced, then renamed."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from safetensors import SafetensorError

from leakaudit.errors import StoreError


@contextmanager
def replace_atomically(path: Path) -> Iterator[Path]:
    """Yield a temporary path; on success it becomes ``path`` with mode 0600.

    Raises:
        StoreError: the file cannot be written, with its path and the system's reason.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror})") from error
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o600)
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror})") from error
    except SafetensorError as error:  # what safetensors makes of a full disk
        raise StoreError(f"{path}: cannot be written ({error})") from error
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write ``content`` to ``path`` by `replace_atomically`."""
    data = content.encode() if isinstance(content, str) else content
    with replace_atomically(path) as temporary:
        temporary.write_bytes(data)


def make_private_folder(path: Path) -> None:
    """Create ``path`` with mode 0700, and the parents it lacks.

    Raises:
        StoreError: it cannot be created.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StoreError(f"{path}: cannot be created ({error.strerror})") from error


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
