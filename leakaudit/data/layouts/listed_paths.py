"""Paths as a listing writes them, to files of its folder."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from leakaudit.errors import DataError


def listed_path(root: Path, text: str, *, patient: str) -> Path:
    """The file that a listing names, whether or not it is there.

    Args:
        root: folder of the listing.
        text: the path as written, also with backslashes, absolute, in another encoding or with the
            ending of the compressed file where the other is there.
        patient: whose it is, for the message of an error.

    Raises:
        DataError: it leads out of the folder.
    """
    if "\\" in text and not os.path.lexists(root / text):
        text = text.replace("\\", "/")
    path = PurePosixPath(text)
    if path.is_absolute() or re.match("[A-Za-z]:/", text):
        inside = _inside(root, text)
        if inside is None:
            tail = "/".join(path.parts[-2:])
            here = f", as {tail}" if os.path.lexists(root / tail) else ""
            raise DataError(
                "paths in dataset.json must lie inside its folder, this one is absolute and leads "
                f"elsewhere; write it relative to the folder of dataset.json{here}",
                patient=patient,
                file=text,
            )
        path = inside
    if ".." in path.parts:
        raise DataError(
            "paths in dataset.json must lie inside its folder, write it without ..",
            patient=patient,
            file=text,
        )
    below = [path]
    if len(path.parts) > 2:  # written from above: Task01_BrainTumour/imagesTr/BRATS_001.nii.gz
        below.append(PurePosixPath(*path.parts[1:]))
    for written in below:
        for other in _spellings(str(written)):
            if os.path.lexists(root / other):
                return root / other
    return root / path


def _inside(root: Path, text: str) -> PurePosixPath | None:
    """An absolute path relative to the folder; None if it leads elsewhere."""
    for folder in (os.path.abspath(root), os.path.realpath(root)):
        for written in (os.path.normpath(text), os.path.realpath(text)):
            if written.startswith(folder.rstrip("/") + "/"):
                return PurePosixPath(written[len(folder.rstrip("/")) + 1 :])
    return None


def _spellings(text: str) -> Iterator[str]:
    """The path as written, then in the other encodings of names, each with either ending."""
    encoded = [text, unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)]
    try:
        raw = os.fsencode(text)
        encoded.append(raw.decode("latin-1"))
        encoded.append(os.fsdecode(text.encode("latin-1")))
    except UnicodeError:
        pass  # a character that Latin-1 lacks: the file has no such name
    for each in encoded:
        yield each
        yield each[: -len(".gz")] if each.lower().endswith(".nii.gz") else f"{each}.gz"
