"""Patients by the names of their files: a folder for each, or all of them in one.

Archives are unpacked in many ways, so patients are looked for a few levels down. A folder in which
nobody has a mask, as the validation part of BraTS, is left out with a caution.
"""

from __future__ import annotations

import gzip
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import BufferedIOBase
from pathlib import Path
from typing import Final, final

from leakaudit.data.labels import Hint, patients_in_words
from leakaudit.data.scan_names import MASK, Scan, family_of, is_nifti, scan_named
from leakaudit.data.sources import Found, Source, readable
from leakaudit.errors import DataError
from leakaudit.records import Caution

_DEEPEST: Final = 8
_CHUNK: Final = 2**20
_MOST_FOLDERS: Final = 20_000
_WITHOUT_MASKS: Final = re.compile(
    r"(^|[-_ ])(val|validation|test|testing)([-_ ]|$)", re.IGNORECASE
)
_NO_PATIENTS: Final = frozenset(("__MACOSX",))
_FOREIGN: Final = (".mha", ".mhd", ".nrrd", ".dcm", ".hdr", ".img", ".mgz", ".npy", ".h5")


@final
@dataclass(frozen=True, kw_only=True)
class _Files:
    """What one patient has.

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
        return any(scan.kind == MASK for scan in self.scans)


def patients_in_folders(root: Path) -> Found:
    """List the patients below a folder by the names of their files.

    Args:
        root: the folder.

    Raises:
        DataError: nothing there is a patient, or nobody has a mask.
        OSError: a folder can not be read.
    """
    everybody: list[_Files] = []
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
    everybody = _with_loose(everybody, loose, root)
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


def _part_of(files: _Files) -> tuple[Path, bool]:
    """The part of a data set that a patient is of: the folder, and whether it is for validation."""
    return files.group, _WITHOUT_MASKS.search(files.name or files.stem) is not None


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
            unknown += [ending for ending in _FOREIGN if name.lower().endswith(ending)]
    return scans, unknown


def _patients_of(folder: Path, scans: Sequence[Scan], root: Path) -> list[_Files] | None:
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
            _Files(folder=folder, group=folder, name="", stem=stem, scans=tuple(each))
            for stem, each in by_stem.items()
        ]
    if not scans:
        return []
    stem = Counter(scan.stem for scan in scans).most_common(1)[0][0]
    name = "" if folder == root else folder.name
    group = folder if folder == root else folder.parent
    return [_Files(folder=folder, group=group, name=name, stem=stem, scans=tuple(scans))]


def _with_loose(everybody: list[_Files], loose: Sequence[Scan], root: Path) -> list[_Files]:
    """Give loose files to the patients whose files are named alike; others are patients too."""
    by_stem: dict[str, list[Scan]] = {}
    for scan in loose:
        by_stem.setdefault(scan.stem, []).append(scan)
    complete = []
    for files in everybody:
        have = {scan.kind for scan in files.scans}
        given = [scan for scan in by_stem.pop(files.stem, ()) if scan.kind not in have]
        complete.append(replace(files, scans=(*files.scans, *given)))
    for stem, scans in by_stem.items():
        # A mask of nobody, as of patients whose images were not copied, is no patient.
        if any(scan.kind != MASK for scan in scans):
            complete.append(_Files(folder=root, group=root, name="", stem=stem, scans=tuple(scans)))
    return complete


def _identifiers(everybody: Sequence[_Files], root: Path) -> list[str]:
    """The folder's name, or the stem of the files where folders are shared or named alike."""
    by_folder = Counter(files.name for files in everybody)
    by_stem = Counter(files.stem for files in everybody)
    named = []
    for files in everybody:
        if files.name and by_folder[files.name] == 1:
            name = files.name
        elif files.stem and by_stem[files.stem] == 1:
            name = files.stem
        else:
            parts = (*files.folder.relative_to(root).parts, "" if files.name else files.stem)
            name = "_".join(part for part in parts if part) or root.name
        named.append(readable(name))
    return named


def _source(patient: str, files: _Files) -> Source:
    by_kind: dict[str, Path] = {}
    for scan in files.scans:
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
            + rename,
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


def _of_odd_masks(sources: Iterable[Source], everybody: Sequence[_Files]) -> list[Caution]:
    """A caution about patients whose masks are named unlike their images."""
    stems = {scan.path: scan.stem for files in everybody for scan in files.scans}
    odd = []
    for source in sources:
        of_images = {stems[path] for path, _ in source.modalities.values()}
        if len(of_images) == 1 and stems[source.label] not in of_images:
            odd.append(source.patient)
    if not odd:
        return []
    words = (
        "A mask is named unlike the images, as that of patient 355 of BraTS 2020; the only one in "
        f"the folder was taken: {patients_in_words(len(odd))}."
    )
    return [Caution(kind="mask-name", grave=False, words=words, patients=tuple(odd))]


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
    foreign = [name for name in _FOREIGN if other[name]]
    if foreign:
        return f"{expected}; here are {', '.join(foreign)} files, convert them to NIfTI"
    images = [name for name in other if is_nifti(name)]
    if images:
        return (
            f"{expected}; of {readable(images[0])} and {len(images) - 1} other files the name does "
            "not say what they show"
        )
    return expected
