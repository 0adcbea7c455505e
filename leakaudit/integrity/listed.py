"""The files of one folder against the manifest that lists them, and the faults of reading."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TypeVar, final

from leakaudit.integrity.faults import Fault, FaultKind
from leakaudit.integrity.folders import NotWhatItShouldBeError, OpenFolder, TooLargeError
from leakaudit.records.manifest import FileEntry

_T = TypeVar("_T")
# A manifest has some hundred bytes for each file or result.
_LARGEST_MANIFEST = 64_000_000


@final
@dataclass
class Findings:
    """The findings of a check that is under way.

    Args:
        faults: in the order of finding.
        files: files that have the hash that a manifest names.
        unvouched: what was seen and is covered by no hash, by path.
    """

    faults: list[Fault] = field(default_factory=list)
    files: int = 0
    unvouched: list[str] = field(default_factory=list)

    def fault(self, kind: FaultKind, where: str, detail: str) -> None:
        """Add a fault."""
        self.faults.append(Fault(kind, where, detail))

    def unknown(self, folder: OpenFolder, name: str, where: str) -> None:
        """Add the fault of something that no manifest names."""
        what = self.attempt(where, lambda: folder.kind(name), missing="it was there a moment ago")
        if what is not None:
            self.fault("unknown", where, f"a {what} that no manifest names")

    def attempt(self, where: str, read: Callable[[], _T], *, missing: str) -> _T | None:
        """Call ``read`` and return its result; None if it fails, with the fault noted.

        Args:
            where: path below the folder that is checked.
            read: reads it.
            missing: what to say if nothing is there.
        """
        try:
            return read()
        except FileNotFoundError:
            self.fault("missing", where, missing)
        except NotWhatItShouldBeError as error:
            self.fault("refused", where, str(error))
        except TooLargeError as error:
            self.fault("broken", where, str(error))
        except OSError as error:
            self.fault("unreadable", where, str(error.strerror or "the system gives no reason"))
        return None


def read_small(folder: OpenFolder, name: str, where: str, findings: Findings) -> bytes | None:
    """Content of a manifest; None where there is none to read, with the fault noted."""
    return findings.attempt(
        where,
        lambda: folder.read(name, _LARGEST_MANIFEST),
        missing="nothing says which files belong here, so none of them can be checked",
    )


def check_listed(
    folder: OpenFolder,
    below: str,
    listed: Mapping[str, str | FileEntry],
    findings: Findings,
    *,
    besides: Collection[str] = (),
) -> None:
    """Compare a folder with the files that a manifest lists, and with nothing else.

    Args:
        folder: the open folder.
        below: its path below the folder that is checked, ending in a slash; empty for itself.
        listed: SHA-256, or hash and size, by name.
        findings: where faults go.
        besides: further names that may be there.
    """
    for name, expected in listed.items():
        check_file(folder, name, f"{below}{name}", expected, findings)
    names = findings.attempt(below or ".", folder.names, missing="the folder is gone")
    for name in names or ():
        if name not in listed and name not in besides:
            findings.unknown(folder, name, f"{below}{name}")


def check_file(
    folder: OpenFolder, name: str, where: str, expected: str | FileEntry, findings: Findings
) -> None:
    """Compare one file with its hash, and its size where the manifest has it."""
    found = findings.attempt(
        where, lambda: folder.entry(name), missing="the manifest names it, and it is not there"
    )
    if found is None:
        return
    digest, size = (
        (expected.sha256, expected.size) if isinstance(expected, FileEntry) else (expected, None)
    )
    if found.sha256 == digest and size in (None, found.size):
        findings.files += 1
        return
    sizes = "" if size is None else f" ({size} bytes)"
    findings.fault(
        "changed",
        where,
        f"expected SHA-256 {digest[:16]}...{sizes}, got {found.sha256[:16]}... "
        f"({found.size} bytes)",
    )
