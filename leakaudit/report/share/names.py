"""Names that no shared text may mention: of patients, users and machines."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import final

_PATIENT = r"(?:patient|victim|subject|case|participant|sub|pid|mrn)"
# "patient 7" names one; "12 patients 7" does not, and "patients: 7" does.
_GAP = r"(?:[\s'\"#:=(\[_-]*|s[\s_]*['\"#:=(\[][\s'\"]*)"
# Accounts and machines that are called alike everywhere name nobody.
_NOBODY = (
    *("root", "user", "admin", "administrator", "ubuntu", "debian", "nobody", "guest", "default"),
    *("runner", "localhost"),
)


@final
class Names:
    """Tells whether a text names somebody: without case, accents and width.

    Args:
        patients: their identifiers.
        others: users and hosts.
    """

    def __init__(self, patients: Iterable[str], others: Iterable[str] = ()) -> None:
        """Sort names by what a match proves.

        A long one counts anywhere, a word as a word.  A short one or a small number (``7``) looks
        like any figure: it counts behind a word for patients, between quotes and alone.
        """
        known = {folded(name) for name in patients}
        known |= {name for one in others if (name := folded(one)) not in _NOBODY and len(name) > 2}
        self._alone = known - {""}
        words = {name for name in self._alone if _is_telling(name)}
        # Letters alone may be a word, and digits a part of a checksum.
        self._certain = {
            name
            for name in words
            if len(name) >= 8 and not name.isalpha() and not re.fullmatch("[0-9a-f]+", name)
        }
        short, some = _any_of(self._alone - words), _any_of(words)
        behind = rf"{_PATIENT}{_GAP}(?:(?:no|nr|id|number)\.?{_GAP})?(?:[\w'\"-]+(?:, | and ))*"
        self._pattern = re.compile(
            rf"(?<![^\W_])(?:{some})(?![^\W_])|(?:{_any_of(self._certain)})"
            rf"|(?:{behind}|['\"])(?:{short})(?![^\W_]|[.,]\d)|^(?:{short})(?:$|:)"
        )

    def in_text(self, text: str) -> bool:
        """Whether the text names somebody."""
        return self._pattern.search(folded(text)) is not None

    def is_certain(self, text: str) -> bool:
        """Whether it holds a name that no other word looks like."""
        seen = folded(text)
        return any(name in seen for name in self._certain)

    def is_name(self, text: str) -> bool:
        """Whether the text is a name and nothing else."""
        return folded(text) in self._alone


def folded(text: str) -> str:
    """A text as names are compared in it."""
    apart = unicodedata.normalize("NFKD", text).casefold()
    return "".join(one for one in apart if unicodedata.category(one) not in ("Mn", "Cf")).strip()


def _is_telling(name: str) -> bool:
    if any(one.isalpha() for one in name):
        return len(name) > 2
    return sum(one.isdigit() for one in name) >= 6 or (name.startswith("0") and len(name) > 2)


def _any_of(names: Iterable[str]) -> str:
    """An expression for one of the names, the longest first; without any, for nothing at all."""
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True)) or r"(?!)"
