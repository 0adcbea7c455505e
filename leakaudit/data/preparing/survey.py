"""Finds faults of all patients before any file is read whole.

All headers are read first and all masks second, so that every bad patient is named at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from leakaudit.data.layouts.sources import Source
from leakaudit.data.naming.labels import MaskValues, values_in
from leakaudit.data.nifti_files.file import read_header, read_volume
from leakaudit.data.nifti_files.header import Header
from leakaudit.errors import DataError, raise_problems


def survey_headers(sources: Iterable[Source], modalities: Sequence[str]) -> list[DataError]:
    """List the faults that the headers of all files show, for every patient.

    Args:
        sources: the patients.
        modalities: those that are read, by the project's names.
    """
    everybody = tuple(sources)
    if absent := _nobody_has(everybody, modalities):
        return absent
    problems: list[DataError] = []
    for source in everybody:
        problems += _survey(source, modalities)
    return problems


def survey_masks(sources: Iterable[Source]) -> list[MaskValues]:
    """Which values occur in the masks of all patients.

    Args:
        sources: the patients.

    Raises:
        DataError: masks that cannot be read, all of them named.
    """
    found: list[MaskValues] = []
    problems: list[DataError] = []
    for source in sources:
        try:
            volume = read_volume(source.label, patient=source.patient)
            values = values_in(volume.channel())
        except DataError as error:
            problems.append(error)
            continue
        found.append(
            MaskValues(
                patient=source.patient, file=str(source.label), hint=source.hint, values=values
            )
        )
    raise_problems(problems)
    return found


def channel_of(source: Source, modality: str, shape: tuple[int, ...]) -> int | None:
    """The channel of a modality in its file; None for a file of one modality.

    Args:
        source: the patient.
        modality: which one, by the project's name; the patient has it.
        shape: extents of the file.

    Raises:
        DataError: the shape has no such channel.
    """
    file, channel = source.modalities[modality]
    if len(shape) == 3 and channel == 0 and len(source.modalities) == 1:
        channel = None
    depth = 3 if channel is None else 4
    where = {"patient": source.patient, "file": str(file)}
    if channel is not None and len(shape) == 4 and shape[3] != source.channels:
        mend = "mend the file" if shape[3] < source.channels else "name every channel"
        raise DataError(
            f"the file holds {shape[3]} channels, and {source.listed_in.name} names "
            f"{source.channels}, so which is which is not certain; {mend}",
            **where,
        )
    if len(shape) != depth or (channel or 0) >= (*shape, 1)[3]:
        raise DataError(
            f"expected {depth} dimensions with {modality} in channel {channel or 0}, "
            f"got shape {shape}",
            **where,
        )
    return channel


def _nobody_has(sources: Sequence[Source], modalities: Sequence[str]) -> list[DataError]:
    """One problem where the one listing of all patients lacks a modality."""
    missing = [m for m in modalities if not any(m in source.modalities for source in sources)]
    listings = {source.listed_in for source in sources}
    if not missing or len(listings) != 1 or len(sources) == 1:
        return []
    return [DataError(_missing(sources[0], missing), file=str(listings.pop()))]


def _missing(source: Source, missing: Sequence[str]) -> str:
    have = ", ".join((*sorted(source.modalities), *map(repr, source.others))) or "none"
    return f"modality {', '.join(missing)} is missing, found {have}"


def _survey(source: Source, modalities: Sequence[str]) -> list[DataError]:
    """List the faults in the headers of one patient, at most one for each file."""
    missing = [modality for modality in modalities if modality not in source.modalities]
    if missing:
        return [
            DataError(
                _missing(source, missing),
                patient=source.patient,
                file=str(source.listed_in),
            )
        ]
    problems: dict[Path, DataError] = {}

    def header_of(file: Path) -> Header | None:
        try:
            return read_header(file, patient=source.patient)
        except DataError as error:
            problems[file] = error
            return None

    label = header_of(source.label)
    if label is not None and len(label.shape) != 3:
        problems[source.label] = DataError(
            f"expected a 3D label with one value for each voxel, got shape {label.shape}",
            patient=source.patient,
            file=str(source.label),
        )
    headers = {file: header_of(file) for file, _ in (source.modalities[m] for m in modalities)}
    if label is None or source.label in problems:
        return list(problems.values())
    for modality in modalities:
        file, _ = source.modalities[modality]
        header = headers[file]
        if header is not None and file not in problems:
            try:
                _check_shape(source, modality, header.shape, label.shape)
            except DataError as error:
                problems[file] = error
    extents = {header.shape[:3] for header in headers.values() if header is not None}
    if len(headers) > 1 and set(problems) == set(headers) and len(extents) == 1:
        images = extents.pop()
        first = next(header for header in headers.values() if header is not None)
        is_last = sorted(first.shape[1:]) != sorted(label.shape)
        if is_last and sorted(images) != sorted(
            label.shape
        ):  # one file is unlike all others: the label
            return [
                DataError(
                    f"shape {label.shape} of the label differs from {images} of the images",
                    patient=source.patient,
                    file=str(source.label),
                )
            ]
    return list(problems.values())


def _check_shape(
    source: Source, modality: str, shape: tuple[int, ...], label: tuple[int, ...]
) -> None:
    """Refuse an image that has not the modality, or other extents than the label."""
    where = {"patient": source.patient, "file": str(source.modalities[modality][0])}
    if len(shape) == 4 and sorted(shape[1:]) == sorted(label) != sorted(shape[:3]):
        raise DataError(
            f"shape {shape}: the channels lie along the first axis; write the file with its "
            "channels along the last one",
            **where,
        )
    channel_of(source, modality, shape)
    # The axes may be stored in another order, which the headers say.
    if sorted(shape[:3]) != sorted(label):
        raise DataError(
            f"shape {shape[:3]} of {modality} differs from the label's {label}", **where
        )
