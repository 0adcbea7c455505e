"""Characters that hide, reorder or break text made visible, wherever text of others is shown."""

from __future__ import annotations

import re
from typing import Literal

Within = Literal["text", "line", "name"]

# Characters that reorder or hide neighbouring text, control characters but newline and tab, and
# halves of characters, which nothing can write.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069"
    "\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
# The bracket and the quote as well: what stands there for a character cannot be in a name.
_NO_NAME = re.compile(r"[^ -~]|['\[]")


def made_visible(text: str, within: Within = "text") -> str:
    r"""The text with each character that is not what it seems as ``[U+202E]``.

    Args:
        text: from a file, a plug-in or a user.
        within: where it is shown, which decides what is left as it is. In a ``"text"`` newlines,
            tabs and all that has a shape; in a ``"line"`` what `str.isprintable` says, so that it
            ends no line; in a ``"name"`` plain ASCII without ``'`` and ``[``, so that no two names
            look alike and none ends its quotes.
    """
    if within == "line":
        return text if text.isprintable() else "".join(map(_in_line, text))
    pattern = _HIDDEN if within == "text" else _NO_NAME
    return pattern.sub(lambda found: spelled_out(found[0]), text)


def spelled_out(character: str) -> str:
    """A character by its number: ``[U+202E]``."""
    return f"[U+{ord(character):04X}]"


def _in_line(character: str) -> str:
    return character if character.isprintable() else spelled_out(character)
