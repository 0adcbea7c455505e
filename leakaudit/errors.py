"""Every error leakaudit raises on purpose, and every code that its commands exit with.

    LeakauditError
    ├── UsageError                exit 2: the caller asked for something that cannot be
    │   ├── ConfigError           an audit file, a parameter, a name
    │   └── SplitError            patients that cannot be split as asked
    ├── DataError                 exit 4: patients that are missing or bad (names patient, file)
    │   └── PatientsError         several of them at once
    ├── StoreError                exit 4: run folder, disk, permission, lock
    ├── SignatureError            exit 4: signatures cannot be checked on this machine
    ├── SharingError              exit 4: a report cannot be shared without what identifies
    ├── NotGranted                an attack asked for what its threat model does not grant
    ├── PluginError               exit 2: a plug-in is unknown, broken or clashes
    └── CellError                 a cell cannot yield a figure; its state says why
        └── AttackFailed          the process of its attack ended otherwise than by an answer

Messages are one sentence: what was expected, what came, what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended, for a machine; `words` says it to people."""

    words: str

    def __new__(cls, code: int, words: str = "") -> ExitCode:
        """A code with its words."""
        member = int.__new__(cls, code)
        member._value_, member.words = code, words
        return member

    DONE = 0, "Done; with a policy: PASS."
    FOUND = 1, "FAIL, or something was shown to be worse, or a claim was refuted."
    USAGE = 2, "The command, the audit file or the policy is wrong or missing."
    UNDECIDED = 3, "INCONCLUSIVE, or a cell or a training did not end."
    DATA = 4, "Data or a run is missing or changed; a file exists already or is in use."
    INTERNAL = 70, "An internal error."
    INTERRUPTED = 130, "Interrupted; the same command goes on from there."


class LeakauditError(Exception):
    """Root of the tree; ``exit_code`` is what the command line returns for it."""

    exit_code = ExitCode.INTERNAL


class UsageError(LeakauditError):
    """The caller asked for something that cannot be."""

    exit_code = ExitCode.USAGE


class ConfigError(UsageError):
    """An audit file, a parameter or a name is wrong."""


class SplitError(UsageError):
    """The patients cannot be split into train, validation, auxiliary and victims."""


class DataError(LeakauditError):
    """A patient's files are missing or bad.

    Args:
        message: one sentence that says what is wrong.
        patient: the patient's identifier, if one patient is at fault.
        file: the offending file or folder, if one is.
    """

    exit_code = ExitCode.DATA

    def __init__(self, message: str, *, patient: str | None = None, file: str | None = None):
        """Keep patient and file apart from the sentence, and show them before it."""
        self.patient = patient
        self.file = file
        where = ": ".join(part for part in (patient, file) if part)
        super().__init__(f"{where}: {message}" if where else message)


class PatientsError(DataError):
    """Several patients' files are missing or bad; the message lists them.

    Args:
        problems: what is wrong, each with its patient and file; at least two.
    """

    _LISTED = 20

    def __init__(self, problems: Sequence[DataError]):
        """Keep the problems apart from the message."""
        self.problems = tuple(problems)
        self.headline = f"{len(problems)} problems with the data"
        super().__init__(f"{self.headline}: " + "; ".join(self.lines))

    @property
    def lines(self) -> tuple[str, ...]:
        """A sentence for each problem, at most 20, and how many more there are."""
        more = len(self.problems) - self._LISTED
        told = tuple(str(problem) for problem in self.problems[: self._LISTED])
        return (*told, f"and {more} more") if more > 0 else told


def raise_problems(problems: Sequence[DataError]) -> None:
    """Raise what was found: the one problem as it is, several as a `PatientsError`."""
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise PatientsError(problems)


class StoreError(LeakauditError):
    """The run folder cannot be read, written or locked."""

    exit_code = ExitCode.DATA


class SignatureError(LeakauditError):
    """Signatures cannot be checked here: no ssh-keygen, or no list of signers."""

    exit_code = ExitCode.DATA


class SharingError(LeakauditError):
    """A report cannot be shared, since something that identifies would be left."""

    exit_code = ExitCode.DATA


class NotGranted(LeakauditError, AttributeError):  # noqa: N818  (the term of the design)
    """The threat model does not grant what was asked of an `Observation`.

    Also an `AttributeError`, so that `hasattr` tells an attack what it may use.
    """


class PluginError(UsageError):
    """A plug-in is unknown, cannot be imported, or two claim one name."""


class CellError(LeakauditError):
    """A cell cannot yield a leakage figure."""


class AttackFailed(CellError):  # noqa: N818  (it says how, not what)
    """The process of an attack ended otherwise than by an answer; the message is the reason."""
