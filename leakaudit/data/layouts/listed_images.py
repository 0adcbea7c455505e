"""Which file and channel of a listed patient holds which modality.

A channel that is taken for another one raises no error later, so what a listing says is held
against what is there: the number of channels, and the names of files that say what they show.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from leakaudit.data.naming.modalities import modality_named
from leakaudit.data.naming.scan_names import MASK, Scan, scan_named
from leakaudit.errors import DataError

_MAX_CHANNEL: Final = 2**15


@final
@dataclass(frozen=True, kw_only=True)
class Channels:
    """The channels that a listing names for all patients.

    Args:
        numbers: channel of each of our modalities.
        others: names of channels that are none of our modalities.
        count: how many channels there are; 0 if the listing names none and the files' names say
            what they show.
    """

    numbers: Mapping[str, int]
    others: tuple[str, ...]
    count: int


NOT_NAMED: Final = Channels(numbers={}, others=(), count=0)
"""Of a listing whose patients' files say by their names what they show."""


def channels_named(named: Mapping[Any, Any]) -> Channels:
    """Read the channels from ``modality`` or ``channel_names``.

    Args:
        named: channel to name, or name to channel.

    Raises:
        DataError: no channel and a name, a modality twice, or channels that do not begin with 0.
    """
    numbers: dict[str, int] = {}
    others: list[str] = []
    count, counted = 0, set()
    for key, content in named.items():
        number, name = (key, content) if _is_number(key) else (content, key)
        if not _is_number(number) or int(number) >= _MAX_CHANNEL:
            raise DataError(f"modality {key!r}: {content!r} is not a channel and a name")
        count = max(count, int(number) + 1)
        counted.add(int(number))
        modality = modality_named(str(name))
        if modality is None:
            others.append(str(name))
        elif modality in numbers:
            raise DataError(f"modality {name!r} occurs twice, as {modality}")
        else:
            numbers[modality] = int(number)
    if 0 not in counted:
        raise DataError(
            f"channels are counted from 0, and 'modality' begins with {min(counted)}; name every "
            "channel, also those that no site holds"
        )
    return Channels(numbers=numbers, others=tuple(others), count=count)


def _is_number(written: Any) -> bool:
    return not isinstance(written, bool) and bool(re.fullmatch("[0-9]{1,5}", str(written)))


def modalities_in(
    images: Sequence[Path], channels: Channels, *, patient: str
) -> dict[str, tuple[Path, int | None]]:
    """File and channel of each modality; the channel is None for a file of one modality.

    Args:
        images: one 4D file, or one file for each channel.
        channels: what the listing says.
        patient: whose they are, for the message of an error.

    Raises:
        DataError: more or fewer files than channels, or files whose names say otherwise.
    """
    if not channels.count:
        return {modality: (path, None) for modality, path in _by_name(images, patient).items()}
    if len(images) == 1 and not images[0].exists():
        by_channel = [of_channel(images[0], number) for number in range(channels.count)]
        if any(map(os.path.lexists, by_channel)):
            beyond = of_channel(images[0], channels.count)
            images = [*by_channel, beyond] if os.path.lexists(beyond) else by_channel
    if len(images) == 1:
        return {name: (images[0], number) for name, number in channels.numbers.items()}
    if len(images) != channels.count:
        raise DataError(
            f"{len(images)} image files for the {channels.count} channels that dataset.json names; "
            "name every channel, also those that no site holds",
            patient=patient,
            file=str(images[-1]),
        )
    found: dict[str, tuple[Path, int | None]] = {}
    for modality, number in channels.numbers.items():
        says = _kind(images[number])
        if says not in (None, modality):
            raise DataError(
                f"its name says {says}, and dataset.json says that channel {number} is {modality}; "
                "list the files in the order of 'modality'",
                patient=patient,
                file=str(images[number]),
            )
        found[modality] = (images[number], None)
    return found


def _by_name(images: Sequence[Path], patient: str) -> dict[str, Path]:
    """The modalities that files say by their names; files of others are left out."""
    found: dict[str, Path] = {}
    for path in images:
        kind = _kind(path)
        if kind in found:
            raise DataError(
                f"a second file for {kind} beside {found[kind].name}, expected one",
                patient=patient,
                file=str(path),
            )
        if kind is not None:
            found[kind] = path
    return found


def _kind(path: Path) -> str | None:
    """The modality that a file's name says; None if it says none."""
    scan = scan_named(path)
    return None if scan is None or scan.kind == MASK else scan.kind


def common_stem(images: Sequence[str]) -> str:
    """Return the common start of file names, before each one's kind; empty if there is none.

    Args:
        images: paths as a listing writes them, one for each channel.
    """
    scans: list[Scan | None] = [scan_named(Path(re.split(r"[/\\]", text)[-1])) for text in images]
    stems = {scan.stem if scan is not None else "" for scan in scans}
    if stems == {""}:  # such as P1/t1.nii.gz: the folder says who it is
        folders = {"/".join(re.split(r"[/\\]", text)[:-1][-1:]) for text in images}
        return folders.pop() if None not in scans and len(folders) == 1 else ""
    return stems.pop() if len(stems) == 1 else ""


def of_channel(image: Path, number: int) -> Path:
    """nnU-Net's file of one channel: NAME_0002.nii.gz of NAME.nii.gz.

    Args:
        image: NAME.nii.gz, or the file of channel 0.
        number: the channel.
    """
    found = re.fullmatch(r"(.*?)(_0000)?(\.nii(\.gz)?)", image.name, re.IGNORECASE | re.DOTALL)
    if found is None:
        return image
    return image.with_name(f"{found[1]}_{number:04d}{found[3]}")
