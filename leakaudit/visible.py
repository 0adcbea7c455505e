"""Characters that hide or reorder text, and terminal codes, made visible wherever text is shown."""

from __future__ import annotations

import re

# Characters that reorder or hide neighbouring text, and control characters but newline and tab.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]"
)


def made_visible(text: str) -> str:
    """The text with each such character as ``[U+202E]``."""
    return _INVISIBLE.sub(lambda found: f"[U+{ord(found[0]):04X}]", text)
