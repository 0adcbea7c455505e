"""Prepared patients on disk, by the content of their files: read once, mapped afterwards.

What is believed: that a file has not changed if its size, its times of modification and of change,
and its inode are those of when it was hashed. The time of change cannot be set by a user, and a
file that changed within seconds of being hashed is hashed again. Nothing that is stored is
believed: every array is compared with its SHA-256 when it is read.

Entries are patients' images: the folder is 0700, its files are 0600.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from leakaudit.data.cohort import digest_of
from leakaudit.data.findings import Finding
from leakaudit.data.preparing.patient import Prepared
from leakaudit.errors import DataError, StoreError
from leakaudit.files import make_private_folder, write_atomically

_SETTLED: Final = 3.0  # seconds after which a file that changes shows another time
_CHUNK: Final = 2**22
_ALIGNED: Final = 64
_KEPT: Final = 3  # cohorts: settings and code change, and entries are large
_FORGOTTEN_AFTER: Final = 86_400.0  # seconds
_MEMO: Final = "files.json"
_COHORT: Final = ".cohort"
_PATIENT: Final = ".patient"


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class CachedPatient:
    """A patient as read from the cache.

    Args:
        prepared: the patient; its arrays are mapped from the file.
        digest: SHA-256 of the arrays, verified, as of `digest_of`.
    """

    prepared: Prepared
    digest: str


@final
class PreparedCache:
    """A folder of prepared patients."""

    def __init__(self, folder: Path) -> None:
        """Make the folder, readable by its owner alone.

        Raises:
            StoreError: it cannot be made.
        """
        make_private_folder(folder)
        folder.chmod(0o700)
        self._folder = folder

    def digests(self, files: Iterable[Path], told: Callable[[int, int], None]) -> list[str] | None:
        """SHA-256 of files, those that have not changed without reading them.

        Args:
            files: regular files; each once.
            told: is called with how many are done, and how many there are.

        Returns:
            The digests in order; None if a file cannot be read, which the reader then says better.
        """
        memo = self._read_memo()
        wanted = list(files)
        found: list[str] = []
        changed = False
        for number, file in enumerate(wanted):
            try:
                state = _state_of(file)
                known = memo.get(str(file))
                if known is None or known[:-1] != state:
                    known = [*state, _hash_file(file)]
                    changed = True
                    # What is written to again at once would show the same times.
                    if time.time() - max(state[1], state[2]) / 1e9 > _SETTLED:
                        memo[str(file)] = known
                    else:
                        memo.pop(str(file), None)
            except (OSError, ValueError):
                return None
            found.append(known[-1])
            told(number + 1, len(wanted))
        if changed:
            self._write(self._folder / _MEMO, _sealed({"key": _MEMO, "files": memo}))
        return found

    def load_cohort(
        self, key: str, told: Callable[[int, int], None]
    ) -> tuple[Mapping[str, Any], list[CachedPatient]] | None:
        """Load a stored cohort; None if there is none or a part of it is damaged.

        Args:
            key: as of `key_of`.
            told: is called with how many patients are read, and how many there are.
        """
        path = self._folder / f"{key}{_COHORT}"
        record = self._read(path, key)
        if record is None:
            return None
        keys = record["patients"]
        patients: list[CachedPatient] = []
        with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
            for one in pool.map(self.load_patient, keys):
                if one is None:
                    pool.shutdown(cancel_futures=True)
                    return None
                patients.append(one)
                told(len(patients), len(keys))
        os.utime(path)
        return record["about"], patients

    def store_cohort(self, key: str, about: Mapping[str, Any], patients: Sequence[str]) -> None:
        """Keep what was found of a cohort, and of the patients only those of the latest cohorts.

        Args:
            key: as of `key_of`.
            about: what is known of it, as JSON can hold it.
            patients: keys of its patients, all stored.

        Raises:
            StoreError: the folder cannot be written.
        """
        path = self._folder / f"{key}{_COHORT}"
        self._write(path, _sealed({"key": key, "about": dict(about), "patients": list(patients)}))
        self._forget_all_but_the_latest()

    def load_patient(self, key: str) -> CachedPatient | None:
        """A patient, its arrays compared with their digest; None if there is none or it is damaged.

        Args:
            key: as of `key_of`.
        """
        try:
            with (self._folder / f"{key}{_PATIENT}").open("rb") as file:
                length = int(file.readline(20))
                head = file.read(length)
                about = _verified(head, key)
                if about is None:
                    return None
                content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError):
            return None
        start = _start_of(length)
        arrays = []
        for kind, name in ((np.float32, "images"), (np.int8, "masks"), (np.float32, "signature")):
            shape = tuple(about[name])
            if start + np.dtype(kind).itemsize * int(np.prod(shape)) > len(content):
                return None
            arrays.append(np.ndarray(shape, kind, content, start))
            start += arrays[-1].nbytes
        images, masks, signature = arrays
        digest = digest_of(images, masks)
        if digest != about["arrays"] or _hash(signature) != about["signature_hash"]:
            return None
        plain = about["patient"]
        prepared = Prepared(
            patient=plain["patient"],
            images=images,
            masks=masks,
            cut_off=plain["cut_off"],
            clipped=tuple(plain["clipped"]),
            spacing=tuple(plain["spacing"]),
            is_oriented=plain["is_oriented"],
            signature=signature,
            findings=tuple(Finding(**one) for one in plain["findings"]),
        )
        return CachedPatient(prepared=prepared, digest=digest)

    def store_patient(self, key: str, one: Prepared) -> CachedPatient | None:
        """Keep a patient and read it again, so that its arrays leave the memory.

        Args:
            key: as of `key_of`.
            one: the patient.

        Raises:
            StoreError: the folder cannot be written.
        """
        plain = {
            "patient": one.patient,
            "cut_off": float(one.cut_off),
            "clipped": [float(share) for share in one.clipped],
            "spacing": [float(extent) for extent in one.spacing],
            "is_oriented": bool(one.is_oriented),
            "findings": [asdict(finding) for finding in one.findings],
        }
        about = {
            "key": key,
            "images": one.images.shape,
            "masks": one.masks.shape,
            "signature": one.signature.shape,
            "arrays": digest_of(one.images, one.masks),
            "signature_hash": _hash(one.signature),
            "patient": plain,
        }
        head = _sealed(about)
        parts = [str(len(head)).encode().ljust(19) + b"\n", head]
        parts.append(bytes(_start_of(len(head)) - 20 - len(head)))
        for array in (one.images, one.masks, one.signature):
            parts.append(np.ascontiguousarray(array).tobytes())
        self._write(self._folder / f"{key}{_PATIENT}", b"".join(parts))
        return self.load_patient(key)

    def _read_memo(self) -> dict[str, list[Any]]:
        stored = self._read(self._folder / _MEMO, _MEMO)
        return dict(stored["files"]) if stored is not None else {}

    def _read(self, path: Path, key: str) -> Any:
        """The content of a file of ours; None if it is not there, damaged or another entry's."""
        try:
            return _verified(path.read_bytes(), key)
        except OSError:
            return None

    def _write(self, path: Path, content: bytes) -> None:
        try:
            write_atomically(path, content)
        except StoreError as error:
            raise StoreError(f"{error}; --no-cache keeps no prepared patients") from None

    def _forget_all_but_the_latest(self) -> None:
        """Delete what no recent cohort needs."""
        cohorts = sorted(self._folder.glob(f"*{_COHORT}"), key=_age, reverse=True)
        needed: set[str] = set()
        for path in cohorts[:_KEPT]:
            record = self._read(path, path.stem)
            needed.update(record["patients"] if record is not None else ())
        for path in cohorts[_KEPT:]:
            path.unlink(missing_ok=True)
        for path in self._folder.glob(f"*{_PATIENT}"):
            # Another run may be reading these patients now, or go on reading them tomorrow.
            if path.stem not in needed and time.time() - _age(path) > _FORGOTTEN_AFTER:
                path.unlink(missing_ok=True)


def key_of(*parts: Any) -> str:
    """A name for what these parts determine.

    Args:
        parts: as JSON can hold them; equal parts in equal order give equal names.
    """
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:40]


def _sealed(content: Mapping[str, Any]) -> bytes:
    """JSON behind its own SHA-256."""
    text = json.dumps(content, sort_keys=True).encode("utf-8", "surrogateescape")
    return hashlib.sha256(text).hexdigest().encode() + b"\n" + text


def _verified(block: bytes, key: str) -> Any:
    """The content of sealed JSON; None if it is damaged, or is another entry's."""
    digest, _, text = block.partition(b"\n")
    if hashlib.sha256(text).hexdigest().encode() != digest:
        return None
    content = json.loads(text)
    return content if content["key"] == key else None


def _start_of(length: int) -> int:
    """Where the arrays begin behind a head of so many bytes."""
    return -(-(20 + length) // _ALIGNED) * _ALIGNED


def _hash(array: NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


def _hash_file(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _state_of(path: Path) -> list[int]:
    """Return the properties of a file that change when it does.

    Raises:
        DataError: not a regular file.
    """
    status = os.stat(path)
    if not os.path.isfile(path):
        raise DataError("not a regular file", file=str(path))
    return [
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_ino,
        status.st_dev,
    ]


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
