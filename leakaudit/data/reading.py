"""Patients of a folder one by one: from the cache where nothing has changed, else from files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache as remembered
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias, final

from leakaudit.data.layouts.sources import Found, Source
from leakaudit.data.preparing.patient import Prepared, prepare_patient
from leakaudit.data.preparing.prepared_cache import PreparedCache, key_of
from leakaudit.records import Caution

Told: TypeAlias = Callable[[str, int, int], None]
"""Hears what is read (``files``, ``headers``, ``masks``, ``patients``), how many are done, of how
many."""


def silent(what: str, done: int, total: int) -> None:
    """Tell nobody how far reading is."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class ReadPatient:
    """A prepared patient, and what is known of the arrays.

    Args:
        prepared: the patient.
        digest: SHA-256 of the arrays, verified; empty if they come from files just now.
        key: of its entry in the cache; empty without one.
    """

    prepared: Prepared
    digest: str = ""
    key: str = ""


@final
@dataclass(frozen=True, kw_only=True)
class About:
    """The facts about a whole cohort beside its patients; see `Cohort`."""

    cut_off: float
    clipped: tuple[float, ...]
    cautions: tuple[Caution, ...]
    labels: str
    together: tuple[tuple[str, ...], ...]


@final
@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a folder is read.

    Args:
        modalities: in channel order.
        crop: extent of the centre crop in voxels.
        factor: edge of a block of the area mean in voxels.
        keep: what determines the slices that are kept.
        cache: prepared patients; None to read files always.
        told: hears how far it is.
    """

    modalities: tuple[str, ...]
    crop: int
    factor: int
    keep: tuple[Any, ...]
    cache: PreparedCache | None
    told: Told
    _digests: dict[Path, str] = field(default_factory=dict)

    def identify(self, found: Found, asked: Any) -> str:
        """The key of the cohort, by what its files hold; empty without a cache or a readable file.

        Args:
            found: the patients.
            asked: what else determines how they are read.
        """
        if self.cache is None or found.problems:
            return ""
        files = {
            file: None
            for source in found.sources
            for file in (*(self._file(source, m) for m in self.modalities), source.label)
            if file is not None
        }
        self.told("files", 0, len(files))
        digests = self.cache.digests(files, lambda done, total: self.told("files", done, total))
        if digests is None:
            return ""
        self._digests.update(zip(files, digests, strict=True))
        patients = [(source.patient, self._contents(source)) for source in found.sources]
        cautions = [one.model_dump(mode="json") for one in found.cautions]
        return key_of("cohort", self._settings(), patients, cautions, found.left_out, repr(asked))

    def stored_cohort(self, key: str) -> tuple[About, list[ReadPatient]] | None:
        """Load a cohort from the cache; None if it is missing or damaged.

        Args:
            key: as of `identify`.
        """
        if self.cache is None or not key:
            return None
        stored = self.cache.load_cohort(key, lambda done, n: self.told("patients", done, n))
        if stored is None:
            return None
        about, patients = stored
        return (
            About(
                cut_off=about["cut_off"],
                clipped=tuple(about["clipped"]),
                cautions=tuple(Caution.model_validate(one) for one in about["cautions"]),
                labels=about["labels"],
                together=tuple(tuple(one) for one in about["together"]),
            ),
            [ReadPatient(prepared=one.prepared, digest=one.digest) for one in patients],
        )

    def keep_cohort(self, key: str, about: About, patients: Sequence[ReadPatient]) -> None:
        """Store what was found, if there is a cache and everybody is in it.

        Args:
            key: as of `identify`.
            about: of the cohort.
            patients: everybody.

        Raises:
            StoreError: the cache cannot be written.
        """
        if self.cache is None or not key or not all(one.key for one in patients):
            return
        plain = asdict(about) | {
            "cautions": [one.model_dump(mode="json") for one in about.cautions]
        }
        self.cache.store_cohort(key, plain, [one.key for one in patients])

    def patient(
        self,
        source: Source,
        classes: Mapping[int, int],
        chosen: Callable[[Source, Prepared], Prepared],
    ) -> ReadPatient:
        """One patient, from the cache or from the files.

        Args:
            source: where the files are.
            classes: our class of each value of the mask.
            chosen: leaves the slices that are kept.

        Raises:
            DataError: as `prepare_patient`, and as ``chosen``.
            StoreError: the cache cannot be written.
        """
        if self.cache is None or source.label not in self._digests:
            return ReadPatient(prepared=chosen(source, self._prepare(source, classes)))
        key = key_of(
            "patient",
            self._settings(),
            source.patient,
            self._contents(source),
            sorted(classes.items()),
        )
        stored = self.cache.load_patient(key)
        if stored is None:
            prepared = chosen(source, self._prepare(source, classes))
            stored = self.cache.store_patient(key, prepared)
            if stored is None:  # somebody deletes it at the same time
                return ReadPatient(prepared=prepared)
        return ReadPatient(prepared=stored.prepared, digest=stored.digest, key=key)

    def _prepare(self, source: Source, classes: Mapping[int, int]) -> Prepared:
        return prepare_patient(source, self.modalities, self.crop, self.factor, classes)

    def _settings(self) -> list[Any]:
        return [self.modalities, self.crop, self.factor, self.keep, _code()]

    def _contents(self, source: Source) -> list[Any]:
        """Return all that determines a patient: the content of the files and their names."""
        images = [
            (modality, self._digests.get(file), source.modalities[modality][1])
            for modality in self.modalities
            if (file := self._file(source, modality)) is not None
        ]
        label = self._digests.get(source.label)
        return [
            images,
            label,
            repr((source.hint.family, source.hint.names, source.hint.fault)),
            source.others,
            source.channels,
            len(source.modalities),
        ]

    @staticmethod
    def _file(source: Source, modality: str) -> Path | None:
        there = source.modalities.get(modality)
        return None if there is None else there[0]


@remembered
def _code() -> str:
    """A digest over what prepares patients: this package, and the packages that it calculates with.

    What an earlier version prepared is not taken for what this one would.
    """
    digest = hashlib.sha256()
    folder = Path(__file__).parent
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    for name in ("numpy", "scipy", "nibabel"):
        digest.update(f"{name} {version(name)}".encode())
    return digest.hexdigest()
