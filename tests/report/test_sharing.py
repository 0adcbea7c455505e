"""What a shared report must not say, wherever a plug-in, an exception or an audit file put it."""

from __future__ import annotations

import base64
import json
import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args
from urllib.parse import quote

import pytest

from leakaudit.errors import SharingError
from leakaudit.records import (
    Caution,
    CellRecord,
    Configured,
    Effect,
    House,
    Person,
    Record,
    ReleasedTensor,
    ReportRecord,
    State,
    Untested,
)
from leakaudit.report import read_report, render_html, shared, write_report
from leakaudit.report.share.fields import TREATMENTS, can_hold_text
from leakaudit.report.share.names import Names
from leakaudit.report.share.sharing import NOT_SHARED, _Sharing
from leakaudit.report.views.rows import drawn_tensors, listed_cells, room_for_rows
from leakaudit.threat.presets import PRESETS
from tests.configured import a_defense, a_plugin
from tests.report.sample import cell, leakage, sample_gallery, sample_report, target
from tests.report.test_junit import judged

pytestmark = pytest.mark.slow  # whole pages, many times

KEY = bytes(range(32))
NAME = "Zoë O'Brien (née +Müller) [1]*"
DATA = "/mnt/Klinikum Süd/glioma 2021"
HOST = "radiologie-ws7"
USER = "zobrien"
MACHINE = (USER, "Zita O'Brien", f"{HOST}.klinik.example")
# None of these may be read in a file; of the name and the folder no telling part either.
TELLING = ("O'Brien", "OBrien", "Müller", "Mueller", "Klinikum Süd", "glioma 2021", HOST, USER)
PLANTED = (
    f"{NAME}: {DATA}/{NAME}/t1.nii.gz: on {HOST} of {USER}, /home/{USER}/x.py, "
    f"x{NAME.upper()}_flair.mha, host {HOST}.klinik.example, {quote(NAME)}, {NAME!a}, "
    f"{json.dumps(DATA)}, {NAME.encode()!r}, {base64.b64encode(NAME.encode()).decode()}, "
    f"{unicodedata.normalize('NFD', NAME)}, C:\\Users\\{USER}\\Desktop, {USER}@{HOST}, "
    f"{NAME.encode().hex()}, \\\\{HOST}\\scans\\1.dcm, file://{HOST}/home, Müller, Mueller"
)
HOUSE = House(
    organisation="Klinik",
    logo="data:image/png;base64,iVBORw0KGgo=",
    responsible=(Person(role="DPO", name="Zita O'Brien"), Person(role="IT")),
)
UNTESTED = Untested(threats=sample_report().threats[:1], attacks=sample_report().plugins[:1])
# Fields of which only certain values are a record.
FIXED = {"state", "profile", "schema_version", "metric_version", "outcome", "rule", "measure"}
FIXED |= {"quantifier", "bound"}


def planted_report(text: str = PLANTED) -> ReportRecord:
    """The sample about a patient of that name, with the text in every string there is."""
    record = judged(0.5, "target-2-1", images="full", house=HOUSE, untested=UNTESTED)
    payload = json.loads(record.model_dump_json().replace("sample-03", json.dumps(NAME)[1:-1]))
    payload["targets"][0] |= {
        "idle": "off",
        "effects": [Effect(defense=a_plugin("Mine()"), phase="training").model_dump()],
    }
    payload["audit"]["attacks"] = [
        {"name": "mine", "parameters": {NAME: 1, "weights": f"{DATA}/w.pt", "note": "x"}},
        {"name": "other", "parameters": {"left_out": [NAME], DATA: "x", f"{DATA}/b": "y"}},
    ]
    payload["volatile"] |= {"host": HOST, "user": USER, "python": DATA}
    payload["data"] |= {"simulated": False, "name": "glioma 2021"}
    payload = everywhere(payload, text)
    payload["audit"]["data"] = {"kind": "folder", "path": DATA}
    return ReportRecord.model_validate(payload)


def everywhere(value: Any, text: str, key: str = "") -> Any:
    if isinstance(value, dict):
        return {one: everywhere(item, text, one) for one, item in value.items()}
    if isinstance(value, list):
        return [everywhere(item, text, key) for item in value]
    patients = ("patient", "train", "validation", "auxiliary", "victims")
    if not isinstance(value, str) or key in FIXED or (key in patients and value != "training"):
        return value
    return f"{value} {text}"


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, str):
        yield value


def written_as(secret: str) -> set[bytes]:
    """The bytes that would give a secret away, all in lower case but base64."""
    forms = {unicodedata.normalize(form, secret) for form in ("NFC", "NFD", "NFKC")}
    found = set()
    for form in forms:
        found |= {form.encode(), quote(form).encode(), form.encode().hex().encode()}
        found |= {json.dumps(form)[1:-1].encode(), ascii(form)[1:-1].encode()}
        found |= {form.replace("'", "&#39;").encode(), repr(form.encode())[2:-1].encode()}
    return {one.lower() for one in found}


def packed(secret: str) -> set[bytes]:
    """The part of a secret's base64 that is the same whatever stands around it."""
    data = secret.encode()
    parts = (
        base64.b64encode(data[start : start + 3 * ((len(data) - start) // 3)]) for start in range(3)
    )
    return {one for one in parts if len(one) >= 8}


def assert_nowhere(folder: Path, secrets: tuple[str, ...]) -> None:
    files = list(folder.iterdir())
    assert len(files) >= 5
    for path in files:
        data = path.read_bytes()
        for secret in secrets:
            assert not [one for one in written_as(secret) if one in data.lower()], (path, secret)
            assert not [one for one in packed(secret) if one in data], (path, secret)


def test_what_is_planted_in_every_string_is_in_no_file(tmp_path: Path) -> None:
    record = planted_report()
    plain = record.model_dump_json()
    assert plain.count(HOST) > 500
    write_report(shared(record, KEY, MACHINE), tmp_path)
    assert_nowhere(tmp_path, (NAME, DATA, *TELLING))
    patients = record.data.split
    known = (*patients.train, *patients.validation, *patients.auxiliary, *patients.victims)
    assert_nowhere(tmp_path, known)
    assert "P-" in (tmp_path / "report.html").read_text()


def test_a_report_that_is_not_shared_says_it_all(tmp_path: Path) -> None:
    write_report(planted_report(), tmp_path)
    with pytest.raises(AssertionError):
        assert_nowhere(tmp_path, (HOST,))
    with pytest.raises(AssertionError):
        assert_nowhere(tmp_path, (NAME,))


def test_every_field_that_can_hold_text_is_in_the_table() -> None:
    models: list[type[Record]] = [ReportRecord]
    for model in models:  # which grows meanwhile
        held = (one for info in model.model_fields.values() for one in records_in(info.annotation))
        models += [one for one in dict.fromkeys(held) if one not in models]
    can = {
        f"{model.__name__}.{field}"
        for model in models
        for field, info in model.model_fields.items()
        if can_hold_text(info.annotation)
    }
    assert can == set(TREATMENTS)


def records_in(annotation: Any) -> Iterator[type[Record]]:
    if isinstance(annotation, type) and issubclass(annotation, Record):
        yield annotation
    for one in get_args(annotation):
        yield from records_in(one)


@pytest.mark.parametrize("place", ["reason", "notes", "detail", "attack", "blind_floor_name"])
@pytest.mark.parametrize("text", ["no figure for {}", "'{}'", "KeyError: '{}' at 0.0513", "x{}y"])
def test_a_text_that_names_a_patient_goes_as_a_whole(place: str, text: str) -> None:
    record = sample_report()
    text = text.format(record.data.split.victims[0])
    clean = shared(with_text(record, place, text), KEY)
    assert [one for one in strings(clean.model_dump(mode="json")) if NOT_SHARED[1:-1] in one]
    assert not [one for one in strings(clean.model_dump(mode="json")) if text in one]


OWN = [
    "positive control failed: on the undefended system cut at level 2, 0.019 SSIM below the blind "
    "floor (difference \u22120.030 to \u22120.008, 10 patients); it needs 0.100",
    "5 of 10 victims: of all checkpoints' candidates that from 'final' matches best and is kept.",
    "threat aggregator does not grant activations, encoder-weights",
]


@pytest.mark.parametrize("text", OWN)
def test_what_the_program_says_itself_stays(text: str) -> None:
    record = with_text(renamed({"sample-03": "7", "sample-07": "May"}), "notes", text)
    assert shared(record, KEY, MACHINE).cells[0].notes == (text,)


def test_what_a_threat_is_stays() -> None:
    (one, *_) = sample_report().threats
    told = tuple(one.model_copy(update={"words": each.words}) for each in PRESETS.values())
    assert shared(sample_report(threats=told), KEY, MACHINE).threats == told


def test_what_an_exception_or_the_plugin_of_somebody_else_wrote_goes() -> None:
    record = sample_report()
    failed = next(one for one in record.cells if one.state is State.FAILED)
    assert failed.reason
    quoting = with_text(record, "detail", f"undefended it ended failed ({failed.reason})")
    clean = shared(quoting, KEY)
    assert {one.reason for one in clean.cells if one.state is State.FAILED} == {NOT_SHARED}
    assert clean.cells[0].negative_control
    assert clean.cells[0].negative_control.detail == NOT_SHARED
    other = record.plugins[0].model_copy(update={"distribution": "somebody"})
    plugins = (other, *record.plugins[1:])
    theirs = with_text(record.model_copy(update={"plugins": plugins}), "notes", OWN[1])
    clean = shared(theirs, KEY)
    assert clean.cells[0].notes == (NOT_SHARED,)
    assert (clean.plugins[0].summary, clean.plugins[0].citations) == (NOT_SHARED, ())
    assert clean.plugins[1] == record.plugins[1]


def with_text(record: ReportRecord, place: str, text: str) -> ReportRecord:
    first = record.cells[0]
    assert first.leakage
    assert first.negative_control
    updates: dict[str, dict[str, Any]] = {
        "reason": {"reason": text},
        "notes": {"notes": (text,)},
        "attack": {"attack": Configured(name="A", parameters=(("note", text),))},
        "detail": {"negative_control": first.negative_control.model_copy(update={"detail": text})},
        "blind_floor_name": {
            "leakage": first.leakage.model_copy(update={"blind_floor_name": text})
        },
    }
    update = updates[place]
    return record.model_copy(update={"cells": (first.model_copy(update=update), *record.cells[1:])})


def test_figures_states_and_references_within_the_record_stay() -> None:
    record = sample_report()
    clean = shared(record, KEY, MACHINE)
    for before, after in zip(record.cells, clean.cells, strict=True):
        assert (before.cell, before.target, before.state) == (after.cell, after.target, after.state)
        assert (before.attack, before.defense, before.cost) == (
            after.attack,
            after.defense,
            after.cost,
        )
        if before.leakage and after.leakage:
            assert before.leakage.ssim_brain == after.leakage.ssim_brain
            pairs = (
                sorted(one.ssim_brain for one in each.leakage.patients)
                for each in (before, after)
                if each.leakage
            )
            first, second = pairs
            assert first == second
    assert [case.model_dump() for case in clean.worst] == [
        case.model_dump() for case in record.worst
    ]
    assert clean.data.fingerprint == record.data.fingerprint
    assert clean.versions == record.versions
    assert clean.plugins == record.plugins
    assert clean.threats == record.threats


def test_patients_stand_in_the_order_of_their_pseudonyms() -> None:
    clean = shared(sample_report(), KEY)
    split = clean.data.split
    for names in (split.train, split.auxiliary, split.victims):
        assert list(names) == sorted(names)
    lists = [one.leakage.patients for one in clean.cells if one.leakage]
    for rows in lists:
        assert [row.patient for row in rows] == sorted(row.patient for row in rows)
    utilities = [one.utility for one in clean.targets if one.utility]
    for utility in utilities:
        assert [row.patient for row in utility.patients] == list(split.victims)


def test_volatile_goes_but_for_rounded_durations() -> None:
    clean = shared(sample_report(volatile={"host": HOST, "seconds": {"a": 1.0}}), KEY)
    assert clean.volatile == {}
    assert clean.cells[0].volatile == {"seconds": 62.0}
    assert clean.targets[0].volatile == {"seconds": 810.0}
    assert clean.cells[5].volatile == {}


def test_versions_are_versions_of_packages() -> None:
    versions = {
        "python": f"3.11.7 (main, {HOST})",
        "torch": "2.9.0+cu128",
        "numpy": "2.3.1rc1",
        "mine": HOST,
        f"/home/{USER}/lib": "1.0",
        "a b": "1.0",
    }
    assert shared(sample_report(versions=versions), KEY, MACHINE).versions == {
        "python": "3.11.7",
        "torch": "2.9.0",
        "numpy": "2.3.1rc1",
        "mine": NOT_SHARED,
    }


def test_of_the_audit_file_figures_words_and_plugins_stay() -> None:
    data = sample_report().data.model_copy(update={"simulated": False, "name": "StMary-2021"})
    audit = {
        "name": "mine",
        "data": {"kind": "folder", "path": "../StMary-2021", "size": 96, "exclude": ["Meyer-1"]},
        "attacks": [
            {"name": "a", "parameters": {"weights_file": "w", "note": "in /x", "unit": "voxel"}}
        ],
        "policy": {"owner": "Zita O'Brien"},
        "report": {"organisation": "Klinik", "logo": "logo.png", "templates": "ours"},
        "seeds": [0],
    }
    clean = shared(sample_report(data=data, audit=audit), KEY)
    assert clean.data.name == NOT_SHARED
    assert clean.audit == {
        "name": "mine",
        "data": {"kind": "folder", "size": 96},
        "attacks": [{"name": "a", "parameters": {"note": NOT_SHARED, "unit": "voxel"}}],
        "seeds": [0],
    }


def test_the_audits_own_name_stays_unless_it_names_somebody() -> None:
    record = sample_report(name="glioma-2021", audit={"name": "glioma-2021"})
    clean = shared(record, KEY)
    assert clean.name == clean.audit["name"] == "glioma-2021"
    assert shared(sample_report(name=f"of-{USER}"), KEY, MACHINE).name == NOT_SHARED


def test_who_signs_and_owns_goes() -> None:
    record = judged(0.5, "target-2-1", house=HOUSE)
    clean = shared(record, KEY, MACHINE)
    assert clean.verdict
    assert clean.verdict.policy.owner == NOT_SHARED
    assert {one.rationale for one in clean.verdict.policy.thresholds} == {NOT_SHARED}
    assert clean.house == House()
    page = render_html(clean)
    assert "<img" not in page
    assert "Klinik" not in page


def test_a_verdict_is_shared_with_the_pseudonym_of_its_worst_patient() -> None:
    record = judged(0.5, "target-2-1")
    clean = shared(record, KEY)
    assert record.verdict
    assert clean.verdict
    names = pseudonym_of(record, clean)
    assert [one.patient and names[one.patient] for one in record.verdict.checks] == [
        one.patient for one in clean.verdict.checks
    ]
    assert any(one.patient for one in clean.verdict.checks)
    assert [one.limit for one in clean.verdict.policy.thresholds] == [
        one.limit for one in record.verdict.policy.thresholds
    ]
    before, after = (
        one.model_copy(update={"policy": record.verdict.policy, "checks": ()})
        for one in (record.verdict, clean.verdict)
    )
    assert before == after
    for one, two in zip(record.verdict.checks, clean.verdict.checks, strict=True):
        assert one == two.model_copy(update={"patient": one.patient})


def test_who_was_excluded_or_is_cautioned_about_has_a_pseudonym() -> None:
    record = sample_report()
    caution = Caution(kind="left-out", grave=False, words="One has no mask.", patients=("Meyer-2",))
    data = record.data.model_copy(update={"excluded": ("Meyer-1",), "cautions": (caution,)})
    audit = {**record.audit, "data": {"exclude": ["Meyer-1"]}}
    clean = shared(record.model_copy(update={"data": data, "audit": audit}), KEY)
    assert "Meyer" not in clean.model_dump_json()
    assert clean.data.cautions[0].words == NOT_SHARED
    assert clean.data.excluded[0].startswith("P-")
    assert clean.data.cautions[0].patients[0].startswith("P-")


def test_rows_of_patients_stand_in_fields_that_are_put_in_another_order() -> None:
    """Rows elsewhere keep the order of the record, which must not be that of the cohort."""
    found = set()
    for name, model in ReportRecord.model_json_schema()["$defs"].items():
        if "patient" in model.get("properties", {}):
            found |= {
                field
                for other in ReportRecord.model_json_schema()["$defs"].values()
                for field, kind in other.get("properties", {}).items()
                if f'#/$defs/{name}"' in json.dumps(kind)
            }
    assert found == {"patients", "checks"}  # a verdict's checks follow settings and attacks


def test_numbers_and_keys_of_the_audit_that_are_patients() -> None:
    record = renamed({"sample-03": "1234567", "sample-07": "7", "sample-11": "Mark"})
    parameters = {"skip": [1234567], "patient": 7, "Mark": 0.5, "mode": "Mark", "steps": 7}
    audit = {"seeds": [7], "data": {"phantom": {"patients": 7}}, "attacks": [parameters]}
    clean = shared(record.model_copy(update={"audit": audit}), KEY)
    kept = {"skip": [NOT_SHARED], "mode": NOT_SHARED, "steps": 7}
    assert clean.audit == audit | {"attacks": [kept]}
    assert clean.schema_version == record.schema_version
    assert clean.targets[4].noise_to_signal_by_level == record.targets[4].noise_to_signal_by_level


def renamed(names: dict[str, str]) -> ReportRecord:
    text = sample_report().model_dump_json()
    for old, new in names.items():
        text = text.replace(f'"{old}"', json.dumps(new))
    return ReportRecord.model_validate_json(text)


def pseudonym_of(record: ReportRecord, clean: ReportRecord) -> dict[str, str]:
    """By patient, from the figures of the first cell."""
    figures = [one.cells[0].leakage for one in (record, clean)]
    before, after = (
        {row.ssim_brain: row.patient for row in one.patients} for one in figures if one
    )
    return {patient: after[score] for score, patient in before.items()}


def test_figures_and_checksums_are_not_taken_for_a_number_of_a_patient() -> None:
    record = renamed({"sample-03": "12345678", "sample-07": "0.874"})
    data = record.data.model_copy(update={"fingerprint": f"{12345678:064d}"})
    targets = (record.targets[0].model_copy(update={"untrained_dice": 0.12345678}),)
    changed = {"data": data, "targets": (*targets, *record.targets[1:])}
    clean = shared(record.model_copy(update=changed), KEY)
    assert clean.data.fingerprint == data.fingerprint
    assert clean.targets[0].untrained_dice == 0.12345678
    assert (
        "of 12345678"
        not in shared(with_text(record, "reason", "of 12345678"), KEY).model_dump_json()
    )


NAMED = ["patient 7 failed", "sub-10", "victims ['7', '10']", "KeyError: '7'", "10: prediction"]
NAMED += ["of 123456", "MÜLLER, jana", "Mu\u0308ller, Jana", "Mark may", "xBRATS_001y", "id 0012"]
UNNAMED = ["7 of 10 victims, 7.2 s, a 7", "of 12 patients 7 are attacked", "at 0.7123456, 1123456"]
UNNAMED += ["a guess", "marked", "another patient's observation", "(margin 0.10, 10 patients)"]


@pytest.mark.parametrize("text", [*NAMED, *UNNAMED])
def test_what_names_somebody(text: str) -> None:
    known = ("Müller, Jana", "7", "a", "10", "Mark", "BRATS_001", "123456", "0012")
    assert Names(known, ("jdoe", "root")).in_text(text) is (text in NAMED)


def test_short_identifiers_leave_words_and_figures_alone() -> None:
    record = renamed(
        dict(zip(sample_report().data.split.victims, ["1", "2", "a", "10", "7"], strict=True))
    )
    text = "a guess, 1 of 10 victims, 7.2 s, 2 steps"
    clean = shared(with_text(record, "reason", text), KEY)
    names = pseudonym_of(record, clean)
    assert clean.cells[0].reason == text
    assert set(clean.data.split.victims) == set(names.values())
    assert [one.state for one in clean.cells] == [one.state for one in record.cells]
    assert "P-" not in clean.cells[1].model_dump_json(exclude={"leakage"})


def test_an_identifier_that_is_a_word_of_the_report_breaks_nothing() -> None:
    words = dict(
        zip(
            sample_report().data.split.victims,
            ["training", "ok", "images", "FLAIR", "Identity"],
            strict=True,
        )
    )
    record = renamed(words)
    clean = shared(record, KEY)
    assert [one.victims for one in clean.cells] == [one.victims for one in record.cells]
    assert [one.defense for one in clean.targets] == [one.defense for one in record.targets]
    assert clean.data.modalities == record.data.modalities
    assert not set(clean.data.split.victims) & set(words.values())
    assert "no defense" in render_html(clean).lower()


def test_a_further_scan_or_an_excluded_patient_may_be_called_as_a_word_of_the_report() -> None:
    record = sample_report()
    split = record.data.split.model_copy(update={"repeats": ("May", "B", "ok")})
    caution = Caution(kind="left-out", grave=False, words="No mask.", patients=("training",))
    data = record.data.model_copy(
        update={
            "split": split,
            "folds": (split, split),
            "excluded": ("images", "7"),
            "cautions": (caution,),
        }
    )
    audit = {**record.audit, "data": {"exclude": ["images", 7]}}
    clean = shared(record.model_copy(update={"data": data, "audit": audit}), KEY)
    told = [
        *clean.data.split.repeats,
        *(name for fold in clean.data.folds for name in fold.repeats),
        *clean.data.excluded,
        *clean.data.cautions[0].patients,
    ]
    assert len(told) == 12
    assert all(name.startswith("P-") for name in told)
    assert "exclude" not in clean.audit["data"]


def test_it_fails_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Sharing, "_sentence", lambda self, text: text)
    record = with_text(renamed({"sample-03": NAME}), "reason", f"of {NAME}")
    with pytest.raises(SharingError, match="would still hold what looks like a name") as error:
        shared(record, KEY, MACHINE)
    assert NAME not in str(error.value)


def test_sharing_twice_changes_nothing_and_is_read_back(tmp_path: Path) -> None:
    clean = shared(planted_report(), KEY, MACHINE)
    assert shared(clean, bytes(32), MACHINE) is clean
    write_report(clean, tmp_path)
    assert read_report(tmp_path) == clean
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    write_report(read_report(tmp_path), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_one_key_gives_one_set_of_pseudonyms_and_another_key_another() -> None:
    first, again, other = (shared(sample_report(), key) for key in (KEY, KEY, bytes(32)))
    assert first == again
    assert not set(first.data.split.train) & set(other.data.split.train)
    for name in first.data.split.train:
        assert re.fullmatch("P-[0-9A-F]{6}", name)


def test_pseudonyms_of_many_patients_can_be_told_apart() -> None:
    from leakaudit.report.share.pseudonyms import pseudonyms

    many = [f"patient-{number}" for number in range(9_000)]
    names = pseudonyms(many, KEY)
    assert len(set(names.values())) == 9_000
    assert {len(name) for name in names.values()} == {len("P-") + 8}
    with pytest.raises(SharingError, match="32 bytes, got 5"):
        pseudonyms(many, b"short")


def test_there_are_no_images_whatever_the_run_says(tmp_path: Path) -> None:
    record = sample_report(images="full")
    assert "<img" in render_html(record, sample_gallery())
    clean = shared(record, KEY)
    assert clean.images == "none"
    write_report(clean, tmp_path, sample_gallery())
    page = (tmp_path / "report.html").read_text()
    assert "<img" not in page
    kept = re.compile(r"data:image/[^\"]+")  # those of the program's own simulated patient
    assert set(kept.findall(page)) == set(kept.findall(render_html(sample_report())))
    picture = with_text(record, "reason", "see data:image/png;base64,iVBORw0KGgoAAAANSUhEUg== here")
    assert shared(picture, KEY).cells[0].reason == NOT_SHARED


def test_the_page_says_what_it_is() -> None:
    page = render_html(shared(sample_report(), KEY))
    assert page.index("Shared version.") < page.index("<h1>")
    assert "Shared version." not in render_html(sample_report())
    for word in ("anonymous", "gdpr compliant", "certified", "no leakage"):
        assert word not in page.lower()


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "{{7*7}}", "=cmd", "</style>", "gnp.\u202ereport", "a\nb"]
)
def test_hostile_names_become_pseudonyms(name: str, tmp_path: Path) -> None:
    record = with_text(renamed({"sample-03": name}), "reason", f"no figure for {name}")
    clean = shared(record, KEY)
    assert clean.cells[0].reason == NOT_SHARED
    write_report(clean, tmp_path)
    for path in tmp_path.iterdir():
        if name not in ("</style>",):  # which every page has
            assert name not in path.read_text()


@cache
def large_report(cells: int = 500, victims: int = 10, attacks: int = 5) -> ReportRecord:
    """Cells of so many victims each, so many attacks on each of their targets."""
    figures = leakage(0.8)
    row = figures.patients[0]
    rows = tuple(
        row.model_copy(
            update={"patient": f"sample-{number:03d}", "ssim_brain": 0.6 + number % 9 / 50}
        )
        for number in range(victims)
    )
    figures = figures.model_copy(update={"patients": rows})
    targets, attacked = [], []
    for number in range(cells):
        setting = number // attacks
        key, defense = f"{setting:064x}", a_defense(f"GaussianNoise(std={setting / 10})")
        if number % attacks == 0:
            named = {"target": key, "defense": defense, "fitted_defense": (defense,)}
            targets.append(target(2, 1).model_copy(update=named))
        update = {
            "cell": f"{number:064x}",
            "target": key,
            "defense": defense,
            "attack": a_plugin(f"DecoderInversion(epochs={number % attacks})"),
        }
        attacked.append(
            cell(2, 0, "decoder-inversion").model_copy(update=update | {"leakage": figures})
        )
    return sample_report(cells=tuple(attacked), targets=tuple(targets), references=())


@pytest.mark.parametrize(
    ("cells", "victims", "attacks"), [(500, 10, 5), (500, 10, 3), (24, 400, 3)]
)
def test_a_large_shared_page_is_small(cells: int, victims: int, attacks: int) -> None:
    clean = shared(large_report(cells, victims, attacks), KEY)
    page = render_html(clean)
    assert 3_000_000 < len(page.encode()) <= 5_000_000
    listed, room = listed_cells(clean), room_for_rows(clean)
    assert page.count('<th scope="row"><bdi>P-') >= victims * len(listed) > room - victims
    left_out = cells - len(listed)
    assert left_out > 0
    assert page.count("Patients one by one: in report.json alone.") == left_out
    assert f"no room for the patients one by one of {left_out} attacks" in page
    strongest = {case.worst for case in clean.worst}
    assert listed >= strongest or listed < strongest
    for key in sorted(listed)[:20]:
        number = 1 + [one.cell for one in clean.cells].index(key)
        start = page.index(f'<tr id="cell-{number}" ')
        details = page[start : page.index("</details>", start)]
        assert details.count('<th scope="row"><bdi>P-') == victims


@pytest.mark.parametrize("attacks", [3, 7])
def test_a_large_shared_page_draws_the_tensors_that_it_has_room_for(attacks: int) -> None:
    whole = large_report(500, 10, attacks)
    cells = tuple(
        one.model_copy(
            update={
                "attack": a_plugin(f"TensorInversion(site={1 + number % 2}, level={number // 2})"),
                "attack_name": "tensor-inversion",
                "tensor": ReleasedTensor(site=1 + number % 2, level=number // 2),
            }
        )
        if (number := place % attacks)
        else one
        for place, one in enumerate(whole.cells)
    )
    clean = shared(whole.model_copy(update={"cells": cells}), KEY)
    page = render_html(clean)
    assert 3_000_000 < len(page.encode()) <= 5_000_000
    settings = len({one.target for one in cells})
    drawn = len(drawn_tensors(clean))
    assert drawn < settings
    assert f"no room for the tensors of {settings - drawn} settings" in page
    assert page.count(">All that it sees<") == drawn
    assert len(drawn_tensors(clean.model_copy(update={"profile": "internal"}))) == settings


def test_a_small_shared_page_lists_all_patients_and_an_internal_one_always() -> None:
    for record in (shared(sample_report(), KEY), large_report(cells=300)):
        page = render_html(record)
        assert "in report.json alone" not in page
        assert "no room" not in page


def test_withheld_figures_of_a_cell_are_shared_under_pseudonyms_as_well() -> None:
    clean = shared(sample_report(), KEY)
    bad: list[CellRecord] = [one for one in clean.cells if one.state is State.CONTROL_FAILED]
    assert bad
    for one in bad:
        assert one.withheld
        assert all(row.patient.startswith("P-") for row in one.withheld.patients)
