"""Patients by the names of their files: a folder for each, or all of them in one.

Archives are unpacked in many ways, so patients are looked for a few levels down. A folder in which
nobody has a mask, as the validation part of BraTS, is left out with a caution.
"""

from __future__ import annotations

import gzip
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from io import BufferedIOBase
from pathlib import Path
from typing import Final

from leakaudit.data.layouts.identity import is_a_time
from leakaudit.data.layouts.patient_files import FOREIGN, PatientFiles, files_below
from leakaudit.data.layouts.sources import Found, Source, readable
from leakaudit.data.naming.labels import Hint, patients_in_words
from leakaudit.data.naming.scan_names import MASK, Scan, family_of, is_nifti, scan_named
from leakaudit.errors import DataError, raise_problems
from leakaudit.records import Caution

_CHUNK: Final = 2**20
_WITHOUT_MASKS: Final = re.compile(
    r"(^|[-_ ])(val|validation|test|testing)([-_ ]|$)", re.IGNORECASE
)


_UNLIKE: Final = (
    "A mask is named unlike the images, as happens in BraTS 2020; the only one in the folder was "
    "taken"
)
_LONGER: Final = (
    "The only mask is named as the images and a word more, so it may mark something else than the "
    "tumour, as the brain; look at it, and name the tumour's mask NAME_seg.nii.gz"
)
_PREFERRED: Final = (
    "Beside the mask that is named as the images lies another; the first was taken for the tumour's"
)


def patients_in_folders(root: Path) -> Found:
    """List the patients below a folder by the names of their files.

    Args:
        root: the folder.

    Raises:
        DataError: nothing there is a patient, or nobody has a mask.
        OSError: a folder cannot be read.
    """
    everybody, other = files_below(root)
    if not everybody:
        raise DataError(_nothing_here(other, root), file=str(root))
    if not any(files.has_mask for files in everybody):
        raise DataError(
            f"none of the {len(everybody)} patients has a mask; expected a file that ends in "
            "_seg.nii.gz or -seg.nii.gz beside the images; point --data at the training part",
            file=str(root),
        )
    labelled = {_part_of(files) for files in everybody if files.has_mask}
    named = _identifiers(everybody, root)
    raise_problems(
        [
            DataError(f"{count} folders have this name", patient=name, file=str(root))
            for name, count in Counter(named).items()
            if count > 1
        ]
    )
    sources, problems, cautions, left_out = [], [], [], []
    for patient, files in sorted(zip(named, everybody, strict=True), key=lambda pair: pair[0]):
        if _part_of(files) not in labelled:
            left_out.append(patient)
            continue
        try:
            sources.append(_source(patient, files))
        except DataError as error:
            problems.append(error)
    if left_out:
        words = (
            "Left out, since nobody in their part of the data has a mask, as in one for "
            f"validation: {patients_in_words(len(left_out))}."
        )
        cautions.append(
            Caution(kind="left-out", grave=False, words=words, patients=tuple(left_out))
        )
    cautions += _of_odd_masks(sources, everybody)
    return Found(
        sources=tuple(sources),
        problems=tuple(problems),
        cautions=tuple(cautions),
        left_out=tuple(left_out),
    )


def _part_of(files: PatientFiles) -> tuple[Path, bool]:
    """The part of a data set that a patient is of: the folder, and whether it is for validation."""
    return files.group, _WITHOUT_MASKS.search(files.name or files.stem) is not None


def _identifiers(everybody: Sequence[PatientFiles], root: Path) -> list[str]:
    """The folder's name, or the stem of the files where folders are shared or named alike.

    A folder that is named by a time alone, as ses-2 in sub-01, is named with those above it.
    """
    by_folder = Counter(files.name for files in everybody)
    by_stem = Counter(files.stem for files in everybody)
    named = []
    for files in everybody:
        if files.name and by_folder[files.name] == 1 and not is_a_time(files.name):
            name = files.name
        elif files.stem and by_stem[files.stem] == 1:
            name = files.stem
        else:
            parts = (*files.folder.relative_to(root).parts, "" if files.name else files.stem)
            name = "_".join(part for part in parts if part) or root.name
        named.append(readable(name))
    return named


def _source(patient: str, files: PatientFiles) -> Source:
    by_kind: dict[str, Path] = {}
    named_apart = _masks_named_apart(files)
    for scan in files.scans:
        if scan in named_apart:
            continue
        if scan.kind in by_kind and not _same_image(by_kind[scan.kind], scan.path):
            raise DataError(
                f"a second file for {'the mask' if scan.kind == MASK else scan.kind} beside "
                f"{readable(by_kind[scan.kind].name)}, expected one; remove one of them",
                patient=patient,
                file=str(scan.path),
            )
        by_kind.setdefault(scan.kind, scan.path)
    if MASK not in by_kind:
        others = [
            readable(name)
            for name in sorted(os.listdir(files.folder))
            if files.name and is_nifti(name) and scan_named(Path(name)) is None
        ]
        rename = f"; if it is {others[0]}, rename that" if len(others) == 1 else ""
        raise DataError(
            "the label is missing, expected a file that ends in _seg.nii.gz or -seg.nii.gz"
            + (rename or "; leave out who has none by data.exclude"),
            patient=patient,
            file=str(files.folder),
        )
    label = by_kind.pop(MASK)
    names = (files.name, *(scan.path.name for scan in files.scans))
    newer = any(scan.newer for scan in files.scans)
    return Source(
        patient=patient,
        listed_in=files.folder,
        modalities={kind: (path, None) for kind, path in by_kind.items()},
        label=label,
        hint=Hint(family=family_of(names, newer=newer)),
    )


def _masks_named_apart(files: PatientFiles) -> list[Scan]:
    """The masks beside those that are named as all images are; what they mark is not known."""
    of_images = {scan.stem for scan in files.scans if scan.kind != MASK}
    masks = [scan for scan in files.scans if scan.kind == MASK]
    apart = [scan for scan in masks if scan.stem not in of_images]
    return apart if len(of_images) == 1 and len(apart) < len(masks) else []


def _same_image(one: Path, other: Path) -> bool:
    """Whether one is the other, compressed or not."""
    plain = {str(path).lower().removesuffix(".gz") for path in (one, other)}
    if len(plain) > 1:
        return False
    try:
        with _uncompressed(one) as first, _uncompressed(other) as second:
            while (chunk := first.read(_CHUNK)) == second.read(_CHUNK):
                if not chunk:
                    return True
    except (OSError, EOFError):
        return False  # the difference is told; what is wrong with the file is found when it is read
    return False


def _uncompressed(path: Path) -> BufferedIOBase:
    return gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb")


def _of_odd_masks(sources: Iterable[Source], everybody: Sequence[PatientFiles]) -> list[Caution]:
    """A caution about patients whose masks are named unlike their images."""
    owners = {scan.path: (scan.stem, files) for files in everybody for scan in files.scans}
    odd: dict[str, list[str]] = {_UNLIKE: [], _LONGER: [], _PREFERRED: []}
    for source in sources:
        of_images = {owners[path][0] for path, _ in source.modalities.values()}
        stem, files = owners[source.label]
        if _masks_named_apart(files):
            odd[_PREFERRED].append(source.patient)
        elif len(of_images) == 1 and stem not in of_images:
            longer = stem.startswith(of_images.pop()) and stem != files.name
            longer &= "tumo" not in source.label.name.lower()  # then the name says what it marks
            odd[_LONGER if longer else _UNLIKE].append(source.patient)
    return [
        Caution(
            kind="mask-name",
            grave=words == _LONGER,
            words=f"{words}: {patients_in_words(len(patients))}.",
            patients=tuple(patients),
        )
        for words, patients in odd.items()
        if patients
    ]


def _nothing_here(other: Counter[str], root: Path) -> str:
    if (root / "imagesTr").is_dir():
        return (
            "imagesTr lies here without dataset.json, which says what channels and labels are; put "
            "it beside imagesTr"
        )
    expected = (
        "no recognised layout: expected dataset.json (MSD, nnU-Net) or files such as "
        "NAME_flair.nii.gz or NAME-t2f.nii.gz (BraTS), a folder for each patient or all in one"
    )
    foreign = [name for name in FOREIGN if other[name]]
    if foreign:
        return f"{expected}; here are {', '.join(foreign)} files, convert them to NIfTI"
    images = [name for name in other if is_nifti(name)]
    if images:
        return (
            f"{expected}; of {readable(images[0])} and {len(images) - 1} other files the name does "
            "not say what they show"
        )
    return expected
