"""Names that must not be read in a text: how sure a mention is one, and where it stands.

A name is compared without case, accents, width, hidden characters and the kind of gap, umlauts also
spelt out. How much a match proves depends on the name, and there are three rules:

- ``ANYWHERE``: at least 8 characters with a letter among them, or two that are not ASCII. It is
  found wherever it stands, in the middle of a longer word as well.
- ``WORD``: 3 characters with a letter, 6 digits, 3 digits of which the first is 0, or 3 signs that
  are neither (``{7}*``). It is found where no further letter follows or precedes its letters and no
  further digit its digits, which finds it in file names. Digits within a decimal number or a
  checksum are not it.
- ``CONTEXT``: what is shorter (``7``, ``a``), and what the report says itself (``case``, ``may``).
  Ordinary words and figures look the same, so it is found only where the text says that it is
  one: after ``patient``, ``victim``, ``subject`` or the like, in a list that begins so, as all that
  stands between quotes, or before the colon at the start of a message. If it has a capital and at
  least 3 letters (``May``), then also as a whole word in exactly that spelling, unless the report
  spells its own word so.

Parts of an identifier are names of their own where few patients share them: in ``Doe, Jane`` both
words, in ``sub-1234567_Doe`` the digits and the word.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from enum import Enum, auto
from functools import cache
from importlib import resources
from typing import NamedTuple, final

from leakaudit.records import ReportRecord
from leakaudit.report.page.templates import PACKAGE
from leakaudit.report.share.folding import GAP, Folded, folded, spellings

PATIENT_WORDS = (
    "patient",
    "victim",
    "subject",
    "case",
    "participant",
    "member",
    "person",
    "sub",
    "pat",
    "pid",
    "mrn",
)
ACCOUNT_WORDS = (
    "user",
    "username",
    "login",
    "logname",
    "account",
    "owner",
    "host",
    "hostname",
    "node",
    "machine",
)
_FEW = 2
# What stands in no template: modalities, what no defense is called, what names are found behind.
_OWN_WORDS = (
    *("T1w", "T1gd", "FLAIR", "T2w", "Identity", "phantom"),
    *PATIENT_WORDS,
    *ACCOUNT_WORDS,
)
_OPENING = r"[_:=#'\"(\[{/]*"
_NUMBER_OF = r"(?:_?(?:id|no|nr|number)(?![a-z])\.?)?"
_NEXT = re.compile(r"['\"]?(?:_?[,;/&+]_?|_(?:and|or)_)['\"]?")
_QUOTED = re.compile(r"(?<=['\"])[^'\"]+(?=['\"])")
_MESSAGE = re.compile(r"(?:^|(?<=:_))(?=[^_])")
_CHECKSUM = re.compile(r"(?<![0-9a-z])[0-9a-f]{16,}(?![0-9a-z])")


class Rule(Enum):
    """How much must stand around a name for it to be one; see the module."""

    ANYWHERE = auto()
    WORD = auto()
    CONTEXT = auto()


class Name(NamedTuple):
    """One spelling of a name.

    Args:
        original: as it is written.
        text: as it is compared.
        rule: where it is found.
        instead: what stands for it.
    """

    original: str
    text: str
    rule: Rule
    instead: str


class Mention(NamedTuple):
    """Where a name stands in a text, in characters of the original."""

    start: int
    end: int
    name: Name


def named(original: str, instead: str, rule: Rule | None = None) -> tuple[Name, ...]:
    """A name in its spellings; none if nothing of it can be compared.

    Args:
        original: as it is written.
        instead: what stands for it.
        rule: None for the one that the name itself asks for.
    """
    return tuple(
        Name(original, text, rule or rule_of(text), instead) for text in spellings(original)
    )


def rule_of(text: str) -> Rule:
    """The rule of a name, given as it is compared."""
    letters = any(one.isalpha() for one in text)
    digits = sum(one.isdigit() for one in text)
    if any(one.isalnum() and not one.isascii() for one in text):
        return Rule.ANYWHERE if len(text) > 1 else Rule.CONTEXT
    if not letters:
        padded = text.startswith("0") and len(text) == digits >= 3
        signs = sum(not one.isalnum() and one not in f"{GAP}.," for one in text)
        return Rule.WORD if digits >= 6 or padded or signs >= 3 else Rule.CONTEXT
    if len(text) < 3 or is_program_word(text):
        return Rule.CONTEXT
    return Rule.ANYWHERE if len(text) >= 8 and text not in program_words() else Rule.WORD


def telling_parts(names: Collection[str]) -> tuple[str, ...]:
    """Parts of identifiers that few of them share: 6 digits, 4 letters, 3 where no digit is."""
    owners: dict[str, set[str]] = {}
    for name in names:
        letters = 4 if any(one.isdigit() for one in name) else 3
        runs = re.findall(rf"[^\W\d_]{{{letters},}}|\d{{6,}}", unicodedata.normalize("NFC", name))
        for part in runs if len(runs) > 1 or runs != [name] else ():
            owners.setdefault(part, set()).add(name)
    few = max(_FEW, len(names) // 10)
    return tuple(part for part, those in owners.items() if len(those) <= few < len(names))


@cache
def program_words() -> str:
    """What the report says itself, as names are compared, one word behind the other."""
    return GAP.join(["", *re.findall(r"[^\W_]+", folded(_program_text()).text), ""])


@cache
def _program_text() -> str:
    templates = (
        file.read_text(encoding="utf-8")
        for file in sorted(resources.files(PACKAGE).iterdir(), key=lambda one: one.name)
        if file.name.endswith((".j2", ".css", ".js"))
    )
    return "\n".join([*templates, repr(ReportRecord.model_json_schema()), *_OWN_WORDS])


def is_program_word(text: str) -> bool:
    """Whether a name, given as it is compared, is what the report says itself."""
    return f"{GAP}{text}{GAP}" in program_words()


@final
class NameTable:
    """Finds names in texts.

    Args:
        names: in any order; of two that are compared alike the first counts.
        leads: words, in the singular, behind which a name of the rule ``CONTEXT`` is one.
    """

    def __init__(self, names: Sequence[Name], leads: Sequence[str]) -> None:
        """Sort the names by rule and length."""
        self.names = tuple(names)
        self._sure: dict[str, Name] = {}
        self._doubtful: dict[str, Name] = {}
        for name in names:
            group = self._doubtful if name.rule is Rule.CONTEXT else self._sure
            group.setdefault(name.text, name)
        self._sure_lengths = _lengths(self._sure)
        self._doubtful_lengths = _lengths(self._doubtful)
        self._starts = {text[0] for text in self._sure}
        self._spelt = [
            (name, whole)
            for name in self._doubtful.values()
            if len(name.original) >= 3 and name.original != name.original.casefold()
            if not (whole := _whole_word(name.original)).search(_program_text())
        ]
        one, many = ("|".join(word + plural for word in leads) for plural in ("", "s"))
        self._one = re.compile(rf"(?<![a-z])(?:{one})(?!'?s(?![a-z])){_NUMBER_OF}{_OPENING}")
        self._many = re.compile(rf"(?<![a-z])(?:{many}|ids)_?([:=(\[{{'\"]{_OPENING})?")

    def mentions(self, text: str) -> list[Mention]:
        """Every mention, from left to right, none within another."""
        plain, decoded = folded(text), folded(text, decoded=True)
        found: list[Mention] = []
        for seen in (plain,) if plain.text == decoded.text else (plain, decoded):
            found += [*self._sure_mentions(seen), *self._doubtful_mentions(text, seen)]
        found.sort(key=lambda one: (one.start, -one.end))
        apart: list[Mention] = []
        for one in found:
            if not apart or one.start >= apart[-1].end:
                apart.append(one)
        return apart

    def surely(self, seen: Folded, shortest: Rule) -> Name | None:
        """A name that is certainly meant, in a text that may be the chance outcome of a decoding.

        Args:
            seen: to look in.
            shortest: ``ANYWHERE`` leaves out names that chance may write.
        """
        found = (one.name for one in self._sure_mentions(seen))
        return next((one for one in found if shortest is Rule.WORD or one.rule is shortest), None)

    def _sure_mentions(self, seen: Folded) -> Iterator[Mention]:
        text, start = seen.text, 0
        checksums = [found.span() for found in _CHECKSUM.finditer(text)]
        while start < len(text):
            name = None
            if text[start] in self._starts:
                name = _at(text, start, self._sure, self._sure_lengths)
            if name is None or not _apart(text, start, name) or _in_any(checksums, start, name):
                start += 1
                continue
            yield Mention(*seen.original(start, start + len(name.text)), name)
            start += len(name.text)

    def _doubtful_mentions(self, text: str, seen: Folded) -> Iterator[Mention]:
        if not self._doubtful:
            return
        for name, spelt in self._spelt:
            for hit in spelt.finditer(text):
                yield Mention(hit.start(), hit.end(), name)
        for start, name in self._in_context(seen.text):
            first, last = seen.original(start, start + len(name.text))
            # A single letter is an article or a unit as well; it counts in its own case alone.
            if len(name.text) > 2 or not name.text.isalpha() or text[first:last] == name.original:
                yield Mention(first, last, name)

    def _in_context(self, text: str) -> Iterator[tuple[int, Name]]:
        for lead in self._one.finditer(text):
            yield from self._listed(text, lead.end())
        for lead in self._many.finditer(text):
            one_by_one = list(self._listed(text, lead.end()))
            if lead[1] or len(one_by_one) > 1:  # "of patients 5 are" is a count
                yield from one_by_one
        for quoted in _QUOTED.finditer(text):
            name = self._doubtful.get(quoted[0].strip(GAP))
            if name is not None:
                yield text.index(name.text, quoted.start()), name
        for message in _MESSAGE.finditer(text):
            name = self._doubtful_at(text, message.start())
            if name is not None and text.startswith(":_", message.start() + len(name.text)):
                yield message.start(), name

    def _listed(self, text: str, start: int) -> Iterator[tuple[int, Name]]:
        """A name and those that follow it as in ``1, 2 and 3``."""
        while (name := self._doubtful_at(text, start)) is not None:
            yield start, name
            behind = _NEXT.match(text, start + len(name.text))
            if behind is None:
                return
            start = behind.end()

    def _doubtful_at(self, text: str, start: int) -> Name | None:
        name = _at(text, start, self._doubtful, self._doubtful_lengths)
        if name is None:
            return None
        before, after = _around(text, start, len(name.text))
        if after[:1].isalnum() or re.match(r"[.,]\d", after):
            return None
        digits_behind_letters = name.text[0].isdigit() and not before[-1:].isdigit()
        return name if digits_behind_letters or not before[-1:].isalnum() else None


def _whole_word(spelling: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![^\W\d_]){re.escape(spelling)}(?![^\W\d_])")


def _lengths(names: dict[str, Name]) -> list[int]:
    return sorted({len(text) for text in names}, reverse=True)


def _at(text: str, start: int, names: dict[str, Name], lengths: Sequence[int]) -> Name | None:
    """The longest name that stands there."""
    parts = (text[start : start + length] for length in lengths)
    return next((names[part] for part in parts if part in names), None)


def _around(text: str, start: int, length: int) -> tuple[str, str]:
    return text[max(0, start - 2) : start], text[start + length : start + length + 2]


def _apart(text: str, start: int, name: Name) -> bool:
    """Whether no letter goes on with the name's letters, and no digit with its digits."""
    if name.rule is Rule.ANYWHERE:
        return True
    before, after = _around(text, start, len(name.text))
    if _same_kind(before[-1:], name.text[0]) or _same_kind(name.text[-1], after[:1]):
        return False
    if any(one.isalpha() for one in name.text):
        return True
    return not (re.search(r"\d[.,]$", before) or re.match(r"[.,]\d", after))


def _same_kind(first: str, second: str) -> bool:
    return (first.isalpha() and second.isalpha()) or (first.isdigit() and second.isdigit())


def _in_any(checksums: Sequence[tuple[int, int]], start: int, name: Name) -> bool:
    """Whether what looks like the name is a part of a checksum."""
    end = start + len(name.text)
    return any(
        first <= start and end <= last and (start, end) != (first, last)
        for first, last in checksums
    )
