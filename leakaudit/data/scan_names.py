"""What a file of a patient shows, by its name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from leakaudit.data.conventions import Family
from leakaudit.data.modalities import modality_named

MASK: Final = "mask"
"""The kind of a file that is no modality but what marks the tumour."""

_NIFTI: Final = re.compile(r"(.*)\.nii(\.gz)?", re.IGNORECASE | re.DOTALL)
_MASKS_OF_ANYTHING: Final = frozenset(
    ("seg", "segm", "segmentation", "segmentationmask", "mask", "label", "labels")
)
_MASKS: Final = _MASKS_OF_ANYTHING | frozenset(
    (
        *("tumorseg", "tumorsegm", "tumorsegmentation", "tumormask", "tumorlabel"),
        *("tumourseg", "tumoursegm", "tumoursegmentation", "tumourmask", "tumourlabel"),
        *("gt", "groundtruth", "glistrboostmanuallycorrected"),
    )
)
# Masks of something else: UCSF-PDGM has brain_segmentation beside tumor_segmentation.
_NO_TUMOUR: Final = frozenset(
    (
        *("brain", "parenchyma", "tissue", "skull", "vessel", "head", "wm", "gm", "csf"),
        *("bet", "hdbet", "brainmask", "strip", "stripped", "skullstripped", "synthstrip"),
    )
)
_MOST_WORDS: Final = 4

# Years are those of the challenges; the first that fits a name counts.
_FAMILIES: Final[tuple[tuple[Family, re.Pattern[str]], ...]] = (
    ("brats-peds", re.compile(r"brats[-_ ]?ped", re.IGNORECASE)),
    (
        "brats-2012",
        re.compile(
            r"vsd\.brain|brats(20)?1[2-6](?!\d)|brats_201[2-6]|brats_tcia_pat", re.IGNORECASE
        ),
    ),
    ("brats-2018", re.compile(r"brats_?(20)?(1[7-9]|2[01])(?!\d)", re.IGNORECASE)),
    ("brats-2023", re.compile(r"brats-[a-z]{3,4}-", re.IGNORECASE)),
)


@final
@dataclass(frozen=True, kw_only=True)
class Scan:
    """One file of a patient.

    Args:
        path: the file.
        stem: its name before what says the kind; empty if nothing else is in it.
        kind: a modality or `MASK`.
        newer: whether the kind is written as BraTS does from 2023 on.
    """

    path: Path
    stem: str
    kind: str
    newer: bool


def is_nifti(name: str) -> bool:
    """Whether a file is named as NIfTI and not hidden, as what macOS notes about files is."""
    return not name.startswith(".") and _NIFTI.fullmatch(name) is not None


def scan_named(path: Path) -> Scan | None:
    """What a file shows; None if its name does not say so.

    Args:
        path: a file such as ``BraTS-GLI-00000-000-t1n.nii.gz`` or ``X_tumor_segmentation.nii``.
    """
    found = _NIFTI.fullmatch(path.name)
    if found is None or path.name.startswith("."):
        return None
    words = re.split(r"([-_. ])", found[1])  # the separators stand at odd places
    for count in range(_MOST_WORDS, 0, -1):
        start = len(words) - 2 * count + 1
        if start < 0:
            continue
        written = "".join(words[start::2]).lower()
        kind = MASK if written in _MASKS else modality_named("".join(words[start:]))
        if kind == MASK and _marks_something_else(written, words[: max(start - 1, 0)]):
            return None
        if kind is not None:
            stem = "".join(words[: max(start - 1, 0)])
            return Scan(path=path, stem=stem, kind=kind, newer=written in ("t1n", "t2f"))
    return None


def _marks_something_else(written: str, before: Sequence[str]) -> bool:
    """Whether a mask is one of the brain or of what one modality shows.

    HD-BET writes the brain's mask as x_t1_mask, FSL as x_flair_bet_mask. A name that says tumour is
    believed.

    Args:
        written: what the name ends with.
        before: the words before it and, between them, the separators.
    """
    if before and before[-1].lower() in _NO_TUMOUR:
        return True
    ends = ("".join(before[-2 * count + 1 :]) for count in range(1, _MOST_WORDS + 1))
    return written in _MASKS_OF_ANYTHING and any(modality_named(end) for end in ends)


def family_of(names: tuple[str, ...], *, newer: bool) -> Family:
    """Whose names a patient's files bear.

    Args:
        names: of the folder and of the files.
        newer: whether a file is named as BraTS does from 2023 on.
    """
    for family, pattern in _FAMILIES:
        if any(pattern.match(name) for name in names):
            return family
    return "brats-2023" if newer else "other"
