"""The pictures of a report on disk: gallery.json and images/<SHA-256>.png beside report.json.

The manifest holds their hashes, so a report with pictures is rendered again byte by byte where the
run and its patients are gone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from leakaudit.errors import StoreError
from leakaudit.records.manifest import PICTURES_NAME, FileEntry, ReportManifest
from leakaudit.report.pictures.gallery import Gallery, GalleryIndex
from leakaudit.report.pictures.pixels import digest
from leakaudit.report.text.words import verify_hint

INDEX_NAME = "gallery.json"
_KEPT = re.compile(r"[0-9a-f]{64}\.png")


def index_bytes(gallery: Gallery) -> bytes:
    """The index of the pictures, as it stands in the report folder."""
    index = json.dumps(gallery.index.model_dump(mode="json"), sort_keys=True, indent=1)
    return f"{index}\n".encode()


def picture_files(gallery: Gallery) -> dict[str, bytes]:
    """The pictures by the name that they have in their folder."""
    return {f"{name}.png": gallery.pictures[name] for name in sorted(gallery.pictures)}


def prepare_folder(folder: Path) -> None:
    """Make the folder of the pictures, mode 0700.

    Raises:
        StoreError: it cannot be made, or is a link to elsewhere.
    """
    images = folder / PICTURES_NAME
    if images.is_symlink():
        raise StoreError(f"{images}: expected a folder of its own, got a link; remove it")
    try:
        images.mkdir(mode=0o700, exist_ok=True)
        images.chmod(0o700)
    except OSError as error:
        raise StoreError(f"{images}: cannot be created ({error.strerror})") from error


def is_kept(path: Path, data: bytes) -> bool:
    """Whether a picture is there already, private and whole."""
    with suppress(OSError):
        private = not path.is_symlink() and path.stat().st_mode & 0o777 == 0o600
        return bool(_KEPT.fullmatch(path.name)) and private and path.read_bytes() == data
    return False


def remove_others(folder: Path, kept: Collection[str]) -> None:
    """Remove the pictures and the index of an earlier report that this one does not have.

    Raises:
        StoreError: one cannot be removed.
    """
    images = folder / PICTURES_NAME
    try:
        if INDEX_NAME not in kept:
            (folder / INDEX_NAME).unlink(missing_ok=True)
        if images.is_symlink() or not images.is_dir():
            return
        for path in images.iterdir():
            if _KEPT.fullmatch(path.name) and f"{PICTURES_NAME}/{path.name}" not in kept:
                path.unlink()
        if not any(images.iterdir()):
            images.rmdir()
    except OSError as error:
        raise StoreError(
            f"{error.filename or images}: pictures of an earlier report cannot be removed "
            f"({error.strerror})"
        ) from error


def kept_gallery(folder: Path, manifest: ReportManifest | None) -> Gallery | None:
    """The pictures of a report; None if it has none, or is of a version that did not keep them.

    Args:
        folder: of the report.
        manifest: of the report.

    Raises:
        StoreError: a file is missing or differs from what was written.
    """
    path = folder / INDEX_NAME
    expected = manifest.files.get(INDEX_NAME) if manifest is not None else None
    if expected is None and not path.exists():
        return None
    data = _read(path, folder)
    if FileEntry.of(data) != expected:
        raise StoreError(
            f"{path}: differs from what manifest.json says was written; {verify_hint(folder)}"
        )
    try:
        index = GalleryIndex.model_validate_json(data)
    except ValidationError as error:
        raise StoreError(f"{path}: expected an index of pictures; {verify_hint(folder)}") from error
    pictures = {}
    for name in sorted(index.names):
        file = folder / PICTURES_NAME / f"{name}.png"
        pictures[name] = _read(file, folder)
        if digest(pictures[name]) != name:
            raise StoreError(
                f"{file}: differs from what its name says was written; {verify_hint(folder)}"
            )
    return Gallery(index, pictures)


def _read(path: Path, folder: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be read ({error.strerror}); {verify_hint(folder)}"
        ) from error
