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
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, final

from leakaudit.data.labels import Hint
from leakaudit.data.listed_labels import tissues_listed
from leakaudit.data.listed_paths import listed_path
from leakaudit.data.modalities import modality_named
from leakaudit.data.scan_names import is_nifti
from leakaudit.data.sources import Found, Source, readable
from leakaudit.errors import DataError, raise_problems

_MAX_JSON: Final = 2**24
_MAX_CHANNEL: Final = 2**15


@final
@dataclass(frozen=True, kw_only=True)
class _Listing:
    """What a listing says of all patients.

    Args:
        file: the listing.
        channels: channel of each modality.
        others: names of channels that are none of our modalities.
        hint: what it says of the masks' values.
    """

    file: Path
    channels: Mapping[str, int]
    others: tuple[str, ...]
    hint: Hint

    @property
    def root(self) -> Path:
        return self.file.parent

    def source(self, patient: str, images: list[Path], label: Path) -> Source:
        """One patient, from a 4D image or from one file for each channel."""
        if len(images) == 1 and not images[0].exists():
            by_channel = [_of_channel(images[0], number) for number in self.channels.values()]
            if any(os.path.lexists(path) for path in by_channel):
                images = [_of_channel(images[0], n) for n in range(max(self.channels.values()) + 1)]
        files: dict[str, tuple[Path, int | None]]
        if len(images) == 1:
            files = {name: (images[0], number) for name, number in self.channels.items()}
        else:
            files = {
                name: (images[number], None)
                for name, number in self.channels.items()
                if number < len(images)
            }
        return Source(
            patient=patient,
            listed_in=self.file,
            modalities=files,
            label=label,
            hint=self.hint,
            others=self.others,
        )


def patients_listed(file: Path) -> Found:
    """The labelled patients that a listing names.

    Args:
        file: the dataset.json.

    Raises:
        DataError: it can not be read, or says of all patients what can not be.
        OSError: likewise, as the system says it.
    """
    fields = _read(file)
    listing = _listing(file, fields)
    if fields.get("training") is None and "channel_names" in fields:
        cases = fields.get("dataset")
        if isinstance(cases, dict) and cases:
            return _entries(listing, cases.items())
        return _cases(listing, fields)
    training = fields.get("training")
    if not isinstance(training, list) or not training:
        raise _refused(file, "expected 'modality' (a mapping) and 'training' (a list with entries)")
    return _entries(listing, [(None, entry) for entry in training])


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
    """The content of a listing, in whatever encoding it was saved."""
    status = os.stat(file)
    if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_JSON:
        raise _refused(file, f"expected a regular file of at most {_MAX_JSON} bytes")
    raw = file.read_bytes()
    wide = raw.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        # Bytes that are no UTF-8 stay what they are: files may be named by the same bytes.
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
    if not isinstance(named, dict) or not named:
        raise _refused(
            file,
            "expected 'modality' (a mapping of channel to name) and 'training' (a list with "
            "entries), or 'channel_names' as nnU-Net writes it",
        )
    channels: dict[str, int] = {}
    others: list[str] = []
    for key, name in named.items():
        if not re.fullmatch("[0-9]{1,5}", str(key)) or int(key) >= _MAX_CHANNEL:
            raise _refused(file, f"modality {key!r}: {name!r} is not a channel and a name")
        modality = modality_named(str(name))
        if modality is None:
            others.append(str(name))
        elif modality in channels:
            raise _refused(file, f"modality {name!r} occurs twice, as {modality}")
        else:
            channels[modality] = int(key)
    return _Listing(
        file=file,
        channels=channels,
        others=tuple(others),
        hint=_hint(fields.get("labels"), file),
    )


def _hint(named: Any, file: Path) -> Hint:
    """What a listing says of labels; a fault in it counts only where the user does not say more."""
    if named is None:
        return Hint(family="msd")
    try:
        return Hint(family="msd", names=tissues_listed(named), listing=str(file))
    except DataError as error:
        return Hint(family="msd", listing=str(file), fault=str(error))


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


def _of_channel(image: Path, number: int) -> Path:
    """nnU-Net's file of one channel: NAME_0002.nii.gz of NAME.nii.gz."""
    found = re.fullmatch(r"(.*?)(_0000)?(\.nii(\.gz)?)", image.name, re.IGNORECASE | re.DOTALL)
    if found is None:
        return image
    return image.with_name(f"{found[1]}_{number:04d}{found[3]}")


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
    """A problem for each patient who is listed twice."""
    counted = Counter(source.patient for source in sources)
    return [
        DataError(
            f"listed {count} times: this identifier occurs twice in the cohort, expected once",
            patient=patient,
            file=str(file),
        )
        for patient, count in counted.items()
        if count > 1
    ]


def _cases(listing: _Listing, fields: Mapping[str, Any]) -> Found:
    """nnU-Net v2: no entries; every mask of labelsTr is a patient."""
    ending = fields.get("file_ending", ".nii.gz")
    if not isinstance(ending, str) or not is_nifti(f"x{ending}"):
        raise _refused(listing.file, f"file_ending is {ending!r}; only NIfTI is read, convert it")
    folder = listing.root / "labelsTr"
    names = [
        name
        for name in sorted(os.listdir(folder))
        if is_nifti(name) and name.lower().endswith(ending.lower())
    ]
    if not names:
        raise _refused(listing.file, f"labelsTr has no mask that ends in {ending}")
    return Found(
        sources=tuple(
            listing.source(
                readable(name[: -len(ending)]),
                [
                    _of_channel(listing.root / "imagesTr" / name, number)
                    for number in range(max(listing.channels.values(), default=0) + 1)
                ],
                folder / name,
            )
            for name in names
        )
    )
