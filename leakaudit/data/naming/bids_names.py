"""Reads the kind of image from a BIDS name: sub-01_ses-02_ce-gd_T1w.nii.gz.

The words between person and suffix are pairs of key and value. ``ce`` means that a contrast agent
was given, so that a T1w is a T1gd; ``space-T1w`` says onto what an image was laid, not what it is.
"""

from __future__ import annotations

import re
from typing import Final

_NAME: Final = re.compile(r"sub-[a-z0-9+]+(_[a-z0-9]+-[a-z0-9+]+)*_[a-z0-9+]+", re.IGNORECASE)
_TUMOUR: Final = ("tumor", "tumour", "lesion", "glioma", "gbm", "wt", "roi")
_SEGMENTATIONS: Final = ("dseg", "mask", "seg")
_PERSON_AND_TIME: Final = ("sub", "ses")


def bids_parts(name: str) -> tuple[str, str] | None:
    """Person and session, and what the file shows in words that have no pairs.

    Args:
        name: of a file, without its ending.

    Returns:
        The words before, and what it shows, such as ``T1gd`` or ``seg``; empty if that is of no
        use, as a mask of the brain. None if this is not a name of BIDS.
    """
    if _NAME.fullmatch(name) is None:
        return None
    *words, suffix = name.split("_")
    pairs: dict[str, str] = {}
    for word in words:
        key, dash, value = word.partition("-")
        if not dash:
            return None
        pairs[key.lower()] = value.lower()
    stem = "_".join(word for word in words if word.partition("-")[0].lower() in _PERSON_AND_TIME)
    if suffix.lower() in _SEGMENTATIONS:
        of = [pairs[key] for key in ("label", "desc") if key in pairs]
        is_tumour = not of or any(one.startswith(_TUMOUR) for one in of)
        return stem, "seg" if is_tumour else ""
    if "ce" in pairs and suffix.lower() in ("t1w", "t1"):
        return stem, "T1gd"
    return stem, suffix
