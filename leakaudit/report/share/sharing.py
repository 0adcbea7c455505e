"""The ``share`` profile of a report: the same figures, without who, where and on what machine.

Every text of the record is walked, whichever field it stands in, so that a field of tomorrow is
scrubbed as well, and the outcome is searched once more before it is returned.

- Fields that hold patients (``patient``, the lists of the split, keys that are identifiers) hold
  pseudonyms, always, and stand in the order of the pseudonyms: the order of the cohort would say
  who is who.
- All other text is free text; `leakaudit.report.share.scrubbing` says what goes, and
  `leakaudit.report.share.names` which mentions of a short identifier are taken for one.
- The data folder's name, whatever the audit gives as a path, and all of ``volatile`` go, but for
  durations, which are rounded to two digits. Package versions stay without their local part.
- There are no images, a logo neither.
- What the user chose to be named by stays, scrubbed of patients, accounts and hosts: the audit, its
  sites, the house, and in full the people who answer for it.

What stays can be linked to a person by whoever holds the patients' data: the figures, the
fingerprint of the data, and the keys that are made of it. It is still personal data.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, final

from pydantic import ValidationError

from leakaudit.errors import SharingError
from leakaudit.records import ReportRecord
from leakaudit.report.share.folding import GAP, folded
from leakaudit.report.share.names import Rule, is_program_word, rule_of
from leakaudit.report.share.pseudonyms import pseudonyms
from leakaudit.report.share.scrubbing import PATH_REMOVED, TEXT_REMOVED, Scrubber, Surroundings

Place = tuple[str | int, ...]
"""Keys from the top of the record down; 0 stands for any item of a list."""

_SPLIT = frozenset({"train", "validation", "auxiliary", "victims"})
_OUR_NUMBERS = frozenset({"schema_version", "metric_version"})
_PATH_KEY = re.compile(
    r"(?:^|_)(?:paths?|files?|filename|folders?|dirs?|directory|root|logo|templates)$", re.I
)
_IMAGE = re.compile(r"data:[\w.+-]+/[\w.+-]+[;,][\w+/=%;,-]*")
_VERSION = re.compile(r"\d+(?:\.\d+)*(?:\.?(?:a|b|rc|post|dev)\d+)*")
_PACKAGE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
_HOME = re.compile(r"(?:/home/|/Users/|[A-Za-z]:[/\\]+Users[/\\]+)([^/\\\s'\"]+)")
_AUDIT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FEWEST_DIGITS = 6


def shared(
    record: ReportRecord, key: bytes, surroundings: Surroundings | None = None
) -> ReportRecord:
    """The record as it may leave the house; one that is shared already is returned as it is.

    Args:
        record: a run's.
        key: 32 random bytes; equal keys give equal pseudonyms.
        surroundings: what is known of the machine, to be taken out of free text.

    Raises:
        SharingError: something that identifies would be left, or the key is none.
    """
    if record.profile == "share":
        return record
    payload = record.model_dump(mode="json")
    names = pseudonyms(_patients(payload), key)
    scrubber = Scrubber(names, *_known(record, surroundings or Surroundings()))
    walk = _Walk(names, scrubber, simulated=record.data.simulated)
    clean = walk.value(payload, ())
    clean |= {"profile": "share", "images": "none"}
    _require_nothing_left(clean, scrubber, frozenset(names.values()))
    try:
        return ReportRecord.model_validate(clean)
    except ValidationError as error:
        where = _pointer(error.errors()[0]["loc"])
        raise SharingError(f"{where}: what is left after scrubbing is no report") from None


@final
class _Walk:
    """Replaces every text of a record."""

    def __init__(self, names: dict[str, str], scrubber: Scrubber, *, simulated: bool) -> None:
        self._names = names
        self._pseudonyms = frozenset(names.values())
        self._scrubber = scrubber
        self._simulated = simulated

    def value(self, value: Any, place: Place) -> Any:
        """What stands for a value at its place."""
        if isinstance(value, dict):
            return self._mapping(value, place)
        if isinstance(value, list):
            return [self.value(item, (*place, 0)) for item in value]
        if isinstance(value, str):
            return self._text(value, place)
        if isinstance(value, int) and not isinstance(value, bool):
            return self._number(value, place)
        return value

    def _mapping(self, value: dict[str, Any], place: Place) -> dict[str, Any]:
        if place == ("versions",):
            return self._versions(value)
        clean: dict[str, Any] = {}
        for key, item in value.items():
            if key == "volatile":
                clean[key] = _durations(item)
                continue
            name = self._key(key, place)
            while name in clean:  # two paths, both removed
                name += "'"
            clean[name] = self.value(item, (*place, key))
            if isinstance(item, list) and self._says_who_is_who(item, value, (*place, key)):
                clean[name].sort(key=_patient_of)
        return dict(sorted(clean.items())) if self._pseudonyms & set(clean) else clean

    def _says_who_is_who(self, items: list[Any], beside: dict[str, Any], place: Place) -> bool:
        """Whether the order of a list of patients is that of the cohort, or may be."""
        patients = [_patient_of(item) for item in items]
        if not patients or not self._names.keys() >= set(patients):
            return False
        if any(isinstance(item, dict) for item in items):
            return place[-1] == "patients"  # of other rows the number may be what they are named by
        lists = [item for item in beside.values() if isinstance(item, list) and item is not items]
        # Of a list of names alone, another list of the same length may be the other half.
        return not any(
            len(one) == len(items) and not self._names.keys() >= set(map(_patient_of, one))
            for one in lists
        )

    def _key(self, key: str, place: Place) -> str:
        if key in self._names and (self._is_sure(key) or place[:1] == ("audit",)):
            return self._names[key] if self._is_no_word(key) else key
        return self._scrubber.text(key)

    def _text(self, value: str, place: Place) -> str:
        if value in self._names and (_holds_patients(place) or self._means_patient(value, place)):
            return self._names[value]
        if place == ("data", "name") and not self._simulated:
            return PATH_REMOVED
        if _IMAGE.fullmatch(value):
            return ""
        if value and place[0] == "audit" and _PATH_KEY.search(str(_key_of(place))):
            return PATH_REMOVED
        if place[0] in ("plugins", "untested") and place[-1] == "version":
            return self._version(value)
        return self._scrubber.text(value)

    def _number(self, value: int, place: Place) -> int | str:
        """A number of an audit file, such as a patient whom a plug-in leaves out."""
        name = str(value)
        if name not in self._names or place[0] != "audit":
            return value
        is_count = str(_key_of(place)).endswith("patients") and place[-1] != 0
        meant = len(name) >= _FEWEST_DIGITS or (_holds_patients(place) and not is_count)
        return self._names[name] if meant else value

    def _means_patient(self, value: str, place: Place) -> bool:
        """Whether a text that is an identifier, and nothing else, means the patient."""
        if self._is_sure(value):
            return True
        return place[-1] not in _OUR_NUMBERS and self._is_no_word(value)

    def _is_sure(self, name: str) -> bool:
        return rule_of(folded(name).text.strip(GAP)) is not Rule.CONTEXT

    def _is_no_word(self, name: str) -> bool:
        said = is_program_word(folded(name).text.strip(GAP))
        return not said or not any(one.isalpha() for one in name)

    def _versions(self, value: dict[str, Any]) -> dict[str, Any]:
        return {
            name: self._version(str(version))
            for name, version in value.items()
            if _PACKAGE.fullmatch(name) and self._scrubber.text(name) == name
        }

    def _version(self, value: str) -> str:
        """The public part of a version; the local one may say who built it and where."""
        public = _VERSION.match(value)
        return self._scrubber.text(public[0]) if public else TEXT_REMOVED


def _patients(value: Any, place: Place = ()) -> set[str]:
    """Every identifier that stands where an identifier must."""
    if isinstance(value, dict):
        return {name for key, item in value.items() for name in _patients(item, (*place, key))}
    if isinstance(value, list):
        return {name for item in value for name in _patients(item, (*place, 0))}
    return {value} if isinstance(value, str) and _is_identifier(place) else set()


def _is_identifier(place: Place) -> bool:
    """Whether what stands there is a patient's identifier, whatever word it may be."""
    if place[-1:] == ("patient",):
        return True
    if not place or not isinstance(place[-1], int):
        return False
    of_list = place[:-1]
    return (
        of_list in (("data", "excluded"), ("audit", "data", "exclude"))
        or (of_list[:2] == ("data", "split") and len(of_list) == 3)
        or (of_list[:2] == ("data", "folds") and len(of_list) == 4)
        or ("cautions" in of_list and of_list[-1] == "patients")
    )


def _known(record: ReportRecord, machine: Surroundings) -> tuple[Surroundings, list[str]]:
    """What is known of the machine and of the data folder, and the names of that folder's path."""
    texts = {text for _, text in _texts(record.model_dump(mode="json"), ())}
    homes = {found for text in texts for found in _HOME.findall(text)}
    data = record.audit.get("data")
    path = str(data.get("path") or "") if isinstance(data, dict) else ""
    # What the user named the audit and its sites by may stand.
    chosen = [record.name if _AUDIT_NAME.fullmatch(record.name) else "", *record.data.modalities]
    signers = {one.name for one in record.house.responsible}
    signers |= {record.verdict.policy.owner} if record.verdict else set()
    full = {folded(one).text for one in signers if " " in one.strip()}
    parts = [part for part in re.split(r"[/\\]", path) if part not in ("", ".", "..", "~")]
    parts += [] if record.data.simulated else [record.data.name]
    known = Surroundings(
        accounts=tuple(
            one for one in (*machine.accounts, *sorted(homes)) if folded(one).text not in full
        ),
        hosts=machine.hosts,
        folders=(*machine.folders, path),
    )
    return known, [one for one in parts if not any(_within(one, name) for name in chosen)]


def _within(part: str, name: str) -> bool:
    """Whether a name is or, between gaps, holds another one."""
    inner, outer = (f"{GAP}{folded(one).text.strip(GAP)}{GAP}" for one in (part, name))
    return inner in outer


def _require_nothing_left(
    clean: dict[str, Any], scrubber: Scrubber, pseudonyms: frozenset[str]
) -> None:
    """Search the outcome for whatever is known to identify.

    Raises:
        SharingError: it is there; the message says where and what kind of thing, not what.
    """
    places: dict[str, Place] = {}
    for place, text in _texts(clean, ()):
        places.setdefault(text, place)
        if _is_identifier(place) and text not in pseudonyms:
            raise _left(place, "patient identifier")
    for text, place in places.items():
        if text not in pseudonyms and (kind := scrubber.finds(text)):
            raise _left(place, kind)
    whole = folded(json.dumps(sorted(places), ensure_ascii=False)).text
    if any(name in whole for name in scrubber.unmistakable):
        raise _left((), "name")


def _left(place: Place, kind: str) -> SharingError:
    return SharingError(
        f"{_pointer(place)} of the report would still hold what looks like this: {kind}; nothing "
        "was written. Please report it, and share no part of this run before it is solved"
    )


def _texts(value: Any, place: Place) -> Iterator[tuple[Place, str]]:
    """Every text with its place, and every key with that of its mapping."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield place, key
            yield from _texts(item, (*place, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _texts(item, (*place, number))
    elif isinstance(value, str):
        yield place, value


def _durations(value: Any) -> dict[str, float]:
    """Of what differs between equal runs, how long it took, to two digits."""
    seconds = value.get("seconds") if isinstance(value, dict) else None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return {}
    return {"seconds": float(f"{seconds:.2g}")} if math.isfinite(seconds) else {}


def _patient_of(item: Any) -> str:
    found = item.get("patient") if isinstance(item, dict) else item
    return found if isinstance(found, str) else ""


def _holds_patients(place: Place) -> bool:
    """Whether an identifier is what a field is for, by its name."""
    key = str(_key_of(place)).casefold()
    return "patient" in key or (key in _SPLIT and place[-1] == 0) or _is_identifier(place)


def _key_of(place: Place) -> str | int:
    return next((one for one in reversed(place) if one != 0), "")


def _pointer(place: tuple[Any, ...]) -> str:
    return "/" + "/".join(str(one) for one in place)
