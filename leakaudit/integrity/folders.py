"""Folders that are read by their open descriptor: no link is followed, nothing but files opened."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import final

from leakaudit.records.manifest import FileEntry

_KINDS = (
    (stat.S_ISREG, "file"),
    (stat.S_ISDIR, "folder"),
    (stat.S_ISLNK, "link"),
    (stat.S_ISFIFO, "pipe"),
    (stat.S_ISSOCK, "socket"),
)
# Without O_NONBLOCK, opening a pipe that took a file's place in between would wait for a writer.
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_OPEN_FOLDER = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC


class NotWhatItShouldBeError(Exception):
    """Something else stands where a file or a folder was expected.

    Args:
        wanted: ``file`` or ``folder``.
        found: what is there.
    """

    def __init__(self, wanted: str, found: str) -> None:
        """Make the sentence."""
        what = "a link, which is not followed" if found == "link" else f"a {found}"
        super().__init__(f"expected a {wanted}, got {what}")


class TooLargeError(Exception):
    """A file that is read whole is larger than it can sensibly be."""


@final
class OpenFolder:
    """An open folder; what is in it is reached through it alone."""

    def __init__(self, descriptor: int) -> None:
        """Take over an open descriptor of a folder."""
        self._descriptor = descriptor

    @classmethod
    @contextmanager
    def at(cls, path: Path) -> Iterator[OpenFolder]:
        """Open the folder that the user named; a link to it is followed, as the user's own.

        Raises:
            OSError: it cannot be opened.
        """
        opened = os.open(path, _OPEN_FOLDER & ~os.O_NOFOLLOW)
        try:
            yield cls(opened)
        finally:
            os.close(opened)

    @contextmanager
    def folder(self, name: str) -> Iterator[OpenFolder]:
        """Open a folder in this one.

        Raises:
            FileNotFoundError: there is nothing of that name.
            NotWhatItShouldBeError: it is not a folder.
            OSError: it cannot be opened.
        """
        self._require(name, "folder")
        opened = os.open(name, _OPEN_FOLDER, dir_fd=self._descriptor)
        try:
            yield OpenFolder(opened)
        finally:
            os.close(opened)

    @contextmanager
    def file(self, name: str) -> Iterator[int]:
        """Open a file in this folder, as a descriptor to read from.

        Raises:
            FileNotFoundError: there is nothing of that name.
            NotWhatItShouldBeError: it is not a regular file.
            OSError: it cannot be opened.
        """
        self._require(name, "file")
        opened = os.open(name, _OPEN_FILE, dir_fd=self._descriptor)
        try:
            found = _kind(os.fstat(opened).st_mode)
            if found != "file":
                raise NotWhatItShouldBeError("file", found)
            yield opened
        finally:
            os.close(opened)

    def names(self) -> list[str]:
        """Return the names in the folder, sorted.

        Raises:
            OSError: it cannot be read.
        """
        return sorted(os.listdir(self._descriptor))

    def kind(self, name: str) -> str:
        """Return a name's kind: ``file``, ``folder``, ``link``, ``pipe``, ``socket`` or ``device``.

        Raises:
            FileNotFoundError: there is nothing of that name.
            OSError: it cannot be known.
        """
        return _kind(os.stat(name, dir_fd=self._descriptor, follow_symlinks=False).st_mode)

    def entry(self, name: str) -> FileEntry:
        """Hash and size of a file.

        Raises:
            FileNotFoundError: there is nothing of that name.
            NotWhatItShouldBeError: it is not a regular file.
            OSError: it cannot be read.
        """
        with self.file(name) as opened, open(opened, "rb", closefd=False) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return FileEntry(sha256=digest, size=file.tell())

    def read(self, name: str, most: int) -> bytes:
        """Content of a file of at most so many bytes.

        Raises:
            FileNotFoundError: there is nothing of that name.
            NotWhatItShouldBeError: it is not a regular file.
            TooLargeError: it is larger.
            OSError: it cannot be read.
        """
        with self.file(name) as opened, open(opened, "rb", closefd=False) as file:
            data = file.read(most + 1)
        if len(data) > most:
            raise TooLargeError(f"larger than the {most} bytes that it can have")
        return data

    def _require(self, name: str, wanted: str) -> None:
        found = self.kind(name)
        if found != wanted:
            raise NotWhatItShouldBeError(wanted, found)


def _kind(mode: int) -> str:
    return next((name for test, name in _KINDS if test(mode)), "device")
