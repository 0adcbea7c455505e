"""Values and names of a mask to our classes: 1 edema, 2 non-enhancing, 3 enhancing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from leakaudit.errors import DataError

MSD: Final = {0: 0, 1: 1, 2: 2, 3: 3}
"""Values of MSD Task01 to our classes."""

BRATS_2018: Final = {0: 0, 1: 2, 2: 1, 4: 3}
"""Values of BraTS 2017 to 2021 to our classes."""

# Files named -t1n: 4 there would be a resection cavity, which we have no class for.
BRATS_2023: Final = {0: 0, 1: 2, 2: 1, 3: 3}
"""Values of BraTS from 2023 on to our classes."""


def values_by_name(named: Any, listing: Path) -> dict[int, int]:
    """Map the label values of ``dataset.json`` to our classes by their names.

    Args:
        named: its ``labels``, value to name; None takes those of MSD.
        listing: the file, for the message of an error.

    Raises:
        DataError: names that are unknown or occur twice.
    """
    if named is None:
        return dict(MSD)
    mapping: dict[int, int] = {}
    for key, name in named.items() if isinstance(named, dict) else ():
        text = str(name).lower()
        if "background" in text:
            ours = 0
        elif "edema" in text or "oedema" in text:
            ours = 1
        elif "non-enhancing" in text or "nonenhancing" in text or "necro" in text:
            ours = 2
        elif "enhancing" in text:
            ours = 3
        else:
            ours = -1
        if ours < 0 or not re.fullmatch("[0-9]{1,5}", str(key)) or ours in mapping.values():
            raise DataError(f"label {key!r}: {name!r} is unknown or twice", file=str(listing))
        mapping[int(key)] = ours
    if not mapping:
        raise DataError("expected 'labels' to map values to names", file=str(listing))
    return {0: 0, **mapping}


def to_classes(
    values: NDArray[Any], label_values: Mapping[int, int], *, patient: str, file: str
) -> NDArray[np.int8]:
    """The mask in our classes, of the same shape.

    Args:
        values: a mask as read.
        label_values: its values to our classes.
        patient: whose it is, for the message of an error.
        file: where it came from, likewise.

    Raises:
        DataError: a value without a class.
    """
    present = np.unique(values)
    mapping = dict(label_values)
    if mapping == BRATS_2018 and 4 not in present:
        # Copies of BraTS 2018 to 2021 are often relabelled 4 -> 3; never both in one file.
        mapping = dict(BRATS_2023)
    unknown = [f"{value:g}" for value in present.tolist() if value not in mapping]
    if unknown:
        raise DataError(
            f"label values {', '.join(unknown[:8])} are outside {sorted(mapping)}",
            patient=patient,
            file=file,
        )
    masks = np.zeros(values.shape, np.int8)
    for theirs, ours in mapping.items():
        masks[values == theirs] = ours
    return masks
