"""The key of a run's pseudonyms: made once, kept beside the run, never in what is shared."""

from __future__ import annotations

import os
import secrets
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from leakaudit.errors import StoreError
from leakaudit.records.manifest import SHARE_KEY
from leakaudit.report.share.pseudonyms import KEY_BYTES

_LONGEST = 4 * KEY_BYTES


def share_key(run: Path) -> bytes:
    """The 32 bytes in ``share.key`` of a run folder, made at random if there are none.

    The file has mode 0600 and holds them as hexadecimal digits. Two processes that make it at once
    get the same.

    Args:
        run: the run folder.

    Raises:
        StoreError: it cannot be read or written, or is not a key.
    """
    path = run / SHARE_KEY
    try:
        if not os.path.lexists(path):
            _make(path)
        text = _text_of(path)
    except OSError as error:
        raise StoreError(
            f"{path}: the key of the pseudonyms cannot be read or made ({error.strerror})"
        ) from error
    with suppress(ValueError):
        key = bytes.fromhex(text.strip())
        if len(key) == KEY_BYTES:
            return key
    raise StoreError(
        f"{path}: expected {2 * KEY_BYTES} hexadecimal digits; delete it and share again, which "
        "gives other pseudonyms"
    )


def _make(path: Path) -> None:
    """Put a whole file in place, unless another process was faster."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(KEY_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(name, path)
    finally:
        os.unlink(name)


def _text_of(path: Path) -> str:
    """The content of a regular file, neither a link nor a pipe, closed to others from now on."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise StoreError(f"{path}: expected the key of the pseudonyms, got no regular file")
        if stat.S_IMODE(status.st_mode) & 0o077:
            os.fchmod(handle, 0o600)
        return file.read(_LONGEST).decode("ascii", "replace")
