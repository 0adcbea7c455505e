"""Names of what a mask shows, in any usual spelling, to one tissue each.

A name is matched as a whole, never by a part of it: "non enhancing" holds "enhancing" and means the
opposite, and "surrounding non-enhancing FLAIR hyperintensity" holds both and is edema.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import product
from typing import Final

BACKGROUND: Final = "background"
EDEMA: Final = "edema"
NECROSIS: Final = "necrosis"
NON_ENHANCING: Final = "non-enhancing"
NECROSIS_AND_NON_ENHANCING: Final = "necrosis and non-enhancing"
CYST: Final = "cyst"
ENHANCING: Final = "enhancing"
CAVITY: Final = "resection cavity"
WHOLE: Final = "whole tumour"
CORE: Final = "tumour core"
IGNORED: Final = "ignored"

CLASS_OF: Final = {
    BACKGROUND: 0,
    CAVITY: 0,
    EDEMA: 1,
    WHOLE: 1,
    NECROSIS: 2,
    NON_ENHANCING: 2,
    NECROSIS_AND_NON_ENHANCING: 2,
    CYST: 2,
    ENHANCING: 3,
}
"""Our class of each tissue that has one: a core without its parts has none.

A cavity is not a tumour any more. A mask of the whole tumour is kept as edema, the one class that
counts for the whole tumour and for none of its parts.
"""

_NOUNS: Final = (
    *("", "tumor", "core", "tumor core", "solid tumor", "tissue", "tumor tissue"),
    *("part", "tumor part", "region", "tumor region", "component", "tumor component"),
    *("lesion", "area", "portion", "volume"),
)
_NECROTIC: Final = ("necrotic", "necrosis", "ncr")
_WITHOUT_ENHANCEMENT: Final = (
    *("nonenhancing", "nonenhanced", "noncontrast enhancing", "nongd enhancing", "unenhancing"),
    "not enhancing",
)


def _with_nouns(heads: Iterable[str], nouns: Iterable[str] = _NOUNS) -> Iterator[str]:
    return (f"{head} {noun}".strip() for head, noun in product(heads, nouns))


def _either_order(first: Iterable[str], second: Iterable[str]) -> Iterator[str]:
    pairs = list(product(first, second))
    return (f"{one} {other}" for pair in pairs for one, other in (pair, pair[::-1]))


_BOTH: Final = tuple(
    _either_order(
        _with_nouns(_NECROTIC, _NOUNS[:4]), (*_with_nouns(_WITHOUT_ENHANCEMENT, _NOUNS[:4]), "net")
    )
)


_NAMES: Final[dict[str, tuple[str, ...]]] = {
    BACKGROUND: (
        *("background", "bg", "normal", "healthy", "normal tissue", "healthy tissue"),
        *("normal brain", "healthy brain", "everything else", "none", "nothing", "clear"),
        *("unlabeled", "unlabelled", "no tumor", "nontumor"),
    ),
    EDEMA: (
        *("ed", "edema", "peritumoral edema", "perifocal edema", "vasogenic edema", "tumor edema"),
        *("edema region", "edema area", "edema infiltration", "edema invasion", "invaded tissue"),
        *("edematous tissue", "edematous invaded tissue", "peritumoral edematous tissue"),
        *("peritumoral edematous invaded tissue", "peritumoral edema invaded tissue"),
        *("snfh", "surrounding nonenhancing flair hyperintensity", "flair hyperintensity"),
        *("surrounding flair hyperintensity", "nonenhancing flair hyperintensity"),
    ),
    NECROSIS: (*_with_nouns(("necrotic", "necrosis")), "ncr", "nec", "nc"),
    NON_ENHANCING: (*_with_nouns(_WITHOUT_ENHANCEMENT), "net"),
    NECROSIS_AND_NON_ENHANCING: ("netc", *_BOTH),
    CYST: ("cc", "cyst", "cysts", "cystic", "cystic component", "cystic core", "cystic part"),
    ENHANCING: (
        *_with_nouns(
            ("enhancing", "enhanced", "contrast enhancing", "contrast enhanced", "gd enhancing")
        ),
        *_with_nouns(("gadolinium enhancing", "active")),
        *("et", "cet", "enh", "enhancement", "contrast enhancement"),
    ),
    CAVITY: (
        *("rc", "resection cavity", "cavity", "surgical cavity", "surgical resection cavity"),
        *("postoperative cavity", "resection"),
    ),
    WHOLE: (
        *("tumor", "whole tumor", "wt", "complete tumor", "entire tumor", "brain tumor"),
        *("tumor mask", "tumor region", "mask", "foreground", "lesion", "whole lesion"),
        *("glioma", "glioblastoma", "gbm", "abnormality"),
    ),
    CORE: ("tumor core", "tc", "core", "gtv", "gross tumor", "gross tumor volume"),
    IGNORED: ("ignore", "ignored", "void"),
}
_FILLERS: Final = ("", "and", "the", "label", "value")
_TISSUE_OF: Final = {name: tissue for tissue, names in _NAMES.items() for name in names}

UNDERSTOOD: Final = (
    "edema (ED, SNFH), necrosis (NCR), non-enhancing (NET, NETC), enhancing (ET), cyst (CC), "
    "resection cavity (RC), tumor, background"
)
"""The names for the message of an error, each with its abbreviations."""


def tissue_named(name: str) -> str | None:
    """The tissue that a name means; None if it is unknown.

    Case, spaces, dashes and underscores do not count, nor do British spellings. A name with an
    abbreviation in parentheses or behind a colon is known if both parts mean the same.

    Args:
        name: such as ``non_enhancing_tumor``, ``NCR/NET`` or ``Enhancing tumour (ET)``.
    """
    if known := _TISSUE_OF.get(_plain(name)):
        return known
    parts = [part for part in map(_plain, re.split(r"[():=\u2013\u2014]|\s-\s", name)) if part]
    meant = [_TISSUE_OF.get(part) for part in parts]
    # Two names of one class, such as "non-enhancing tumor core (NETC)", agree.
    agree = len({CLASS_OF.get(tissue) if tissue else None for tissue in meant}) == 1
    return meant[0] if meant and agree else None


def _plain(name: str) -> str:
    """Words in small letters with one space between them, in one spelling."""
    text = name.lower().replace("tumour", "tumor").replace("oedema", "edema")
    words = [word for word in re.split(r"[\W_]+", text) if word not in _FILLERS]
    words = [word for word in words if not word.isdigit()]
    return re.sub(r"\b(non|peri|post) ", r"\1", " ".join(words))
