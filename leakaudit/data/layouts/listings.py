"""Patients listed by a dataset.json: MSD (4D images), nnU-Net v1 (a file for each channel) and v2.

What other programs write a little differently is taken for what it is: a byte order mark, UTF-16,
backslashes, absolute paths into the folder, an image as a list of files.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, final

from leakaudit.data.layouts.announced import for_validation, with_what_is_announced
from leakaudit.data.layouts.listed_images import (
    NOT_NAMED,
    Channels,
    channels_named,
    common_stem,
    modalities_in,
)
from leakaudit.data.layouts.listed_labels import tissues_listed
from leakaudit.data.layouts.listed_paths import listed_path
from leakaudit.data.layouts.sources import Found, Source, readable
from leakaudit.data.naming.labels import Hint, patients_in_words
from leakaudit.data.naming.scan_names import family_of, is_nifti
from leakaudit.errors import DataError, raise_problems
from leakaudit.records import Caution

_MAX_JSON: Final = 2**24
_OF_MSD: Final = re.compile(r"BRATS_\d{3}(_\d{4})?\.nii")  # Task01_BrainTumour


@final
@dataclass(frozen=True, kw_only=True)
class _Listing:
    """The facts of a listing that hold for all of its patients.

    Args:
        file: the listing.
        channels: which channel is which modality.
        hint: what it says of the masks' values; None if nothing.
    """

    file: Path
    channels: Channels
    hint: Hint | None

    @property
    def root(self) -> Path:
        return self.file.parent

    def source(self, patient: str, images: list[Path], label: Path) -> Source:
        """One patient, from a 4D image or from one file for each channel."""
        return Source(
            patient=patient,
            listed_in=self.file,
            modalities=modalities_in(images, self.channels, patient=patient),
            label=label,
            hint=self.hint or _hint_of_names(self.file, (*images, label)),
            others=self.channels.others,
            channels=self.channels.count,
        )


def patients_listed(file: Path) -> Found:
    """The labelled patients that a listing names.

    Args:
        file: the dataset.json.

    Raises:
        DataError: it cannot be read, or says of all patients what cannot be.
        OSError: likewise, as the system says it.
    """
    fields = _read(file)
    listing = _listing(file, fields)
    training = fields.get("training")
    if training is None and "channel_names" in fields:
        cases = fields.get("dataset")
        if isinstance(cases, dict) and cases:
            return with_what_is_announced(_entries(listing, cases.items()), fields)
        return with_what_is_announced(_cases(listing, fields), fields)
    if not isinstance(training, list) or not training:
        raise _refused(file, "expected 'modality' (a mapping) and 'training' (a list with entries)")
    found = _entries(listing, [(None, entry) for entry in (*training, *for_validation(fields))])
    return with_what_is_announced(found, fields)


def _entries(listing: _Listing, entries: Iterable[tuple[str | None, Any]]) -> Found:
    """The patients of some entries, each with its name if the listing gives one."""
    sources, problems = [], []
    for name, entry in entries:
        try:
            source = _entry(listing, entry, name)
        except DataError as error:
            problems.append(error)
            continue
        if source is not None:
            sources.append(source)
    sources = _told_apart(sources, listing.root)
    raise_problems(_twice(sources, listing.file))
    return Found(sources=tuple(sources), problems=tuple(problems))


def _refused(file: Path, message: str) -> DataError:
    return DataError(message, file=str(file))


def _read(file: Path) -> dict[str, Any]:
    """The content of a listing, in any encoding."""
    status = os.stat(file)
    if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_JSON:
        raise _refused(file, f"expected a regular file of at most {_MAX_JSON} bytes")
    raw = file.read_bytes()
    wide = raw.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        # Bytes that are not UTF-8 stay what they are: files may be named by the same bytes.
        text = raw.decode("utf-16") if wide else raw.decode("utf-8-sig", "surrogateescape")
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _refused(file, f"not valid JSON ({error})") from None
    return content if isinstance(content, dict) else {}


def _listing(file: Path, fields: Mapping[str, Any]) -> _Listing:
    """Modalities and labels."""
    named = fields.get("modality", fields.get("channel_names"))
    if isinstance(named, list):
        named = dict(enumerate(named))
    if named is None and _lists_files(fields):
        channels = NOT_NAMED
    elif not isinstance(named, dict) or not named:
        raise _refused(
            file,
            "expected 'modality' (a mapping of channel to name) and 'training' (a list with "
            "entries), or 'channel_names' as nnU-Net writes it",
        )
    else:
        try:
            channels = channels_named(named)
        except DataError as error:
            raise _refused(file, str(error)) from None
    return _Listing(file=file, channels=channels, hint=_hint(fields.get("labels"), file))


def _lists_files(fields: Mapping[str, Any]) -> bool:
    """Whether every image is a list of files, as MONAI writes it, which may say what they show."""
    training = fields.get("training")
    return isinstance(training, list) and all(
        isinstance(entry, dict) and len(_texts(entry.get("image"))) > 1 for entry in training
    )


def _hint(named: Any, file: Path) -> Hint | None:
    """Read the labels of a listing; a fault counts only if the user does not say more."""
    if named is None:
        return None
    try:
        return Hint(family="msd", names=tissues_listed(named), listing=str(file))
    except DataError as error:
        return Hint(family="msd", listing=str(file), fault=str(error))


def _hint_of_names(file: Path, paths: Sequence[Path]) -> Hint:
    """Read the convention of the masks from the files' names, if the listing names no labels."""
    names = tuple(name for path in paths for name in (path.parent.name, path.name))
    if all(_OF_MSD.match(path.name) for path in paths):
        return Hint(family="msd")
    family = family_of(names, newer=False)
    if family != "other":
        return Hint(family=family)
    return Hint(
        family="msd",
        listing=str(file),
        fault="it names no 'labels', and the files bear the names of no known data set; say by "
        "data.labels what the values are, such as msd or brats-2023",
    )


def _entry(listing: _Listing, entry: Any, case: str | None) -> Source | None:
    """One entry of ``training``; None for what macOS notes about a file."""
    given = entry if isinstance(entry, dict) else {}
    images, label = _texts(given.get("image", given.get("images"))), _texts(given.get("label"))
    if not images:
        raise _refused(listing.file, f"training entry {str(entry)[:80]!r} names no image")
    name = re.split(r"[/\\]", images[0])[-1]
    if name.startswith("._"):
        return None
    stem = re.sub(r"(_0000)?\.nii(\.gz)?$", "", name, flags=re.IGNORECASE)
    if len(images) > 1:
        stem = common_stem(images) or stem
    patient = readable(stem if case is None else case)
    if len(label) != 1:
        raise DataError(
            "the training entry names no label", patient=patient, file=str(listing.file)
        )
    paths = [listed_path(listing.root, text, patient=patient) for text in (*images, *label)]
    return listing.source(patient, paths[:-1], paths[-1])


def _texts(written: Any) -> list[str]:
    """One name or a list of names; nothing if it is neither."""
    listed = written if isinstance(written, list) else [written]
    return listed if all(isinstance(each, str) and each for each in listed) else []


def _told_apart(sources: list[Source], root: Path) -> list[Source]:
    """Name by folder and file whose files are named alike in folders of their own."""
    by_name: dict[str, list[Source]] = {}
    for source in sources:
        by_name.setdefault(source.patient, []).append(source)
    apart = []
    for source in sources:
        alike = by_name[source.patient]
        if len(alike) > 1 and len({one.label for one in alike}) == len(alike):
            folders = map(readable, source.label.parent.relative_to(root).parts)
            source = replace(source, patient="_".join((*folders, source.patient)))
        apart.append(source)
    return apart


def _twice(sources: Iterable[Source], file: Path) -> list[DataError]:
    """A problem for each patient who is listed twice, or with a file of somebody else."""
    everybody = list(sources)
    counted = Counter(source.patient for source in everybody)
    problems = [
        DataError(
            f"listed {count} times: this identifier occurs twice in the cohort, expected once",
            patient=patient,
            file=str(file),
        )
        for patient, count in counted.items()
        if count > 1
    ]
    owners: dict[Path, str] = {}
    for source in everybody:
        for path in {source.label, *(path for path, _ in source.modalities.values())}:
            owner = owners.setdefault(path, source.patient)
            if owner != source.patient:
                problems.append(
                    DataError(
                        f"the same file is listed for {owner}; give each patient their own",
                        patient=source.patient,
                        file=str(path),
                    )
                )
    return problems


def _cases(listing: _Listing, fields: Mapping[str, Any]) -> Found:
    """nnU-Net v2: no entries; every mask of labelsTr is a patient."""
    ending = fields.get("file_ending", ".nii.gz")
    if not isinstance(ending, str) or not is_nifti(f"x{ending}"):
        raise _refused(listing.file, f"file_ending is {ending!r}; only NIfTI is read, convert it")
    folder, images = listing.root / "labelsTr", listing.root / "imagesTr"
    names = _ending_in(ending, folder)
    if not names:
        raise _refused(listing.file, f"labelsTr has no mask that ends in {ending}")
    sources, problems = [], []
    for name in names:
        try:
            sources.append(
                listing.source(readable(name[: -len(ending)]), [images / name], folder / name)
            )
        except DataError as error:
            problems.append(error)
    first = f"_0000{ending}"
    scanned = {name[: -len(first)] for name in _ending_in(first, images)}
    without = sorted(map(readable, scanned - {name[: -len(ending)] for name in names}))
    cautions = []
    if without:
        words = f"Left out, since labelsTr has no mask of them: {patients_in_words(len(without))}."
        cautions.append(Caution(kind="left-out", grave=False, words=words, patients=tuple(without)))
    return Found(
        sources=tuple(sources),
        problems=tuple(problems),
        cautions=tuple(cautions),
        left_out=tuple(without),
    )


def _ending_in(ending: str, folder: Path) -> list[str]:
    """Names of NIfTI files that end so; none if there is no such folder."""
    if not folder.is_dir():
        return []
    return [
        name
        for name in sorted(os.listdir(folder))
        if is_nifti(name) and name.lower().endswith(ending.lower())
    ]
