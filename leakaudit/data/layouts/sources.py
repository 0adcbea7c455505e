"""Where one patient's files are, and what was found out while looking for them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

from leakaudit.data.naming.labels import Hint
from leakaudit.errors import DataError
from leakaudit.records import Caution


@final
@dataclass(frozen=True, kw_only=True)
class Source:
    """Where one patient's files are.

    Args:
        patient: identifier.
        listed_in: the listing or folder that names the files.
        modalities: file and channel in it (None for a 3D file) by name.
        label: file of the mask.
        hint: what is known of the mask's values.
        others: names of images there that are none of our modalities.
        channels: how many channels a listing names; 0 if none does.
    """

    patient: str
    listed_in: Path
    modalities: Mapping[str, tuple[Path, int | None]]
    label: Path
    hint: Hint
    others: tuple[str, ...] = ()
    channels: int = 0


@final
@dataclass(frozen=True, kw_only=True)
class Found:
    """The patients of a folder.

    Args:
        sources: those whose files are there by name.
        problems: what is wrong with others.
        cautions: what a reader must know.
        left_out: identifiers of patients who have no mask.
    """

    sources: tuple[Source, ...]
    problems: tuple[DataError, ...] = ()
    cautions: tuple[Caution, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def identifiers(self) -> tuple[str, ...]:
        """The identifiers of all patients that were found."""
        named = [source.patient for source in self.sources]
        named += [problem.patient for problem in self.problems if problem.patient]
        return tuple(dict.fromkeys([*named, *self.left_out]))


def readable(name: str) -> str:
    """A file's name as text that can be written anywhere.

    A name in an older encoding, as archives from Windows leave it, is taken as Latin-1.

    Args:
        name: as the file system gives it.
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        raw = os.fsencode(name)
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return raw.decode("latin-1")
    return name
