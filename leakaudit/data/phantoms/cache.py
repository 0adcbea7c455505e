"""Finished phantom cohorts on disk: a cache that is never trusted."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from leakaudit.data.cohort import Cohort, Patient
from leakaudit.data.naming.modalities import CANONICAL
from leakaudit.errors import DataError, StoreError


def load_cached(folder: Path, key: Mapping[str, object]) -> Cohort | None:
    """The cohort stored under ``key``, or None if there is none or it is damaged."""
    file = _entry(folder, key)
    try:
        # Opened here, since np.load leaves a damaged file open.
        with file.open("rb") as handle, np.load(handle, allow_pickle=False) as stored:
            if str(stored["key"]) != _text(key):
                return None
            ids, images, masks = stored["ids"], stored["images"], stored["masks"]
            fingerprint = str(stored["fingerprint"])
        if not len(ids) == len(images) == len(masks):
            return None
        patients = tuple(
            Patient(id=str(i), images=image, masks=mask)
            for i, image, mask in zip(ids, images, masks, strict=True)
        )
        cohort = Cohort(name="phantom", modalities=CANONICAL, patients=patients, simulated=True)
    # A damaged file makes zipfile and numpy raise anything: it is rebuilt, not explained.
    except (OSError, ValueError, KeyError, EOFError, IndexError, TypeError, NotImplementedError):
        return None
    except (zipfile.BadZipFile, zlib.error, DataError):
        return None
    return cohort if cohort.fingerprint == fingerprint else None


def store_cached(folder: Path, key: Mapping[str, object], cohort: Cohort) -> None:
    """Write the cohort under ``key``: complete or not at all.

    Raises:
        StoreError: the folder cannot be made or written.
    """
    file = _entry(folder, key)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, partial = tempfile.mkstemp(dir=folder, prefix=".phantom-", suffix=".partial")
        try:
            with os.fdopen(descriptor, "wb") as handle:
                np.savez(
                    handle,
                    key=np.array(_text(key)),
                    fingerprint=np.array(cohort.fingerprint),
                    ids=np.array(cohort.ids),
                    images=np.stack([patient.images for patient in cohort.patients]),
                    masks=np.stack([patient.masks for patient in cohort.patients]),
                )
            os.replace(partial, file)
        except BaseException:
            Path(partial).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StoreError(
            f"the phantom cache {folder} cannot be written ({error.strerror or error}); "
            "choose another folder or none"
        ) from None


def _text(key: Mapping[str, object]) -> str:
    return json.dumps(dict(key), sort_keys=True)


def _entry(folder: Path, key: Mapping[str, object]) -> Path:
    return folder / f"phantom-{hashlib.sha256(_text(key).encode()).hexdigest()[:16]}.npz"
