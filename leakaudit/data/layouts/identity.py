"""Finds persons under several names.

A person whose scans are victim and the adversary's own at once makes every leakage figure too low:
the blind guesses know the victim. Names of known conventions tell persons apart from time points,
and images tell what names do not.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

# Conventions in which the name says the person and, behind it, the scan.
_NUMBERED: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # BraTS 2021 to 2024: BraTS-GLI-00005-101, BraTS-PED-00001-000.
        r"(?P<person>brats-[a-z0-9]+-\d{4,6})-\d{3}",
        # BraTS 2017 to 2019: Brats18_TCIA01_131_1; the last number is the scan.
        r"(?P<person>brats1[789]_[a-z0-9]+(_\d+)?_\w+?)_\d{1,2}",
        # UPENN-GBM-00001_11 before and UPENN-GBM-00001_21 after surgery.
        r"(?P<person>upenn-gbm-\d{5})_\d{2}",
        # UCSF-PDGM-0431_FU002d: a follow-up.
        r"(?P<person>ucsf-pdgm-\d{4})(_fu\d+d?)?(_nifti)?",
        # UCSD-PTGBM-0002_01 and RHUH-0001_2: the last number is the scan.
        r"(?P<person>ucsd-ptgbm-\d{4}|rhuh(-gbm)?-\d{4})[-_]\d{1,2}",
        # BIDS: sub-01_ses-02.
        r"(?P<person>sub-[a-z0-9]+)[-_/]ses-[a-z0-9]+.*",
    )
)
_IN_WORDS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # A time point in words: P07_time2, case12-visit-3, Patient-005/week-012-1, anna_followup.
        r"(?P<person>.+?)[-_/ ](tp|time|timepoint|time-point|visit|week|month|day|session|ses|scan)"
        r"[-_ ]?\d+([-_]\d+)?",
        r"(?P<person>.+?)[-_/ ](baseline|follow[-_ ]?up[-_ ]?\d*|pre[-_]?op|post[-_]?op)",
        # A date: P01_2019-03-02, TCGA-02-0003_1997.06.08.
        r"(?P<person>.+?)[-_/ .](19|20)\d\d[-_.]?[01]\d[-_.]?[0-3]\d([-_T].*)?",
    )
)


def person_of(name: str) -> str:
    """The part of a patient's name that means the person, as far as the convention is known.

    Args:
        name: a folder's or file's name, such as ``BraTS-GLI-00005-101``.

    Returns:
        The name without its time point; the name itself under no known convention.
    """
    for convention in _NUMBERED:
        if found := convention.fullmatch(name):
            return found["person"]
    return _person_in_words(name) or name


def names_a_time(name: str) -> bool:
    """Whether a name says a time point in words and under no convention of a data set.

    Args:
        name: as of `person_of`.
    """
    numbered = any(convention.fullmatch(name) for convention in _NUMBERED)
    return not numbered and bool(_person_in_words(name))


def _person_in_words(name: str) -> str:
    """Return the words before a time point; empty if there are none.

    MRI_scan_001 and MRI_scan_002 are two persons: where a number counts the scans, another number
    must say the person.
    """
    for convention in _IN_WORDS:
        if found := convention.fullmatch(name):
            person = found["person"]
            counted = any(one.isdigit() for one in name[len(person) :])
            return person if not counted or any(one.isdigit() for one in person) else ""
    return ""


def is_a_time(name: str) -> bool:
    """Whether a name says when and not who, such as ``ses-02``, ``week-012`` or ``2019-03-02``.

    Args:
        name: of a folder, without those above it.
    """
    return any(convention.fullmatch(f"x1_{name}") for convention in _IN_WORDS)


def _spelling(name: str) -> str:
    """A name without the differences that file systems make: case, composed accents, spaces."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def same_person_by_name(names: Iterable[str]) -> list[tuple[str, ...]]:
    """The names that say one person, at least two each.

    Args:
        names: of patients.
    """
    by_person: dict[str, list[str]] = {}
    for name in sorted(names):
        by_person.setdefault(_spelling(person_of(name)), []).append(name)
    return [tuple(scans) for scans in by_person.values() if len(scans) > 1]


def merged(groups: Iterable[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """Groups that share a member as one group, each sorted.

    Args:
        groups: names that are one person.
    """
    whole: list[set[str]] = []
    for group in groups:
        joined = set(group)
        apart = []
        for one in whole:
            if one & joined:
                joined |= one
            else:
                apart.append(one)
        whole = [*apart, joined]
    return tuple(sorted(tuple(sorted(one)) for one in whole))
