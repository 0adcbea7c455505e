"""How far reading patients is, in lines on stderr: the first at once, the others now and then."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from leakaudit.cli.printing.messages import say

_SECONDS = 5.0
_LARGEST = 2**20
_WORDS = {
    "files": "file {} of {}: looking for changes",
    "headers": "the headers of {1} patients",
    "masks": "the masks of {1} patients",
    "patients": "patient {} of {}",
}


class ReadingLines:
    """Says what is read: a new kind of thing at once, the same again after some seconds."""

    def __init__(self) -> None:
        """Start to count seconds."""
        self._what = ""
        self._said = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        """Hear of progress, and say it if it is time.

        Args:
            what: as of `leakaudit.data.reading.Told`.
            done: how many are done.
            total: how many there are.
        """
        now = time.monotonic()
        if what == self._what and now - self._said < _SECONDS:
            return
        self._what, self._said = what, now
        say(f"reading {_WORDS[what].format(min(done + 1, total), total)}")


def announce(command: str, arguments: Sequence[str]) -> None:
    """Say that patients will be read, before what takes seconds to load is loaded.

    Args:
        command: that is called.
        arguments: of the program.
    """
    if command in ("plan", "run") and "--help" not in arguments and _reads_a_folder(arguments):
        say("loading PyTorch; then patients are read")


def _reads_a_folder(arguments: Sequence[str]) -> bool:
    """Whether the audit is of real patients, as far as a glance tells."""
    if any(one.partition("=")[0] == "--data" for one in arguments):
        return True
    for one in arguments:
        path = Path(one)
        if one.endswith((".yaml", ".yml")) and path.is_file() and path.stat().st_size < _LARGEST:
            text = path.read_bytes()
            return b"folder" in text and (b"path" in text or "LEAKAUDIT_DATA" in os.environ)
    return False
