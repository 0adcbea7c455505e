"""Where each patient's files are in a folder.

A dataset.json lists them (MSD, nnU-Net), in the folder itself or somewhere below. Without one they
go by their names: a folder for each patient as in BraTS, or all patients' files in one folder.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from leakaudit.data.layouts.folders import patients_in_folders
from leakaudit.data.layouts.listings import patients_listed
from leakaudit.data.layouts.patient_files import subfolders
from leakaudit.data.layouts.sources import Found
from leakaudit.errors import ConfigError, DataError
from leakaudit.spelling import nearest

_LISTING: Final = "dataset.json"
_DEEPEST: Final = 3  # levels below the folder in which a listing is looked for
_MANY_FOLDERS: Final = 50  # then these are patients, not archives


def find_patients(root: Path) -> Found:
    """Recognise the layout and list the patients.

    Args:
        root: the folder.

    Raises:
        DataError: a folder or listing that is missing, bad or not recognised.
    """
    try:
        if not stat.S_ISDIR(os.stat(root).st_mode):
            raise DataError("expected a folder of patients, this is not a folder", file=str(root))
        listings = _listings(root)
        if len(listings) > 1:
            names = ", ".join(str(listing.parent.relative_to(root)) for listing in listings[:5])
            raise DataError(
                f"several folders below have a {_LISTING} ({names}); point --data at one of them",
                file=str(root),
            )
        return patients_listed(listings[0]) if listings else patients_in_folders(root)
    except OSError as error:
        raise DataError(
            f"the data folder cannot be read ({error.strerror})", file=str(error.filename or root)
        ) from None


def leave_out(found: Found, exclude: Iterable[str]) -> Found:
    """The patients that the user does not exclude.

    Args:
        found: all of them.
        exclude: identifiers of those to leave out, bad ones as well.

    Raises:
        ConfigError: an identifier that nobody has; the message names the nearest.
        DataError: nobody is left.
    """
    out = tuple(exclude)
    known = found.identifiers
    for patient in out:
        if patient not in known:
            raise ConfigError(
                f"exclude names {patient!r}, who is not among the {len(known)} patients"
                f"{nearest(patient, known)}"
            )
    kept = Found(
        sources=tuple(source for source in found.sources if source.patient not in out),
        problems=tuple(one for one in found.problems if one.patient not in out),
        cautions=found.cautions,
        left_out=found.left_out,
    )
    if not kept.sources and not kept.problems:
        raise DataError(f"all {len(known)} patients are excluded, expected some to be left")
    return kept


def _listings(root: Path) -> list[Path]:
    """The listing of the folder, or all that lie in folders below it."""
    level = [root]
    for _ in range(_DEEPEST + 1):
        found = [folder / _LISTING for folder in level if os.path.lexists(folder / _LISTING)]
        if found:
            return found
        level = [below for folder in level for below in subfolders(folder)]
        if len(level) > _MANY_FOLDERS:
            break
    return []
