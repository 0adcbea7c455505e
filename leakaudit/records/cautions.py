"""The doubts about the patients' data that were found on reading them."""

from __future__ import annotations

from typing import Final, Literal

from leakaudit.records.base import Record

_SHOWN: Final = 3


# docs/data.md says of each what it means and when it is grave.
CautionKind = Literal[
    "background-gap",
    "clipped",
    "cropped",
    "dark",
    "equal-modalities",
    "few-values",
    "foreign-modality",
    "header-contradiction",
    "headers-disagree",
    "intensities",
    "labels",
    "left-out",
    "mask-name",
    "mask-place",
    "no-orientation",
    "not-stripped",
    "offset",
    "partly-covered",
    "same-person",
    "tilted",
    "traces",
    "voxel-size",
    "wrapped",
    "z-scored",
]


class Caution(Record):
    """Something about the data that a reader must know before trusting a figure.

    Args:
        kind: a short name that a policy can accept, such as ``z-scored``.
        grave: whether it could change a verdict; nothing passes with an open grave caution.
        words: what was found and decided, in sentences.
        patients: identifiers of the patients it is about; empty for all of them.
    """

    kind: CautionKind
    grave: bool
    words: str
    patients: tuple[str, ...] = ()

    @property
    def whom(self) -> str:
        """Whom it is about: ``5 patients: A, B, C and 2 more``; empty for all of them."""
        if not self.patients:
            return ""
        count = len(self.patients)
        shown = self.patients if count <= _SHOWN else self.patients[:_SHOWN]
        more = f" and {count - _SHOWN} more" if count > _SHOWN else ""
        return f"{count} patient{'' if count == 1 else 's'}: {', '.join(shown)}{more}"
