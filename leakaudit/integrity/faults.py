"""A fault that a check found, as a line that is inert on every terminal."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, final

from leakaudit.records.manifest import SIGNATURE_NAME
from leakaudit.visible import made_visible

FaultKind = Literal[
    "changed", "missing", "unknown", "broken", "swapped", "refused", "unreadable", "signature"
]


@final
@dataclass(frozen=True)
class Fault:
    """Something that is not as it was written.

    Args:
        kind: what is the matter, in a word.
        where: path below the folder that is checked, as it is on the disk.
        detail: what was expected and what was found; printable.
    """

    kind: FaultKind
    where: str
    detail: str

    @property
    def of_signature(self) -> bool:
        """Whether it says nothing of the files, only of who vouches for them."""
        unsigned = self.kind == "missing" and self.where.rpartition("/")[2] == SIGNATURE_NAME
        return self.kind == "signature" or unsigned

    def __str__(self) -> str:
        """One line, ASCII except the detail."""
        return f"{self.kind}: {shown(self.where)}: {self.detail}"


def shown(text: str) -> str:
    """A name as it can be printed: as it is if it is plain, else quoted and spelled out.

    Letters that look like others, marks that turn the line around and terminal codes are all
    spelled out, so that no file name can pass for another or for what the program says.
    """
    plain = re.fullmatch(r"[A-Za-z0-9._+@/:,*=-]+", text)
    return text if plain else f"'{made_visible(text, 'name')}'"
