"""Patients from a folder of NIfTI files in a layout of MSD, nnU-Net or BraTS.

Arrays become axial slices (slice, y, x) in which heads stand upright with the forehead on top, as
the headers say; nothing is resampled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from leakaudit.data.cohort import Cohort, Patient, check_geometry
from leakaudit.data.comparing import between_patients
from leakaudit.data.findings import cautions_of
from leakaudit.data.layouts.finding import find_patients, leave_out
from leakaudit.data.layouts.sources import Found, Source, readable
from leakaudit.data.naming.labels import (
    Labels,
    LabelsAsked,
    MaskValues,
    decide_labels,
    names_at_fault,
    patients_in_words,
)
from leakaudit.data.naming.modalities import CANONICAL, canonical_modality
from leakaudit.data.preparing.patient import Prepared
from leakaudit.data.preparing.prepared_cache import PreparedCache
from leakaudit.data.preparing.survey import survey_headers, survey_masks
from leakaudit.data.reading import About, Reading, ReadPatient, Told, silent
from leakaudit.errors import ConfigError, DataError, raise_problems
from leakaudit.records import Caution


def load_folder(
    path: Path | str,
    *,
    size: int = 96,
    crop: int | None = None,
    modalities: Sequence[str] = CANONICAL,
    spatial_dims: int = 2,
    slices: Literal["tumour", "all"] = "tumour",
    max_slices: int | None = None,
    labels: LabelsAsked | None = None,
    exclude: Sequence[str] = (),
    cache: Path | None = None,
    told: Told = silent,
) -> Cohort:
    """Read and prepare every labelled patient of a folder.

    The layouts are those of `find_patients`. First all headers are read, then all masks, then all
    images; what is wrong is raised after each of these for all patients at once. A patient whose
    mask shows no tumour is left out with a caution, unless all slices are kept.

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
        labels: what the values of the masks mean, a convention's name or value to tissue; None to
            decide it by their names and the values.
        exclude: identifiers of patients to leave out.
        cache: a folder in which prepared patients are kept and looked for; None for none.
        told: hears how far it is.

    Returns:
        The cohort, patients in the order of the listing or of their names.

    Raises:
        ConfigError: an argument that cannot be.
        DataError: a folder, file or patient that is missing or bad; names patient and file.
        PatientsError: several of them.
        StoreError: the cache cannot be written.
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
    found = leave_out(find_patients(root), exclude)
    reading = Reading(
        modalities=wanted,
        crop=crop,
        factor=factor,
        keep=(spatial_dims, slices, max_slices),
        cache=None if cache is None else PreparedCache(cache),
        told=told,
    )
    key = reading.identify(found, (labels, tuple(exclude)))
    stored = reading.stored_cohort(key)
    if stored is None:
        about, patients = _read(found, reading, labels, spatial_dims, slices, max_slices)
        reading.keep_cohort(key, about, patients)
    else:
        about, patients = stored
    return Cohort(
        name=readable(root.name or root.resolve().name),
        modalities=wanted,
        patients=_stack_volumes(patients) if spatial_dims == 3 else tuple(map(_patient, patients)),
        simulated=False,
        cut_off=about.cut_off,
        clipped=about.clipped,
        cautions=about.cautions,
        labels=about.labels,
        excluded=tuple(dict.fromkeys(exclude)),
        together=about.together,
    )


def _read(
    found: Found,
    reading: Reading,
    labels: LabelsAsked | None,
    spatial_dims: int,
    slices: str,
    max_slices: int | None,
) -> tuple[About, list[ReadPatient]]:
    """Read all patients from the files, or from the cache one by one."""
    told = reading.told
    told("headers", 0, len(found.sources))
    unclear = [] if labels is not None else names_at_fault(one.hint for one in found.sources)
    headers = survey_headers(found.sources, reading.modalities)
    raise_problems([*unclear, *found.problems, *headers])
    told("masks", 0, len(found.sources))
    masks_there = survey_masks(found.sources)
    meaning = decide_labels(masks_there, labels)
    cautions = [*found.cautions, *meaning.cautions]
    sources = found.sources
    if slices == "tumour":
        sources, caution = _with_tumour(sources, masks_there, meaning)
        cautions += caution

    def chosen(source: Source, one: Prepared) -> Prepared:
        if spatial_dims == 2:
            kept = _choose_slices(one.masks, source, slices, max_slices)
        else:
            kept = _choose_window(one.masks, max_slices)
        return replace(one, images=one.images[kept], masks=one.masks[kept])

    patients: list[ReadPatient] = []
    problems = []
    told("patients", 0, len(sources))
    for number, source in enumerate(sources):
        try:
            patients.append(reading.patient(source, meaning.classes[source.patient], chosen))
        except DataError as error:
            problems.append(error)
        told("patients", number + 1, len(sources))
    raise_problems(problems)
    every = [one.prepared for one in patients]
    together, findings = between_patients(every, reading.modalities, spatial_dims)
    cautions += cautions_of({one.patient: (*one.findings, *findings[one.patient]) for one in every})
    about = About(
        cut_off=max(one.cut_off for one in every),
        clipped=tuple(max(shares) for shares in zip(*(one.clipped for one in every), strict=True)),
        cautions=tuple(cautions),
        labels=meaning.words,
        together=together,
    )
    return about, patients


def _with_tumour(
    sources: Sequence[Source], masks: Sequence[MaskValues], meaning: Labels
) -> tuple[tuple[Source, ...], list[Caution]]:
    """The patients whose masks show a tumour, and a caution about the others."""
    without = tuple(
        mask.patient
        for mask in masks
        if not any(meaning.classes[mask.patient][int(value)] for value in mask.values)
    )
    if len(without) == len(masks):
        raise DataError(f"none of the masks of {len(masks)} patients shows a tumour")
    if not without:
        return tuple(sources), []
    words = (
        f"Left out, since the mask shows no tumour, as after an operation: {len(without)} of "
        f"{patients_in_words(len(masks))}."
    )
    kept = tuple(source for source in sources if source.patient not in without)
    return kept, [Caution(kind="left-out", grave=False, words=words, patients=without)]


def _choose_slices(
    masks: NDArray[np.int8], source: Source, slices: str, cap: int | None
) -> NDArray[np.intp]:
    """Indices of the slices to keep in 2D."""
    bears = (masks > 0).any(axis=(1, 2))
    found = np.flatnonzero(bears) if slices == "tumour" else np.arange(len(masks))
    if not found.size:
        raise DataError(
            "no slice bears tumour after the crop and at this size; make data.crop or data.size "
            "larger, or leave the patient out by data.exclude",
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


def _patient(one: ReadPatient) -> Patient:
    prepared = one.prepared
    if not one.digest:
        return Patient(id=prepared.patient, images=prepared.images, masks=prepared.masks)
    return Patient.verified(
        id=prepared.patient, images=prepared.images, masks=prepared.masks, digest=one.digest
    )


def _stack_volumes(patients: Sequence[ReadPatient]) -> tuple[Patient, ...]:
    """Make (depth, m, h, w) and (depth, h, w) one volume each, all equally deep."""
    depth = -(-max(len(one.prepared.masks) for one in patients) // 16) * 16
    stacked = []
    for one in (each.prepared for each in patients):
        missing = depth - len(one.masks)
        pad = (missing // 2, missing - missing // 2)
        images = np.pad(one.images.transpose(1, 0, 2, 3), ((0, 0), pad, (0, 0), (0, 0)))
        masks = np.pad(one.masks, (pad, (0, 0), (0, 0)))
        stacked.append(Patient(id=one.patient, images=images[None], masks=masks[None]))
    return tuple(stacked)
