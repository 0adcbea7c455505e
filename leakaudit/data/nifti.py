"""Patients from a folder of NIfTI files: MSD Task01_BrainTumour or BraTS 2018 to 2023.

The third axis of a file is the slice axis. Arrays become (slice, y, x), so that BraTS patients
stand upright with the forehead on top; nothing is flipped or resampled.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, final

import numpy as np
from numpy.typing import NDArray

from leakaudit.data._nifti_file import Volume, read_volume
from leakaudit.data.cohort import (
    CANONICAL,
    Cohort,
    Patient,
    area_mean,
    canonical_modality,
    centre_crop,
    check_geometry,
    normalise,
    thin_masks,
)
from leakaudit.errors import ConfigError, DataError

_MAX_JSON: Final = 2**24
_BRATS_FILE: Final = re.compile(
    r"(?P<stem>.+)(?P<joint>[-_])(?P<kind>flair|t1ce|t1c|t1gd|t1n|t1w|t1|t2f|t2w|t2|seg)\.nii(\.gz)?",
    re.IGNORECASE,
)
# Ours: 1 edema, 2 non-enhancing, 3 enhancing.
_MSD_LABELS: Final = {0: 0, 1: 1, 2: 2, 3: 3}
_BRATS_2018_LABELS: Final = {0: 0, 1: 2, 2: 1, 4: 3}
# From 2023 on (files named -t1n): 4 there would be a resection cavity, which we have no class for.
_BRATS_2023_LABELS: Final = {0: 0, 1: 2, 2: 1, 3: 3}


@final
@dataclass(frozen=True, kw_only=True)
class _Source:
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


def load_folder(
    path: Path | str,
    *,
    size: int = 96,
    crop: int | None = None,
    modalities: Sequence[str] = CANONICAL,
    spatial_dims: int = 2,
    slices: Literal["tumour", "all"] = "tumour",
    max_slices: int | None = None,
) -> Cohort:
    """Read and prepare every labelled patient of a folder.

    Two layouts are recognised: MSD (``dataset.json`` with ``modality``, ``labels``, ``training``;
    4D images) and BraTS (a folder per patient, such as ``Brats18_X_1_flair.nii.gz`` or
    ``BraTS-GLI-00000-000-t1n.nii.gz``; patients may lie one folder deeper, as in HGG and LGG).

    Args:
        path: the folder.
        size: output extent in pixels, a positive multiple of 16.
        crop: extent of the centre crop in voxels, a whole multiple of ``size``; None for twice it.
        modalities: names or aliases in the wanted channel order.
        spatial_dims: 2 for slices, 3 for volumes. Volumes keep their slice spacing (the area mean
            is in-plane); all get the depth of the deepest, rounded up to a multiple of 16, padded
            centrally with 0.
        slices: in 2D, keep the tumour-bearing slices or all of them.
        max_slices: in 2D, at most so many, evenly spaced; in 3D, at most so many contiguous ones
            around the tumour. None for no cap.

    Returns:
        The cohort, patients in the order of the listing or of their names.

    Raises:
        ConfigError: an argument that can not be.
        DataError: a folder, file or patient that is missing or bad; names patient and file.
    """
    crop, factor = check_geometry(size, crop)
    wanted = tuple(canonical_modality(name) for name in modalities)
    if not wanted or len(set(wanted)) != len(wanted):
        raise ConfigError(f"modalities must be named once each, got {tuple(modalities)}")
    if spatial_dims not in (2, 3):
        raise ConfigError(f"spatial_dims must be 2 or 3, got {spatial_dims}")
    if slices not in ("tumour", "all"):
        raise ConfigError(f"slices must be 'tumour' or 'all', got {slices!r}")
    if max_slices is not None and max_slices < 1:
        raise ConfigError(f"max_slices must be at least 1, got {max_slices}")
    root = Path(path)
    prepared, cut_off = [], 0.0
    for source in _find_patients(root):
        images, masks, lost = _prepare(source, wanted, crop, factor)
        cut_off = max(cut_off, lost)
        if spatial_dims == 2:
            keep = _choose_slices(masks, source, slices, max_slices)
        else:
            keep = _choose_window(masks, max_slices)
        prepared.append((source.patient, images[keep], masks[keep]))
    if spatial_dims == 3:
        prepared = _stack_volumes(prepared)
    patients = tuple(Patient(id=name, images=i, masks=m) for name, i, m in prepared)
    name = root.name or root.resolve().name
    return Cohort(name=name, modalities=wanted, patients=patients, simulated=False, cut_off=cut_off)


def _find_patients(root: Path) -> list[_Source]:
    """Recognise the layout and list the patients."""
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


def _msd_patients(root: Path, listing: Path) -> list[_Source]:
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
    labels = _msd_labels(fields.get("labels"), listing)
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
            _Source(
                patient=patient,
                listed_in=listing,
                modalities=files,
                label=root / label,
                label_values=labels,
            )
        )
    return sources


def _msd_labels(named: Any, listing: Path) -> dict[int, int]:
    """Map the label values of ``dataset.json`` to ours by their names."""
    if named is None:
        return dict(_MSD_LABELS)
    mapping: dict[int, int] = {}
    for key, name in named.items() if isinstance(named, dict) else ():
        text = str(name).lower()
        if "background" in text:
            ours = 0
        elif "edema" in text or "oedema" in text:
            ours = 1
        elif "non-enhancing" in text or "nonenhancing" in text or "necro" in text:
            ours = 2
        elif "enhancing" in text:
            ours = 3
        else:
            ours = -1
        if ours < 0 or not re.fullmatch("[0-9]{1,5}", str(key)) or ours in mapping.values():
            raise DataError(f"label {key!r}: {name!r} is unknown or twice", file=str(listing))
        mapping[int(key)] = ours
    if not mapping:
        raise DataError("expected 'labels' to map values to names", file=str(listing))
    return {0: 0, **mapping}


def _brats_patients(root: Path) -> list[_Source]:
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


def _brats_patient(folder: Path, files: Sequence[re.Match[str]]) -> _Source:
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
    return _Source(
        patient=folder.name,
        listed_in=folder,
        modalities={key: (file, None) for key, file in by_kind.items()},
        label=label,
        label_values=_BRATS_2023_LABELS if newer else _BRATS_2018_LABELS,
    )


def _prepare(
    source: _Source, wanted: Sequence[str], crop: int, factor: int
) -> tuple[NDArray[np.float32], NDArray[np.int8], float]:
    """All slices of one patient: images ``(slices, m, y, x)``, masks ``(slices, y, x)``, cut off.

    The last is the largest share of a modality's nonzero voxels that the crop leaves out.
    """
    spatial, masks = _read_masks(source, crop, factor)
    read: dict[Path, Volume] = {}
    channels, cut_off = [], 0.0
    for modality in wanted:
        if modality not in source.modalities:
            have = ", ".join(sorted(source.modalities)) or "none"
            raise DataError(
                f"modality {modality} is missing, found {have}",
                patient=source.patient,
                file=str(source.listed_in),
            )
        file, channel = source.modalities[modality]
        where = {"patient": source.patient, "file": str(file)}
        if file not in read:
            read[file] = read_volume(file, patient=source.patient)
        volume = read[file]
        if len(volume.shape) == 3 and channel == 0 and len(source.modalities) == 1:
            channel = None
        depth = 3 if channel is None else 4
        if len(volume.shape) != depth or (channel or 0) >= (*volume.shape, 1)[3]:
            raise DataError(
                f"expected {depth} dimensions with {modality} in channel {channel or 0}, "
                f"got shape {volume.shape}",
                **where,
            )
        if volume.shape[:3] != spatial:
            raise DataError(
                f"shape {volume.shape[:3]} of {modality} differs from the label's {spatial}",
                **where,
            )
        values = volume.channel(channel)
        try:
            cropped = centre_crop(values.T, crop)
            prepared = normalise(area_mean(cropped, factor))
        except DataError as error:
            raise DataError(f"{modality}: {error}", **where) from None
        if not prepared.any():
            raise DataError(f"{modality} is zero everywhere in the cropped volume", **where)
        channels.append(prepared)
        cut_off = max(cut_off, 1 - np.count_nonzero(cropped) / np.count_nonzero(values))
    return np.stack(channels, axis=1), masks, cut_off


def _read_masks(
    source: _Source, crop: int, factor: int
) -> tuple[tuple[int, ...], NDArray[np.int8]]:
    """Spatial shape of the file (x, y, z), and the mask in our classes ``(slices, y, x)``."""
    volume = read_volume(source.label, patient=source.patient)
    where = {"patient": source.patient, "file": str(source.label)}
    if len(volume.shape) != 3:
        raise DataError(f"expected a 3D label, got shape {volume.shape}", **where)
    values = volume.channel()
    present = np.unique(values)
    label_values = dict(source.label_values)
    if label_values == _BRATS_2018_LABELS and 4 not in present:
        # Copies of BraTS 2018 to 2021 are often relabelled 4 -> 3; never both in one file.
        label_values = dict(_BRATS_2023_LABELS)
    unknown = [f"{value:g}" for value in present.tolist() if value not in label_values]
    if unknown:
        raise DataError(
            f"label values {', '.join(unknown[:8])} are outside {sorted(label_values)}", **where
        )
    masks = np.zeros(values.shape, np.int8)
    for theirs, ours in label_values.items():
        masks[values == theirs] = ours
    thinned = thin_masks(centre_crop(masks.T, crop), factor)
    return volume.shape, np.ascontiguousarray(thinned, dtype=np.int8)


def _choose_slices(
    masks: NDArray[np.int8], source: _Source, slices: str, cap: int | None
) -> NDArray[np.intp]:
    """Indices of the slices to keep in 2D."""
    bears = (masks > 0).any(axis=(1, 2))
    found = np.flatnonzero(bears) if slices == "tumour" else np.arange(len(masks))
    if not found.size:
        raise DataError(
            "no slice bears tumour after the crop; leave the patient out or use slices='all'",
            patient=source.patient,
            file=str(source.label),
        )
    if cap is None or cap >= len(found):
        return found
    # The middles of `cap` equal parts: no two alike, and the middle slice for a cap of one.
    return found[((np.arange(cap) + 0.5) * len(found) / cap).astype(np.intp)]


def _choose_window(masks: NDArray[np.int8], cap: int | None) -> NDArray[np.intp]:
    """Indices of the slices to keep in 3D: contiguous, around the middle of the tumour."""
    depth = len(masks)
    if cap is None or cap >= depth:
        return np.arange(depth)
    tumour = np.flatnonzero((masks > 0).any(axis=(1, 2)))
    centre = int(tumour[0] + tumour[-1] + 1) // 2 if tumour.size else depth // 2
    start = min(max(centre - cap // 2, 0), depth - cap)
    return np.arange(start, start + cap)


def _stack_volumes(
    prepared: Sequence[tuple[str, NDArray[np.float32], NDArray[np.int8]]],
) -> list[tuple[str, NDArray[np.float32], NDArray[np.int8]]]:
    """Make (depth, m, h, w) and (depth, h, w) one volume each, all equally deep."""
    depth = -(-max(len(masks) for _, _, masks in prepared) // 16) * 16
    stacked = []
    for name, images, masks in prepared:
        missing = depth - len(masks)
        pad = (missing // 2, missing - missing // 2)
        images = np.pad(images.transpose(1, 0, 2, 3), ((0, 0), pad, (0, 0), (0, 0)))
        stacked.append((name, images[None], np.pad(masks, (pad, (0, 0), (0, 0)))[None]))
    return stacked
