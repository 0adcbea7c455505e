"""The run directory: results under their keys, each folder whole or absent.

A folder is done when its manifest names its key and every file with the hash it still has;
anything else is redone. Patient-derived files are 0600 in 0700 folders. The lock is an flock, so
that nothing stays locked after a kill.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, final

from safetensors import SafetensorError

from leakaudit.errors import StoreError
from leakaudit.files import make_private_folder, sha256_of, write_atomically
from leakaudit.records import ReportRecord
from leakaudit.records.manifest import FileEntry, RunPart

Kind = Literal["targets", "cells"]
AUDIT_FILE = "audit.yaml"
TARGET_FILE = "target.json"
CELL_FILE = "cell.json"
RECONSTRUCTIONS = "reconstructions.safetensors"
_MANIFEST = "manifest.json"
_HELD = frozenset((errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES))


@final
class RunStore:
    """One run directory."""

    def __init__(self, root: Path) -> None:
        """Name the directory; nothing is touched yet."""
        self.root = root

    @property
    def report(self) -> Path:
        """Where the report goes."""
        return self.root / "report"

    def folder(self, kind: Kind, key: str) -> Path:
        """The folder of a result, whether it exists or not."""
        return self.root / kind / key

    def scratch(self, key: str) -> Path:
        """Where a training keeps its checkpoint until its target is done."""
        return self.root / "targets" / f".{key}.training"

    def prepare(self) -> None:
        """Create the directory and prove that it can be written.

        Raises:
            StoreError: it cannot.
        """
        for folder in (self.root, self.root / "targets", self.root / "cells"):
            make_private_folder(folder)
        if not os.access(self.root, os.W_OK | os.X_OK):
            raise StoreError(f"{self.root}: the run folder cannot be written (permission denied)")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory against a second run.

        Raises:
            StoreError: another process holds it, which the message names, or the file system has no
                locks.
        """
        path = self.root / ".lock"
        try:
            file = path.open("a+")
        except OSError as error:
            raise StoreError(f"{path}: cannot be opened ({error.strerror})") from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in _HELD:
                    raise StoreError(
                        f"{self.root}: this file system has no locks ({error.strerror}), so two "
                        "runs could write here at once; write the run to a local disk by --out"
                    ) from error
                file.seek(0)
                holder = file.read().strip() or "unknown"
                raise StoreError(f"{self.root}: in use by process {holder}; wait for it") from error
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield

    def is_done(self, kind: Kind, key: str) -> bool:
        """Whether a result is there, whole and unchanged."""
        folder = self.folder(kind, key)
        try:
            manifest = json.loads((folder / _MANIFEST).read_text())
            hashes: dict[str, str] = manifest["sha256"]
            present = {path.name for path in folder.iterdir()} - {_MANIFEST}
            if manifest["key"] != key or not hashes or present != set(hashes):
                return False
            return all(sha256_of(folder / name) == digest for name, digest in hashes.items())
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return False

    def vouched(self, record: ReportRecord) -> RunPart:
        """Return the parts of the run that a report rests on: the audit and each whole result.

        Raises:
            StoreError: it cannot be read.
        """

        def manifests(kind: Kind, keys: Iterable[str]) -> dict[str, str]:
            whole = (key for key in keys if self.is_done(kind, key))
            return {key: sha256_of(self.folder(kind, key) / _MANIFEST) for key in whole}

        try:
            return RunPart(
                files={AUDIT_FILE: FileEntry.of((self.root / AUDIT_FILE).read_bytes())},
                targets=manifests("targets", (k for one in record.targets for k in one.results)),
                cells=manifests("cells", (k for one in record.cells for k in one.results)),
            )
        except OSError as error:
            raise StoreError(f"{self.root}: cannot be read ({error.strerror})") from error

    @contextmanager
    def commit(self, kind: Kind, key: str) -> Iterator[Path]:
        """Yield a temporary folder; on success it becomes the result, with its manifest.

        Raises:
            StoreError: it cannot be written.
        """
        final = self.folder(kind, key)
        try:
            temporary = Path(tempfile.mkdtemp(dir=final.parent, prefix=f".{key}."))
        except OSError as error:
            raise StoreError(f"{final}: cannot be written ({error.strerror})") from error
        try:
            yield temporary
            hashes = {}
            for path in sorted(temporary.iterdir()):
                path.chmod(0o600)
                with path.open("rb+") as file:
                    os.fsync(file.fileno())
                hashes[path.name] = sha256_of(path)
            manifest = json.dumps({"key": key, "sha256": hashes}, indent=1)
            write_atomically(temporary / _MANIFEST, manifest)
            if final.is_dir():
                shutil.rmtree(final)
            else:
                final.unlink(missing_ok=True)
            temporary.rename(final)
        except OSError as error:
            raise StoreError(f"{final}: cannot be written ({error.strerror})") from error
        except SafetensorError as error:  # what safetensors makes of a full disk
            raise StoreError(f"{final}: cannot be written ({error})") from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def clean(self) -> None:
        """Remove what killed processes left half-written; only call with the lock held."""
        for kind in ("targets", "cells"):
            for path in (self.root / kind).glob(".*"):
                of_training = path.name.endswith(".training")
                key = path.name.removeprefix(".").removesuffix(".training")
                if not of_training or self.is_done("targets", key):
                    shutil.rmtree(path, ignore_errors=True)
        for path in (*self.root.glob(f".{AUDIT_FILE}.*"), *self.report.glob(".*.*")):
            with suppress(OSError):
                path.unlink()

    def log(self, event: str, **details: Any) -> None:
        """Append one line to events.jsonl."""
        line = json.dumps({"time": time.time(), "event": event, **details}, default=str)
        path = self.root / "events.jsonl"
        try:
            with path.open("a") as file:
                file.write(line + "\n")
            with suppress(OSError):
                path.chmod(0o600)
        except OSError as error:
            raise StoreError(f"{path}: cannot be written ({error.strerror})") from error


def volatile_facts(started: float, **more: Any) -> dict[str, Any]:
    """Return the values that differ between equal runs: seconds, the process, and ``more``."""
    return {"seconds": time.time() - started, "pid": os.getpid(), "started": started, **more}
