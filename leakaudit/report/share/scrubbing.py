"""Takes out of free text whatever says who, where or on what machine.

Free text is what plug-ins, exceptions and audit files wrote. Known names go by the rules of
`leakaudit.report.share.names`; whatever looks like a path, an address, an account, a time of day, a
process or a graphics card goes by its looks. Text that still says one of these percent-encoded,
escaped, in base64 or in hexadecimal digits goes as a whole. This finds what gets into a text by
accident: a plug-in that hides a name on purpose finds an encoding that nobody looks for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import final

from leakaudit.report.share.folding import decodings, folded, unpacked
from leakaudit.report.share.names import (
    ACCOUNT_WORDS,
    PATIENT_WORDS,
    Mention,
    NameTable,
    Rule,
    named,
    telling_parts,
)

PATH_REMOVED = "[path removed]"
NAME_REMOVED = "[name removed]"
TEXT_REMOVED = "[text removed]"
_KINDS = ("path", "name", "text", "host", "time", "process", "device", "data")
_MARKER = re.compile(rf"\[(?:{'|'.join(_KINDS)}) removed\]")
_PSEUDONYM = re.compile(r"(?<![\w-])P-[0-9A-F]{6,64}(?![\w-])")
_ROUNDS = 4

# Accounts and machines that are called alike everywhere, and folders that every machine has.
_NOBODY = """root user admin administrator ubuntu debian nobody guest default test docker jovyan
runner vagrant localhost localdomain app service"""
_EVERYWHERE = """home users mnt media srv data datasets dataset tmp var opt usr work workspace
shared share volumes volume storage scratch runs documents downloads desktop imagestr labelstr
task01_braintumour training validation images labels"""
_NOBODYS = frozenset(_NOBODY.split())
_COMMON_FOLDERS = _NOBODYS | frozenset(_EVERYWHERE.split())

_STEP = r"[^\s/\\'\"`<>|;,:()\[\]{}]+(?::(?=[^\s:/\\])[^\s/\\'\"`<>|;,()\[\]{}]*)?"
_STEPS = rf"(?:{_STEP}(?: {_STEP}){{0,3}}[/\\]+)*(?:{_STEP})?"
_SCAN = r"(?:nii(?:\.gz)?|dcm|dicom|mha|mhd|nrrd|mgz|mgh|hdr|img|ima|npz?|zarr)"
_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_LOOKS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"data:[\w.+-]+/[\w.+-]+[;,][\w+/=%;,-]*", re.ASCII), "[data removed]"),
    (re.compile(r"(?<![\w+/-])[A-Za-z0-9+/_-]{240,}={0,2}"), "[data removed]"),
    (re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://[^\s'\"`<>|)\]}]*"), PATH_REMOVED),
    (
        re.compile(r"(?<=['\"`])(?:~[\w-]*|\.{1,2}|[A-Za-z]:)?[/\\][^'\"`\n]*(?=['\"`])"),
        PATH_REMOVED,
    ),
    (re.compile(rf"\\\\+(?!['\"ntr]\b)(?=\w[^\s\\]*\\){_STEPS}"), PATH_REMOVED),
    (re.compile(rf"(?<![A-Za-z])[A-Za-z]:[/\\]+{_STEPS}"), PATH_REMOVED),
    (re.compile(rf"(?<![\w/.)\]}}<+%-])(?:~[\w-]*|\.{{1,2}})?/+(?=[^\s/]){_STEPS}"), PATH_REMOVED),
    (
        re.compile(r"(?<![\w/.])(?!10\.\d{4,9}/)(?:[\w.+@-]+[/\\])+[\w.+@-]*\.[A-Za-z]\w{0,7}\b"),
        PATH_REMOVED,
    ),
    (re.compile(rf"[^\s/\\'\"`<>|;,:()\[\]{{}}=]+\.{_SCAN}\b", re.IGNORECASE), PATH_REMOVED),
    (re.compile(r"(?<![\w.+-])[\w.+-]+@[A-Za-z][\w-]*(?:\.[\w-]+)*"), NAME_REMOVED),
    (
        re.compile(
            r"(?<![\w.-])(?:[\w-]+\.)+(?:local|lan|internal|intranet|intra|corp|localdomain|home"
            r"|hospital|clinic)\b",
            re.IGNORECASE,
        ),
        "[host removed]",
    ),
    (re.compile(rf"(?<![\w.])(?:{_OCTET}\.){{3}}{_OCTET}(?!\w|\.\d)"), "[host removed]"),
    (re.compile(r"(?<![\w:])(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}(?![\w:])", re.I), "[host removed]"),
    (re.compile(r"(?<![\w:])(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}(?![\w:])", re.I), "[host removed]"),
    (
        re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z| ?[+-]\d\d:?\d\d)?"),
        "[time removed]",
    ),
    (re.compile(r"\b(?:pid|process(?: id)?)[ =:#]{1,3}\d+", re.IGNORECASE), "[process removed]"),
    (
        re.compile(
            r"\b(?:NVIDIA|GeForce|Quadro|Radeon|Tesla(?= [A-Z]\d))\b(?:[ -](?:RTX|GTX|TITAN|Tesla"
            r"|GeForce|Quadro|Radeon|PCIe|Ti|SUPER|Pro|Graphics|[A-Z]*\d[\w.]*))*"
        ),
        "[device removed]",
    ),
)


@final
@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Whose machine a report is shared from.

    Args:
        accounts: log-in and full names of its user.
        hosts: its names.
        folders: absolute paths such as the home folder and the run folder.
    """

    accounts: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()


@final
class Scrubber:
    """Texts without what identifies; equal texts stay equal.

    Args:
        pseudonyms: of every patient.
        surroundings: of the machine, and of the data folder.
        folder_names: parts of paths that say where or whose; those that every machine has are left.
    """

    def __init__(
        self,
        pseudonyms: Mapping[str, str],
        surroundings: Surroundings,
        folder_names: Iterable[str],
    ) -> None:
        """Sort what is known by how it is found."""
        self._pseudonyms = frozenset(pseudonyms.values())
        machine = (*surroundings.accounts, *surroundings.hosts)
        accounts = [part for name in machine for part in (name, name.partition(".")[0])]
        whole = [one.rstrip("/\\") for one in surroundings.folders]
        paths = [one for one in whole if len(one) >= 6 and (one[0] in "/\\" or one[1] == ":")]
        self._tables = {
            # "/.." is a path by its looks, and what stands behind a known one goes with it.
            "path": _table(dict.fromkeys(paths, "/.."), (), rule=Rule.ANYWHERE),
            "patient identifier": _table(pseudonyms, PATIENT_WORDS),
            "part of an identifier": _table(
                dict.fromkeys(telling_parts(pseudonyms), NAME_REMOVED), PATIENT_WORDS
            ),
            "account or host": _table(
                dict.fromkeys(_but(accounts, _NOBODYS), NAME_REMOVED), ACCOUNT_WORDS
            ),
            "folder": _table(
                dict.fromkeys(_but(folder_names, _COMMON_FOLDERS), PATH_REMOVED), ("folder",)
            ),
        }
        self._known: dict[str, str] = {}

    @property
    def unmistakable(self) -> tuple[str, ...]:
        """The names, as they are compared, that may stand nowhere at all."""
        return tuple(
            name.text
            for table in self._tables.values()
            for name in table.names
            if name.rule is Rule.ANYWHERE and not re.fullmatch("[0-9a-f_]+", name.text)
        )

    def text(self, value: str) -> str:
        """The text with what identifies replaced; of what cannot be, ``[text removed]``."""
        known = self._known.get(value)
        if known is None:
            known = self._known[value] = self._scrubbed(value)
        return known

    def finds(self, value: str) -> str:
        """What kind of thing in a text identifies: ``patient``, ``path`` and so on; else empty."""
        kinds = tuple(self._tables)
        return self._finds_plain(value, kinds) or self._finds_encoded(value, kinds)

    def _scrubbed(self, value: str) -> str:
        for _ in range(_ROUNDS):
            before, value = value, self._once(value)
            if value == before:
                break
        value = self._without_encoded(value, tuple(self._tables))
        return TEXT_REMOVED if self.finds(value) else value

    def _once(self, value: str) -> str:
        for kind in ("path", "patient identifier"):
            value = self._replaced(value, self._tables[kind])
        # Before a part of it is replaced, which would leave the rest of it unknown.
        value = self._without_encoded(value, ("patient identifier",))
        for looks, instead in _LOOKS:
            value = _outside(value, self._ours(value), looks, instead)
        for kind in ("account or host", "folder", "part of an identifier"):
            value = self._replaced(value, self._tables[kind])
        return value

    def _replaced(self, value: str, table: NameTable) -> str:
        for one in reversed(self._mentions(value, table)):
            value = value[: one.start] + one.name.instead + value[one.end :]
        return value

    def _without_encoded(self, value: str, kinds: tuple[str, ...]) -> str:
        """The text without the words that are the encoding of what identifies."""
        if not self._finds_encoded(value, kinds):
            return value
        words = re.split(rf"(\s+|{_MARKER.pattern})", value)
        return "".join(TEXT_REMOVED if self._finds_encoded(one, kinds) else one for one in words)

    def _mentions(self, value: str, table: NameTable) -> list[Mention]:
        """Mentions that touch nothing which stands for something already."""
        found = table.mentions(value)
        if not found:
            return found
        ours = self._ours(value)
        return [
            one
            for one in found
            if not any(one.start < end and start < one.end for start, end in ours)
        ]

    def _ours(self, value: str) -> list[tuple[int, int]]:
        pseudonyms = (one for one in _PSEUDONYM.finditer(value) if one[0] in self._pseudonyms)
        return [one.span() for found in (_MARKER.finditer(value), pseudonyms) for one in found]

    def _finds_plain(self, value: str, kinds: tuple[str, ...]) -> str:
        for kind in kinds:
            if self._mentions(value, self._tables[kind]):
                return kind
        if len(kinds) == len(self._tables):
            ours = self._ours(value)
            for looks, instead in _LOOKS:
                if _outside(value, ours, looks, instead) != value:
                    return instead.removesuffix(" removed]").removeprefix("[")
        return ""

    def _finds_encoded(self, value: str, kinds: tuple[str, ...]) -> str:
        views = decodings(value)
        for view in views:
            if kind := self._finds_plain(view, kinds):
                return f"encoded {kind}"
        packed = {one for view in (value, *views) for one in unpacked(view)}
        for text, whole in sorted(packed):
            seen = folded(text)
            for kind in kinds:
                if self._tables[kind].surely(seen, Rule.WORD if whole else Rule.ANYWHERE):
                    return f"encoded {kind}"
        return ""


def _table(
    names: Mapping[str, str], leads: tuple[str, ...], *, rule: Rule | None = None
) -> NameTable:
    every = [one for name, instead in names.items() for one in named(name, instead, rule)]
    return NameTable(every, leads)


def _but(names: Iterable[str], common: frozenset[str]) -> list[str]:
    return [one for one in names if one.casefold() not in common]


def _outside(value: str, ours: list[tuple[int, int]], looks: re.Pattern[str], instead: str) -> str:
    """The text with what looks like this replaced, but for what stands for something already."""
    return looks.sub(lambda found: found[0] if found.span() in ours else instead, value)
