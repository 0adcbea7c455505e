"""What is uncertain about the patients' data, as found when they were read."""

from __future__ import annotations

from leakaudit.records.base import Record


class Caution(Record):
    """Something about the data that a reader must know before trusting a figure.

    Args:
        kind: a short name that a policy can accept, such as ``intensities``.
        grave: whether it could change a verdict; nothing passes with an open grave caution.
        words: what was found and decided, in sentences.
        patients: identifiers of the patients it is about; empty for all of them.
    """

    kind: str
    grave: bool
    words: str
    patients: tuple[str, ...] = ()
