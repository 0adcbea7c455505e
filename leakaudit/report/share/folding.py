"""Text as names are compared in it, and what else a piece of text may be an encoding of."""

from __future__ import annotations

import base64
import binascii
import html
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote, unquote_plus

GAP = "_"
_HIDDEN = frozenset({"Mn", "Me", "Cf", "Cc", "Cs"})
_MOST_VIEWS = 32
_ESCAPE = re.compile(
    r"\\+(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|([ntr\"'/\\]))"
)
_BLANKS = {"n": "\n", "t": "\t", "r": "\r"}
_CODED = re.compile(
    r"(?P<bytes>(?:%[0-9a-fA-F]{2})+|(?:\\+x[0-9a-fA-F]{2})+)"
    r"|\\+(?:u(?P<four>[0-9a-fA-F]{4})|U(?P<eight>[0-9a-fA-F]{8})|(?P<plain>[\"'/]))"
    r"|(?P<entity>&(?:#\d{1,7}|#x[0-9a-fA-F]{1,6}|[A-Za-z]{2,8});)"
)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{6,}")
_READABLE = re.compile(r"[^\ufffd\x00-\x1f]{4,}")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}){3,}")
# As names are spelt where there is no umlaut; accents are dropped in any case.
_SPELT_OUT = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ø": "oe", "Ø": "Oe"}
    | {"å": "aa", "Å": "Aa", "æ": "ae", "Æ": "Ae"}
)


class Folded(NamedTuple):
    """A text without case, width, accents, hidden characters and kinds of gap.

    Args:
        text: blanks, dashes and underscores are one ``_``, however many stand together.
        places: where in the original each of its characters comes from.
        length: of the original.
    """

    text: str
    places: tuple[int, ...]
    length: int

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The span of the original that ``text[start:end]`` comes from, accents included."""
        last = self.places[end - 1]
        after = next((place for place in self.places[end:] if place > last), self.length)
        return self.places[start], after


def folded(text: str, *, decoded: bool = False) -> Folded:
    """Text as names are compared in it.

    Args:
        text: the original.
        decoded: read what is percent-, HTML- or backslash-encoded as what it stands for.
    """
    characters: list[str] = []
    places: list[int] = []
    for place, piece in _pieces(text) if decoded else enumerate(text):
        for one in _folded_character(piece) if len(piece) == 1 else map(_folded_character, piece):
            if one == GAP and characters and characters[-1] == GAP:
                continue
            characters.extend(one)
            places.extend([place] * len(one))
    return Folded("".join(characters), tuple(places), len(text))


def spellings(name: str) -> tuple[str, ...]:
    """How a name may be folded: as it is, and with its umlauts spelt out."""
    composed = unicodedata.normalize("NFC", name)
    both = (folded(name).text, folded(composed.translate(_SPELT_OUT)).text)
    return tuple(dict.fromkeys(stripped for one in both if (stripped := one.strip(GAP))))


def decodings(text: str) -> tuple[str, ...]:
    """What the text is percent-, HTML- or backslash-encoded, once or twice; without itself."""
    found: dict[str, None] = {text: None}
    for _ in range(2):
        for one in list(found):
            found |= dict.fromkeys(_decoded(one))
            if len(found) > _MOST_VIEWS:
                break
    return tuple(found)[1:]


def unpacked(text: str) -> Iterator[tuple[str, bool]]:
    """What base64 or hexadecimal digits in the text stand for, and whether all of it is text."""
    for found in _BASE64.finditer(text):
        token = found[0].translate({ord("-"): "+", ord("_"): "/"})
        for start in range(4):
            kept = token[start:]
            kept = kept[: len(kept) - (len(kept) % 4 == 1)]
            try:
                yield from _readable(base64.b64decode(kept + "=" * (-len(kept) % 4)))
            except (binascii.Error, ValueError):
                continue
    for found in _HEX.finditer(text):
        yield from _readable(bytes.fromhex(found[0]))


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """Characters with their places; what is encoded as one piece."""
    start = 0
    for found in _CODED.finditer(text):
        yield from enumerate(text[start : found.start()], start)
        yield found.start(), _piece(found)
        start = found.end()
    yield from enumerate(text[start:], start)


def _piece(found: re.Match[str]) -> str:
    if coded := found["bytes"]:
        data = bytes.fromhex(re.sub(r"[%\\x]", "", coded))
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            return data.decode("latin-1")
    if code := found["four"] or found["eight"]:
        return chr(int(code, 16)) if int(code, 16) <= 0x10FFFF else found[0]
    return found["plain"] or html.unescape(found[0])


def _decoded(text: str) -> Iterator[str]:
    if "%" in text:
        yield unquote(text)
        yield unquote_plus(text)
    if "&" in text:
        yield html.unescape(text)
    if "\\" in text:
        plain = _ESCAPE.sub(_escaped_character, text)
        yield plain
        # The escapes of a bytes literal are those of UTF-8.
        yield plain.encode("latin-1", "ignore").decode("utf-8", "ignore")


def _escaped_character(found: re.Match[str]) -> str:
    octal, plain = found[4], found[5]
    if plain:
        return _BLANKS.get(plain, plain)
    code = int(octal, 8) if octal else int(found[1] or found[2] or found[3], 16)
    return chr(code) if code <= 0x10FFFF else ""


def _readable(data: bytes) -> Iterator[tuple[str, bool]]:
    text = data.decode("utf-8", "replace")
    whole = all(one.isprintable() and one != "\ufffd" for one in text)
    for found in _READABLE.finditer(text):
        yield found[0], whole


@lru_cache(maxsize=8192)
def _folded_character(character: str) -> str:
    if character == GAP or character.isspace() or unicodedata.category(character) == "Pd":
        return GAP
    apart = unicodedata.normalize("NFKD", character).casefold()
    apart = unicodedata.normalize("NFKD", apart)
    kept = (one for one in apart if unicodedata.category(one) not in _HIDDEN)
    return "".join(GAP if one.isspace() else one for one in kept)
