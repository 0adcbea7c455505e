"""Where each patient's files are in a folder: MSD Task01_BrainTumour or BraTS 2018 to 2023."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from leakaudit.data.labels import BRATS_2018, BRATS_2023, values_by_name
from leakaudit.data.modalities import canonical_modality
from leakaudit.errors import ConfigError, DataError

_MAX_JSON: Final = 2**24
_BRATS_FILE: Final = re.compile(
    r"(?P<stem>.+)(?P<joint>[-_])(?P<kind>flair|t1ce|t1c|t1gd|t1n|t1w|t1|t2f|t2w|t2|seg)\.nii(\.gz)?",
    re.IGNORECASE,
)


@final
@dataclass(frozen=True, kw_only=True)
class Source:
    """Where one patient's files are.

    Args:
        patient: identifier.
        listed_in: the listing or folder that names the files.
        modalities: file and channel in it (None for a 3D file) by name.
        label: file of the mask.
        label_values: their classes to ours.
    """

    patient: str
    listed_in: Path
    modalities: Mapping[str, tuple[Path, int | None]]
    label: Path
    label_values: Mapping[int, int]


def find_patients(root: Path) -> list[Source]:
    """Recognise the layout and list the patients.

    Args:
        root: the folder.

    Raises:
        DataError: a folder or listing that is missing, bad or not recognised.
    """
    try:
        if not stat.S_ISDIR(os.stat(root).st_mode):
            raise DataError("expected a folder of patients, this is not a folder", file=str(root))
        listing = root / "dataset.json"
        if os.path.lexists(listing):
            return _msd_patients(root, listing)
        sources = _brats_patients(root)
    except OSError as error:
        raise DataError(
            f"the data folder can not be read ({error.strerror})", file=str(error.filename or root)
        ) from None
    if not sources:
        raise DataError(
            "no recognised layout: expected dataset.json (MSD) or a folder per patient with files "
            "such as NAME_flair.nii.gz or NAME-t2f.nii.gz (BraTS)",
            file=str(root),
        )
    return sources


def _msd_patients(root: Path, listing: Path) -> list[Source]:
    """The ``training`` entries of ``dataset.json``."""

    def refuse(message: str) -> DataError:
        return DataError(message, file=str(listing))

    status = os.stat(listing)
    if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_JSON:
        raise refuse(f"expected a regular file of at most {_MAX_JSON} bytes")
    try:
        content = json.loads(listing.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise refuse(f"not valid JSON ({error})") from None
    fields: dict[str, Any] = content if isinstance(content, dict) else {}
    named, training = fields.get("modality"), fields.get("training")
    if not isinstance(named, dict) or not isinstance(training, list) or not training:
        raise refuse("expected 'modality' (a mapping) and 'training' (a list with entries)")
    channels: dict[str, int] = {}
    for key, name in named.items():
        try:
            modality, channel = canonical_modality(str(name)), int(key)
        except (ConfigError, ValueError):
            raise refuse(f"modality {key!r}: {name!r} is not a channel and a known name") from None
        if modality in channels or not 0 <= channel < 2**15:
            raise refuse(f"modality {key!r}: {name!r} occurs twice or has a bad channel number")
        channels[modality] = channel
    labels = values_by_name(fields.get("labels"), listing)
    sources = []
    for entry in training:
        given = entry if isinstance(entry, dict) else {}
        image, label = given.get("image"), given.get("label")
        if not isinstance(image, str):
            raise refuse(f"training entry {entry!r} names no image")
        patient = re.sub(r"\.nii(\.gz)?$", "", Path(image).name, flags=re.IGNORECASE)
        if not isinstance(label, str):
            raise DataError("the training entry names no label", patient=patient, file=str(listing))
        for named_path in (image, label):
            if Path(named_path).is_absolute() or ".." in Path(named_path).parts:
                raise DataError(
                    "paths in dataset.json must lie inside its folder",
                    patient=patient,
                    file=named_path,
                )
        files = {modality: (root / image, channel) for modality, channel in channels.items()}
        sources.append(
            Source(
                patient=patient,
                listed_in=listing,
                modalities=files,
                label=root / label,
                label_values=labels,
            )
        )
    return sources


def _brats_patients(root: Path) -> list[Source]:
    """Folders with BraTS-named files, at most two levels below ``root``."""
    sources = []
    visited: set[str] = set()
    # Two levels and no more, and no folder twice: a link back to a parent folder does no harm.
    for level in (root, *_subfolders(root)):
        for folder in _subfolders(level):
            files = [found for name in sorted(os.listdir(folder)) if (found := _match(name))]
            real = os.path.realpath(folder)
            if files and real not in visited:
                visited.add(real)
                sources.append(_brats_patient(folder, files))
    return sorted(sources, key=lambda source: source.patient)


def _subfolders(folder: Path) -> list[Path]:
    found = []
    for name in sorted(os.listdir(folder)):
        # os.path.isdir: False, not an error, for a link that leads round in a circle.
        if not name.startswith(".") and os.path.isdir(folder / name):
            found.append(folder / name)
    return found


def _match(name: str) -> re.Match[str] | None:
    return None if name.startswith(".") else _BRATS_FILE.fullmatch(name)


def _brats_patient(folder: Path, files: Sequence[re.Match[str]]) -> Source:
    by_kind: dict[str, Path] = {}
    newer = False
    for match in files:
        kind = match["kind"].lower()
        newer = newer or kind in ("t1n", "t2f") or match["joint"] == "-"
        key = kind if kind == "seg" else canonical_modality(kind)
        if key in by_kind:
            raise DataError(
                f"a second file for {key}, expected one", patient=folder.name, file=match.string
            )
        by_kind[key] = folder / match.string
    if "seg" not in by_kind:
        raise DataError(
            "the label is missing, expected a file that ends in _seg.nii.gz or -seg.nii.gz",
            patient=folder.name,
            file=str(folder),
        )
    label = by_kind.pop("seg")
    return Source(
        patient=folder.name,
        listed_in=folder,
        modalities={key: (file, None) for key, file in by_kind.items()},
        label=label,
        label_values=BRATS_2023 if newer else BRATS_2018,
    )
