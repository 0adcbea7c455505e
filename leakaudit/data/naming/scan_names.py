"""Reads the kind of a patient's file from its name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, final

from leakaudit.data.naming.bids_names import bids_parts
from leakaudit.data.naming.conventions import Family
from leakaudit.data.naming.modalities import modality_named

MASK: Final = "mask"
"""The kind of a file that is not a modality but what marks the tumour."""

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
_FOLDERS_OF_MASKS: Final = _MASKS | frozenset(("masks", "segmentations", "segs", "annotations"))
# Masks of something else: UCSF-PDGM has brain_segmentation beside tumor_segmentation.
_NO_TUMOUR: Final = frozenset(
    (
        *("brain", "parenchyma", "tissue", "skull", "vessel", "head", "wm", "gm", "csf"),
        *("bet", "hdbet", "brainmask", "strip", "stripped", "skullstripped", "synthstrip"),
    )
)
_MOST_WORDS: Final = 4
_IN_ONE_WORD: Final = frozenset(("ct1",))  # P_C_t1 is the T1 of somebody called P_C
# Between what was registered and onto what: x_flair_to_t1, x_t2_reg_t1.
_ONTO: Final = frozenset(
    ("to", "in", "on", "onto", "reg", "registered", "coreg", "aligned", "space")
)
# BraTS 2012 to 2015: VSD.Brain.XX.O.MR_Flair.54512, and VSD.Brain_3more.XX.O.OT.54517 for the mask.
_VIRTUAL_SKELETON: Final = re.compile(
    r"vsd\.brain[._].*\.(mr_(?P<modality>\w+)|ot)\.\d+", re.IGNORECASE
)
_WITH_CONTRAST: Final = frozenset(
    ("post", "postcontrast", "contrast", "enhanced", "ce", "gd", "gad", "gado", "km")
)
_WITHOUT_CONTRAST: Final = frozenset(("pre", "precontrast", "native", "plain"))

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


def stem_of(name: str) -> str:
    """A file's name without its ending; the name itself if it is not a NIfTI.

    Args:
        name: of a file, such as ``P01.nii.gz``.
    """
    found = _NIFTI.fullmatch(name)
    return name if found is None else found[1]


def kind_of_folder(name: str) -> str | None:
    """Return the kind of all files in a folder named as a modality or as masks; None for others.

    Args:
        name: of the folder, such as ``T1ce`` or ``masks``.
    """
    return MASK if name.lower() in _FOLDERS_OF_MASKS else modality_named(name)


def scan_named(path: Path) -> Scan | None:
    """Return the kind of a file; None if its name does not say it.

    Args:
        path: a file such as ``BraTS-GLI-00000-000-t1n.nii.gz`` or ``X_tumor_segmentation.nii``.
    """
    found = _NIFTI.fullmatch(path.name)
    if found is None or path.name.startswith("."):
        return None
    if known := _VIRTUAL_SKELETON.fullmatch(found[1]):
        written = known["modality"]
        kind = MASK if written is None else modality_named(written)
        return None if kind is None else Scan(path=path, stem="", kind=kind, newer=False)
    if parts := bids_parts(found[1]):
        shown = scan_named(path.with_name(f"{parts[1]}.nii"))
        return None if shown is None else replace(shown, path=path, stem=parts[0])
    words = re.split(r"([-_. ])", found[1])  # the separators stand at odd places
    for count in range(_MOST_WORDS, 0, -1):
        start = len(words) - 2 * count + 1
        if start < 0:
            continue
        written = "".join(words[start::2]).lower()
        if count > 1 and written in _IN_ONE_WORD:
            continue
        kind = MASK if written in _MASKS else modality_named("".join(words[start:]))
        before = words[: max(start - 1, 0)]
        if kind == MASK and _marks_something_else(written, before):
            return None
        if kind not in (None, MASK):
            kind, before = _registered(kind, before)
        if kind is not None:
            return Scan(path=path, stem="".join(before), kind=kind, newer=written in ("t1n", "t2f"))
        if written in _MASKS or modality_named("".join(words[start:])):
            return None
    return None


def _registered(onto: str, before: list[str]) -> tuple[str | None, list[str]]:
    """The modality that was laid on another, and the words before it; itself if none was.

    Args:
        onto: the modality that the name ends with.
        before: the words before it and, between them, the separators.

    Returns:
        Modality and words; no modality if the name has two and does not say which it is.
    """
    left = before
    while left and left[-1].lower() in _ONTO:
        left = left[: max(len(left) - 2, 0)]
    for count in range(_MOST_WORDS, 0, -1):
        start = len(left) - 2 * count + 1
        laid = modality_named("".join(left[start:])) if start >= 0 else None
        if laid is not None and laid != onto:
            return (laid if len(left) < len(before) else None), left[: max(start - 1, 0)]
    return onto, before


def with_contrast(scans: Sequence[Scan]) -> list[Scan]:
    """Read x_post_T1 as T1gd if it stands beside x_flair, and x_pre_T1 by its own name.

    Where all files are named x_post, that is a time: nothing changes.

    Args:
        scans: of one patient.
    """
    told = []
    for scan in scans:
        before, _, word = re.sub("[-_. ]", "_", scan.stem).rpartition("_")
        others = {other.stem for other in scans if other.kind not in ("T1w", "T1gd")}
        if scan.kind == "T1w" and others and scan.stem not in others:
            stem = scan.stem[: len(before)]
            if word.lower() in _WITH_CONTRAST:
                scan = replace(scan, stem=stem, kind="T1gd")
            elif word.lower() in _WITHOUT_CONTRAST:
                scan = replace(scan, stem=stem)
        told.append(scan)
    return told


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
    """Return the data set whose names a patient's files bear.

    Args:
        names: of the folder and of the files.
        newer: whether a file is named as BraTS does from 2023 on.
    """
    for family, pattern in _FAMILIES:
        if any(pattern.match(name) for name in names):
            return family
    return "brats-2023" if newer else "other"
