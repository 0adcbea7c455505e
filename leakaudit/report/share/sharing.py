"""The ``share`` profile of a report: the same figures, without who, where and on what machine.

`leakaudit.report.share.fields` lists every field that can hold text and what becomes of it. Figures
and states stay, patients have pseudonyms, and a text stays only where the program itself or one of
its own plug-ins wrote it.

What stays can be linked to a person by a holder of the patients' data: the figures, the
fingerprint of the data, and the keys that are made of it. It is still personal data.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from typing import Any, TypeVar, final

from leakaudit.errors import SharingError
from leakaudit.records import DataRecord, House, PluginRecord, Record, ReportRecord, State
from leakaudit.report.share.fields import Treatment, treatment_of
from leakaudit.report.share.names import Names
from leakaudit.report.share.pseudonyms import pseudonyms

NOT_SHARED = "[not shared]"
_OURS = "leakaudit"
_KEY = re.compile(r"[0-9a-z-]{0,128}")
_WORD = re.compile(r"[\w+.,() -]{0,80}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SIGNS = "\u2264\u2265\u2212\u2192\u2013\u00d7"
_PROSE = re.compile(rf"(?:[\w\s.,;:?!()\[\]+=<>'\"*~^{_SIGNS}-]| / |%(?![0-9A-Fa-f]{{2}}))*")
_LONGEST_WORD = 28
_LONG_NUMBER = 6
_VERSION = re.compile(r"\d+(?:\.\d+)*(?:\.?(?:a|b|rc|post|dev)\d+)*")
# Sections of the audit file without paths, people and words of the user's.
_SETTINGS = (
    *("name", "device", "images", "seeds", "data", "target", "defenses", "attacks", "threats"),
    *("releases", "gradient_batch", "gradient_checkpoints", "round_steps", "references", "budgets"),
)
_DATA_SETTINGS = ("kind", "size", "crop", "spatial_dims", "split_seed", "folds", "phantom")
_SAYS_WHO = re.compile(
    r"(?:^|_)(?:patient|victims?|subjects?|persons?|owner|user|host|paths?|files?|folders?|root)"
    r"(?:_|$)",
    re.I,
)
_Given = TypeVar("_Given", bound=Record)


def shared(record: ReportRecord, key: bytes, machine: Iterable[str] = ()) -> ReportRecord:
    """The record as it may leave the house; one that is shared already is returned as it is.

    Args:
        record: a run's.
        key: 32 random bytes; equal keys give equal pseudonyms.
        machine: names of this machine and of its users, which no text may mention.

    Raises:
        SharingError: something that identifies would be left, or the key is none.
    """
    if record.profile == "share":
        return record
    aliases = pseudonyms(set(_patients(record)), key)
    names = Names(aliases, _parts(machine))
    clean = _Sharing(record, key, aliases, names).record(record)
    clean = clean.model_copy(update={"profile": "share", "images": "none", "house": House()})
    if names.is_certain("\n".join(_texts(clean.model_dump(mode="json")))):
        raise SharingError(
            "the report would still hold what looks like a name; nothing was written. Please "
            "report it, and share no part of this run before it is solved"
        )
    return clean


@final
class _Sharing:
    """Replaces every text of one record."""

    def __init__(
        self, record: ReportRecord, key: bytes, aliases: Mapping[str, str], names: Names
    ) -> None:
        self._key = key
        self._aliases = aliases
        self._names = names
        self._only_ours = all(one.distribution == _OURS for one in record.plugins)
        # Texts of exceptions, which other texts may quote, as that of a job not run does.
        broken = (State.FAILED, State.NOT_RUN)
        ended = [one for one in _records(record) if getattr(one, "state", None) in broken]
        self._errors = tuple({text for one in ended if (text := getattr(one, "reason", ""))})
        self._by_treatment: dict[Treatment, Callable[[str], str]] = {
            Treatment.KEPT: lambda text: text,
            Treatment.KEY: self._reference,
            Treatment.WORD: self._word,
            Treatment.CHOSEN: self._chosen,
            Treatment.SENTENCE: self._sentence,
            Treatment.SAID: lambda text: self._sentence(text) if self._only_ours else NOT_SHARED,
            Treatment.ABOUT: lambda text: text,
            Treatment.PATIENT: lambda text: self._aliases[text],
            Treatment.VERSION: self._version,
            Treatment.DROPPED: lambda text: NOT_SHARED if text else "",
        }

    def record(self, given: _Given) -> _Given:
        """A record with every field as the table says."""
        model = type(given)
        clean = {
            name: self._field(getattr(given, name), treatment_of(model, name))
            for name in model.model_fields
        }
        for name, value in clean.items():
            if name == "patients" and isinstance(value, tuple) and _are_records(value):
                clean[name] = tuple(sorted(value, key=lambda one: one.patient))
            elif treatment_of(model, name) is Treatment.PATIENT and isinstance(value, tuple):
                clean[name] = tuple(sorted(value))
        if isinstance(given, PluginRecord) and given.distribution != _OURS:
            clean |= {"summary": NOT_SHARED, "citations": ()}
        if isinstance(given, DataRecord) and not given.simulated:
            clean["name"] = NOT_SHARED
        return model(**clean)

    def _field(self, value: Any, treatment: Treatment) -> Any:
        if treatment is Treatment.SETTINGS:
            return self._audit(value)
        if treatment is Treatment.DURATIONS:
            return _durations(value)
        if treatment is Treatment.PARAMETERS:
            return tuple(
                (self._word(name), NOT_SHARED if _SAYS_WHO.search(name) else given)
                for name, one in value
                for given in [self._setting(one, with_words=self._only_ours)]
            )
        return self._value(value, treatment)

    def _value(self, value: Any, treatment: Treatment) -> Any:
        if isinstance(value, Record):
            return self.record(value)
        if isinstance(value, tuple):
            return tuple(self._value(one, treatment) for one in value)
        if isinstance(value, dict):
            kept = {key: one for key, one in value.items() if self._is_key(key, treatment)}
            return {key: self._value(one, treatment) for key, one in kept.items()}
        if isinstance(value, str) and not isinstance(value, Enum):
            return self._by_treatment[treatment](value)
        return value

    def _is_key(self, key: Any, treatment: Treatment) -> bool:
        """Whether a key of a mapping may stay; so do numbers and states."""
        if not isinstance(key, str) or isinstance(key, Enum):
            return True
        form = _NAME if treatment is Treatment.VERSION else _WORD
        return form.fullmatch(key) is not None and not self._names.is_certain(key)

    def _reference(self, text: str) -> str:
        """A key, which other fields refer to; equal ones stay equal."""
        if _KEY.fullmatch(text) and not self._names.is_certain(text):
            return text
        return hashlib.sha256(self._key + text.encode("utf-8", "surrogatepass")).hexdigest()[:32]

    def _word(self, text: str) -> str:
        return text if _WORD.fullmatch(text) and not self._names.is_certain(text) else NOT_SHARED

    def _chosen(self, text: str) -> str:
        return text if _NAME.fullmatch(text) and not self._names.in_text(text) else NOT_SHARED

    def _sentence(self, text: str) -> str:
        plain = _PROSE.fullmatch(text) and max(map(len, text.split()), default=0) <= _LONGEST_WORD
        quotes = any(error in text for error in self._errors)
        named = quotes or self._names.in_text(text)
        return text if plain and not named else NOT_SHARED

    def _version(self, text: str) -> str:
        """The public part of a version; the local one may say who built it and where."""
        public = _VERSION.match(text)
        return public[0] if public else NOT_SHARED

    def _audit(self, audit: dict[str, Any]) -> dict[str, Any]:
        kept = {name: value for name, value in audit.items() if name in _SETTINGS}
        if isinstance(data := kept.get("data"), dict):
            kept["data"] = {name: data[name] for name in data if name in _DATA_SETTINGS}
        clean: dict[str, Any] = self._setting(kept, with_words=True)
        return clean | ({"name": self._chosen(str(audit["name"]))} if "name" in audit else {})

    def _setting(self, value: Any, *, with_words: bool) -> Any:
        """Keep an audit file's figures, yes or no, and single words."""
        if isinstance(value, dict):
            return {
                name: self._setting(
                    one, with_words=with_words and (name != "parameters" or self._only_ours)
                )
                for name, one in value.items()
                if _NAME.fullmatch(name) and not self._names.in_text(name)
                if not _SAYS_WHO.search(name)
            }
        if isinstance(value, list | tuple):
            return [self._setting(one, with_words=with_words) for one in value]
        if isinstance(value, str):
            plain = _NAME.fullmatch(value)
            return value if with_words and plain and not self._names.in_text(value) else NOT_SHARED
        is_patient = len(str(value)) >= _LONG_NUMBER and self._names.is_name(str(value))
        return NOT_SHARED if is_patient else value


def _records(value: Any) -> Iterator[Record]:
    """Every record within a record, itself the first."""
    if isinstance(value, Record):
        yield value
        for name in type(value).model_fields:
            yield from _records(getattr(value, name))
    elif isinstance(value, tuple):
        for one in value:
            yield from _records(one)
    elif isinstance(value, dict):
        for one in value.values():
            yield from _records(one)


def _patients(record: ReportRecord) -> Iterator[str]:
    """The patients that any field names."""
    for one in _records(record):
        for name in type(one).model_fields:
            if treatment_of(type(one), name) is Treatment.PATIENT:
                value = getattr(one, name)
                yield from (value,) if isinstance(value, str) else value or ()


def _parts(machine: Iterable[str]) -> Iterator[str]:
    for name in machine:
        yield from (name, name.partition(".")[0])


def _texts(value: Any) -> Iterator[str]:
    """Every text of plain data, keys included."""
    if isinstance(value, dict):
        yield from map(str, value)
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)
    elif isinstance(value, str):
        yield value


def _are_records(values: tuple[Any, ...]) -> bool:
    return all(isinstance(one, Record) for one in values)


def _durations(value: dict[str, Any]) -> dict[str, float]:
    """Keep the duration, to two digits, of all that differs between equal runs."""
    seconds = value.get("seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return {}
    return {"seconds": float(f"{seconds:.2g}")} if math.isfinite(seconds) else {}
