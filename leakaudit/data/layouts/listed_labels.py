"""The ``labels`` of a dataset.json: tissue of each value.

MSD writes value to name, nnU-Net v2 name to value, and for regions name to a list of values. A
list of names is taken in order from 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from leakaudit.data.naming.label_names import (
    BACKGROUND,
    CLASS_OF,
    CORE,
    EDEMA,
    ENHANCING,
    IGNORED,
    NECROSIS_AND_NON_ENHANCING,
    UNDERSTOOD,
    WHOLE,
    tissue_named,
)
from leakaudit.errors import DataError


def tissues_listed(named: Any) -> tuple[tuple[int, str], ...]:
    """Tissue of each value, in rising order.

    Args:
        named: ``labels`` as read, a mapping or a list.

    Raises:
        DataError: names that are unknown, all of them named; a value or a tissue that occurs twice;
            regions from which no tissue follows.
    """
    if isinstance(named, list):
        named = dict(enumerate(named))
    entries = list(_entries(named)) if isinstance(named, dict) else []
    if not entries:
        raise DataError("expected 'labels' to map values to names")
    unknown = [name for _, name in entries if tissue_named(name) is None]
    if unknown:
        raise DataError(
            f"labels {', '.join(map(repr, unknown))} are unknown; understood are {UNDERSTOOD}; "
            "rename them, or say by data.labels what each value is",
        )
    regions = [(values, tissue_named(name) or BACKGROUND) for values, name in entries]
    named_tissues = [tissue for _, tissue in regions if CLASS_OF.get(tissue)]
    twice = sorted({tissue for tissue in named_tissues if named_tissues.count(tissue) > 1})
    if twice:
        raise DataError(f"labels name {' and '.join(twice)} twice, expected once")
    tissues: dict[int, str] = {}
    for value in sorted({value for values, _ in regions for value in values}):
        tissue = _tissue([of for values, of in regions if value in values], regions)
        if tissue is None:
            names = ", ".join(repr(name) for values, name in entries if value in values)
            raise DataError(
                f"label {value} ({names}) is not a single tissue; say by data.labels what it is",
            )
        if value == 0 and tissue != BACKGROUND:
            raise DataError(f"label 0 is {tissue}, expected background")
        if tissue != IGNORED:  # a mask that holds it is refused: nothing is known of such a voxel
            tissues[value] = tissue
    return tuple(tissues.items())


def _entries(named: Mapping[Any, Any]) -> Iterable[tuple[tuple[int, ...], str]]:
    """Values and their name, in either order of writing."""
    for key, content in named.items():
        listed = content if isinstance(content, list) else [content]
        values, name = [_value(each) for each in listed], str(key)
        if None in values or not values:
            values, name = [_value(key)], str(content)
        if None in values or isinstance(content, dict):
            raise DataError(
                f"label {str(key)[:80]!r}: {str(content)[:80]!r} is not a value and its name",
            )
        yield tuple(value for value in values if value is not None), name


def _value(written: Any) -> int | None:
    """A label value, also one written as text; None if it is none."""
    if isinstance(written, bool) or not re.fullmatch("[0-9]{1,5}", str(written)):
        return None
    return int(written)


def _tissue(members: list[str], regions: list[tuple[tuple[int, ...], str]]) -> str | None:
    """The tissue of a value from the regions that it lies in; None if none follows."""
    inner = [tissue for tissue in members if tissue not in (WHOLE, CORE)]
    if len(inner) == 1:
        return inner[0]
    defined = {tissue for _, tissue in regions} - {BACKGROUND, IGNORED}
    if inner:
        return None
    if CORE in members:
        # What lies in the core and not in its enhancing part is the rest of the core.
        return NECROSIS_AND_NON_ENHANCING if ENHANCING in defined else None
    if defined == {WHOLE}:
        return WHOLE
    # What lies in the whole tumour and not in its core is edema.
    return EDEMA if CORE in defined else None
