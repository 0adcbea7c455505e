"""The four modalities and the names they go by.

A name is matched as a whole. Case, spaces, dashes, dots and underscores do not count; a plus and an
asterisk do, since T1+ is not T1 and T2* is not T2.
"""

from __future__ import annotations

import re
from typing import Final

from leakaudit.errors import ConfigError
from leakaudit.spelling import nearest

CANONICAL: Final = ("T1w", "T1gd", "FLAIR", "T2w")
"""Modality names in the channel order of every array of this project."""

# Without case and without what only separates.
_SPELLINGS: Final = {
    "T1w": """
        t1 t1n t1w t1wi t1weighted t1native nativet1 t1pre t1wpre t1precontrast
        t1noncontrast
    """,
    "T1gd": """
        t1c t1ce t1gd t1km t1gado t1gadolinium t1post t1contrast t1contrastenhanced
        t1postcontrast t1cw t1wc t1wce t1wgd t1wpost t1wpostcontrast t1weightedgd
        t1weightedpostcontrast t1weightedcontrastenhanced cet1 cet1w gdt1 gdt1w cegadoliniumt1w ct1
        t1gad
        contrastenhancedt1 contrastenhancedt1w contrastenhancedt1weighted postcontrastt1
        postcontrastt1w postcontrastt1weighted t1+ t1+c t1+ce t1+gd t1+km t1+contrast t1w+
        t1w+c t1w+gd
    """,
    "FLAIR": """
        flair t2f t2flair flairt2 t2wflair t2weightedflair fluidattenuatedinversionrecovery
    """,
    "T2w": """
        t2 t2w t2wi t2weighted
    """,
}
_NAMES: Final = {name: ours for ours, names in _SPELLINGS.items() for name in names.split()}


def canonical_modality(name: str) -> str:
    """The project's name of a modality: T1w, T1gd, FLAIR or T2w.

    Args:
        name: any usual spelling in any case: ``t1ce``, ``T2-FLAIR``, ``T1 post-contrast``.

    Raises:
        ConfigError: a name that is none of them; the message says which is nearest.
    """
    known = modality_named(name)
    if known is not None:
        return known
    raise ConfigError(
        f"unknown modality {name!r}{nearest(_plain(name), _NAMES)}; there are "
        f"{', '.join(CANONICAL)}, and other names of them such as t1ce or t2f"
    )


def modality_named(name: str) -> str | None:
    """The project's name of a modality; None if it is unknown.

    Args:
        name: any usual spelling in any case.
    """
    return _NAMES.get(_plain(name))


def _plain(name: str) -> str:
    return re.sub(r"[\s._()-]+", "", name.lower())
