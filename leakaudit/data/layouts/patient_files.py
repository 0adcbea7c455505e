"""The files of patients that have no listing: found a few levels down and put together by name."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, final

from leakaudit.data.naming.scan_names import (
    MASK,
    Scan,
    is_nifti,
    kind_of_folder,
    scan_named,
    stem_of,
    with_contrast,
)
from leakaudit.errors import DataError

FOREIGN: Final = (".mha", ".mhd", ".nrrd", ".dcm", ".hdr", ".img", ".mgz", ".npy", ".h5")
"""Endings of images in other formats."""

_DEEPEST: Final = 8
_MOST_FOLDERS: Final = 20_000
_NO_PATIENTS: Final = frozenset(("__MACOSX",))


@final
@dataclass(frozen=True, kw_only=True)
class PatientFiles:
    """The files of one patient.

    Args:
        folder: where.
        group: folder whose patients belong together: all of a group have masks, or none.
        name: of the patient's own folder; empty where the folder is shared.
        stem: what the files' names have in common.
        scans: the files.
    """

    folder: Path
    group: Path
    name: str
    stem: str
    scans: tuple[Scan, ...]

    @property
    def has_mask(self) -> bool:
        """Whether something marks the tumour."""
        return any(scan.kind == MASK for scan in self.scans)


def files_below(root: Path) -> tuple[list[PatientFiles], Counter[str]]:
    """The files of every patient, and how often other files occur.

    Args:
        root: the folder.

    Returns:
        The patients, and the names of other NIfTI files and endings of images in other formats.

    Raises:
        DataError: more folders lie below than a data set has.
        OSError: a folder cannot be read.
    """
    everybody: list[PatientFiles] = []
    loose: list[Scan] = []  # in folders that hold one kind, such as all masks
    other: Counter[str] = Counter()
    for folder in _walk(root):
        scans, unknown = _scans(folder)
        other.update(unknown)
        found = _patients_of(folder, scans, root)
        if found is None:
            loose += scans
        else:
            everybody += found
    complete = []
    for files in _in_several_folders(everybody, root):
        if files.name and files.stem and all(scan.kind == MASK for scan in files.scans):
            loose += files.scans  # beside the images' folders, as BIDS has masks as derivatives
        else:
            complete.append(files)
    return _with_loose(complete, loose, root), other


def _in_several_folders(everybody: list[PatientFiles], root: Path) -> list[PatientFiles]:
    """Put together who has a folder for each file, as BraTS 2013 (VSD) and EGD have it.

    Folders below one are one patient's if none shows what another shows, at most one holds more
    than one kind, and their files are not named apart.
    """
    for above in range(2):
        by_folder: dict[Path, list[PatientFiles]] = {}
        for files in everybody:
            by_folder.setdefault(files.folder.parents[above], []).append(files)
        put = []
        for folder, parts in by_folder.items():
            scans = [scan for files in parts for scan in files.scans]
            kinds = {scan.kind for scan in scans}
            stems = {scan.stem for scan in scans} - {""}
            single = sum(len(files.scans) == 1 for files in parts)
            is_one = len(kinds) == len(scans) and len(stems) < 2 and single >= len(parts) - 1
            if len(parts) > 1 and is_one and root in folder.parents:
                put.append(
                    PatientFiles(
                        folder=folder,
                        group=folder.parent,
                        name=folder.name,
                        stem=next(iter(stems), ""),
                        scans=tuple(scans),
                    )
                )
            else:
                put += parts
        everybody = put
    return everybody


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, hidden ones and those of archives' own notes left out."""
    found = []
    for name in sorted(os.listdir(folder)):
        # os.path.isdir: False, not an error, for a link that leads round in a circle.
        if not name.startswith(".") and name not in _NO_PATIENTS and os.path.isdir(folder / name):
            found.append(folder / name)
    return found


def _walk(root: Path) -> Iterator[Path]:
    """The folder and those below it, no folder twice: a link to a parent does no harm."""
    visited: set[str] = set()
    level = [root]
    for _ in range(_DEEPEST + 1):
        below: list[Path] = []
        for folder in level:
            real = os.path.realpath(folder)
            if real not in visited:
                visited.add(real)
                if len(visited) > _MOST_FOLDERS:
                    raise DataError(
                        f"more than {_MOST_FOLDERS} folders lie below; point --data nearer",
                        file=str(root),
                    )
                yield folder
                below += subfolders(folder)
        level = below


def _scans(folder: Path) -> tuple[list[Scan], list[str]]:
    """The files of a folder that show something, and the endings or names of the others."""
    scans, unknown = [], []
    for name in sorted(os.listdir(folder)):
        path = folder / name
        if is_nifti(name) and os.path.isdir(path):
            # Some tools unpack x_flair.nii.gz to a folder x_flair.nii with the file in it.
            inside = [path / each for each in sorted(os.listdir(path)) if is_nifti(each)]
            scan = scan_named(path)
            if scan is not None and len(inside) == 1:
                scans.append(replace(scan, path=inside[0]))
            continue
        if scan := scan_named(path):
            scans.append(scan)
        elif is_nifti(name):
            unknown.append(name)
        else:
            unknown += [ending for ending in FOREIGN if name.lower().endswith(ending)]
    images = [name for name in unknown if is_nifti(name)]
    if images and not scans and (kind := kind_of_folder(folder.name)):
        scans = [
            Scan(path=folder / name, stem=stem_of(name), kind=kind, newer=False) for name in images
        ]
        unknown = [name for name in unknown if name not in images]
    return scans, unknown


def _patients_of(folder: Path, scans: Sequence[Scan], root: Path) -> list[PatientFiles] | None:
    """The patients of one folder; None if its files are one of a kind for many patients."""
    if is_nifti(folder.name):
        return []  # the file in it was taken as the folder's
    by_stem: dict[str, list[Scan]] = {}
    for scan in scans:
        by_stem.setdefault(scan.stem, []).append(scan)
    kinds = {stem: {scan.kind for scan in each} for stem, each in by_stem.items()}
    repeated = len({scan.kind for scan in scans}) < len({(s.stem, s.kind) for s in scans})
    if repeated and all(len(each) == 1 for each in kinds.values()):
        return None
    if repeated and sum(len(each) > 1 for each in kinds.values()) > 1:
        return [
            PatientFiles(folder=folder, group=folder, name="", stem=stem, scans=tuple(each))
            for stem, each in by_stem.items()
        ]
    if not scans:
        return []
    scans = with_contrast(scans)
    stem = Counter(scan.stem for scan in scans).most_common(1)[0][0]
    name = "" if folder == root else folder.name
    group = folder if folder == root else folder.parent
    return [PatientFiles(folder=folder, group=group, name=name, stem=stem, scans=tuple(scans))]


def _with_loose(
    everybody: list[PatientFiles], loose: Sequence[Scan], root: Path
) -> list[PatientFiles]:
    """Give loose files to the patients whose files are named alike; others are patients too."""
    by_stem: dict[str, list[Scan]] = {}
    for scan in loose:
        by_stem.setdefault(scan.stem, []).append(scan)
    patients = Counter(files.stem for files in everybody if files.stem)
    complete = []
    for files in everybody:
        have = {scan.kind for scan in files.scans}
        loose_ones = by_stem.pop(files.stem, []) if patients[files.stem] == 1 else []
        given = [scan for scan in loose_ones if scan.kind not in have]
        complete.append(replace(files, scans=(*files.scans, *given)))
    shared = Counter(scan.path.parent for scan in loose)
    for stem, scans in by_stem.items():
        folder = scans[0].path.parent
        if len(scans) == 1 and shared[folder] == 1:  # a patient's folder without the images
            complete.append(
                PatientFiles(
                    folder=folder,
                    group=folder.parent,
                    name=folder.name,
                    stem=stem,
                    scans=tuple(scans),
                )
            )
            continue
        # A mask of nobody, as of patients whose images were not copied, is not a patient.
        if any(scan.kind != MASK for scan in scans):
            complete.append(
                PatientFiles(folder=root, group=root, name="", stem=stem, scans=tuple(scans))
            )
    return complete
