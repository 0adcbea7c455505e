"""Every way to damage a run or a report is found, and nothing else is reported."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from leakaudit.audit.storage.run_folder import RunStore
from leakaudit.errors import StoreError
from leakaudit.integrity import Checked, check, locate
from leakaudit.records.manifest import FileEntry, parse_report_manifest
from leakaudit.report import write_report
from tests.integrity.conftest import small_report
from tests.report.sample import sample_report

CELL = "cells/cell-1-0-activation-inversion"
OTHER_CELL = "cells/cell-1-0-decoder-inversion"
TARGET = "targets/target-1-0"
UNCOVERED = (".lock", "events.jsonl")
FILES = 6 + 1 + 2 * 3 + 2 * 2


def checked(path: Path) -> Checked:
    return check(locate(path))


def faults(path: Path) -> list[tuple[str, str]]:
    return [(fault.kind, fault.where) for fault in checked(path).faults]


def flip(file: Path, bit: int) -> None:
    data = bytearray(file.read_bytes())
    data[bit // 8 % len(data)] ^= 1 << bit % 8
    file.write_bytes(data)


def swap(first: Path, second: Path) -> None:
    aside = first.with_name("aside")
    first.rename(aside)
    second.rename(first)
    aside.rename(second)


def test_a_whole_run_has_no_faults(run: Path) -> None:
    found = checked(run)
    assert found.faults == ()
    assert found.files == FILES == len([path for path in run.rglob("*") if path.is_file()]) - 2
    assert found.unvouched == UNCOVERED
    assert found.others == ()
    assert (found.signed, found.signer) == (False, None)
    assert found.manifest is not None
    assert found.manifest.run is not None
    assert len(found.manifest.run.targets) == len(found.manifest.run.cells) == 2


def test_a_report_of_another_layout_is_not_called_whole(run: Path) -> None:
    """Its hashes fit, as after a forger or another version wrote it."""
    file = run / "report" / "report.json"
    data = file.read_bytes().replace(b'"cells"', b'"cellar"', 1)
    file.write_bytes(data)
    manifest = parse_report_manifest((run / "report" / "manifest.json").read_bytes())
    files = {**manifest.files, "report.json": FileEntry.of(data)}
    sealed = manifest.model_copy(update={"files": files}).to_bytes()
    (run / "report" / "manifest.json").write_bytes(sealed)
    assert faults(run) == [("broken", "report/report.json")]


def test_a_measured_cell_without_a_result_is_a_fault(run: Path) -> None:
    record = small_report()
    part = RunStore(run).vouched(record)
    thin = part.model_copy(update={"cells": {}, "targets": {}})
    write_report(record, run / "report", run=thin)
    found = faults(run)
    assert {("broken", f"cells/{one.cell}") for one in record.cells} <= set(found)
    assert {("broken", f"targets/{one.target}") for one in record.targets} <= set(found)


@pytest.mark.parametrize("named", ["", "report", "report/report.html", "report/manifest.json"])
def test_a_run_is_found_by_its_report(run: Path, named: str) -> None:
    assert checked(run / named).files == FILES
    flip(run / TARGET / "weights.safetensors", 77)
    assert faults(run / named) == [("changed", f"{TARGET}/weights.safetensors")]


@pytest.mark.parametrize("named", ["", "report.html", "report.json", "manifest.json"])
@pytest.mark.parametrize("folder", ["report", "from an e-mail"])
def test_a_report_that_was_copied_is_checked_alone(
    run: Path, tmp_path: Path, named: str, folder: str
) -> None:
    alone = tmp_path / "elsewhere" / folder
    shutil.copytree(run / "report", alone)
    place = locate(alone / named)
    assert not place.is_run
    found = check(place)
    assert (found.faults, found.files) == ((), 6)
    assert found.manifest is not None
    assert found.manifest.run is not None  # so that one can be told what is not here
    (alone / "report.html").write_text("another page")
    assert faults(alone / named) == [("changed", "report.html")]


def everything(run: Path) -> list[Path]:
    return sorted(path for path in run.rglob("*") if path.is_file() and path.name not in UNCOVERED)


def test_a_flipped_bit_is_found_wherever_it_is(run: Path) -> None:
    for file in everything(run):
        original = file.read_bytes()
        name = file.relative_to(run).as_posix()
        for bit in {0, 8 * len(original) - 1, *(int(8 * len(original) * x / 9) for x in range(9))}:
            flip(file, bit)
            found = faults(run)
            kinds = {kind for kind, where in found if where == name}
            # A flip in the name of a result or of its file is found there instead.
            assert found, (name, bit)
            assert kinds <= {"changed", "broken"}
            if "manifest.json" not in name:
                assert found == [("changed", name)]
            file.write_bytes(original)
    assert faults(run) == []


def test_every_bit_of_the_report_manifest_counts(run: Path) -> None:
    original = (run / "report" / "manifest.json").read_bytes()
    assert parse_report_manifest(original).run is not None
    for bit in range(8 * len(original)):
        data = bytearray(original)
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ValueError, match=r"^it"):
            parse_report_manifest(bytes(data))


def test_a_file_that_was_deleted_is_found_wherever_it_was(run: Path) -> None:
    for file in everything(run):
        original = file.read_bytes()
        file.unlink()
        assert ("missing", file.relative_to(run).as_posix()) in faults(run)
        file.write_bytes(original)
    assert faults(run) == []


@pytest.mark.parametrize("where", ["", "report/", "targets/", "cells/", f"{TARGET}/", f"{CELL}/"])
def test_what_is_not_named_is_found_and_no_link_or_pipe_is_opened(run: Path, where: str) -> None:
    outside = run.parent / "outside"
    outside.write_text("x")
    (run / f"{where}more").write_text("x")
    (run / f"{where}link").symlink_to(outside)
    (run / f"{where}loop").symlink_to("loop")
    (run / f"{where}zero").symlink_to("/dev/zero")
    os.mkfifo(run / f"{where}pipe")
    found = checked(run).faults
    assert sorted(fault.where for fault in found) == [
        f"{where}{name}" for name in ("link", "loop", "more", "pipe", "zero")
    ]
    assert {fault.kind for fault in found} <= {"unknown", "refused"}


def replaced_by_link(file: Path) -> None:
    """A link to the very same content: what it names can be changed later."""
    away = file.parents[2] / "away"
    file.rename(away)
    file.symlink_to(away)


def replaced_by_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def replaced_by_socket(file: Path) -> None:
    file.unlink()
    here = Path.cwd()
    os.chdir(file.parent)  # the path of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(file.name)
    finally:
        os.chdir(here)


def replaced_by_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


REPLACED: list[Callable[[Path], None]] = [
    replaced_by_link,
    replaced_by_pipe,
    replaced_by_socket,
    replaced_by_folder,
]


@pytest.mark.parametrize("replaced", REPLACED)
@pytest.mark.parametrize(
    "name",
    [
        "report/report.html",
        "report/manifest.json",
        "report/manifest.json.sig",
        f"{CELL}/cell.json",
        f"{CELL}/manifest.json",
        "audit.yaml",
        "events.jsonl",
        ".lock",
    ],
)
def test_only_regular_files_are_read(
    run: Path, name: str, replaced: Callable[[Path], None]
) -> None:
    (run / name).touch()
    replaced(run / name)
    found = [fault for fault in checked(run).faults if fault.where == name]
    assert [fault.kind for fault in found] == ["refused"]
    assert "expected a file, got a" in found[0].detail


@pytest.mark.parametrize("name", ["report", "targets", "cells", TARGET, CELL])
def test_a_folder_that_is_a_link_is_not_followed(run: Path, name: str) -> None:
    away = run.parent / "away"
    (run / name).rename(away)
    (run / name).symlink_to(away)
    assert [(k, w) for k, w in faults(run) if k == "refused"] == [("refused", name)]
    assert "which is not followed" in str(checked(run).faults[0])


def test_a_page_that_is_a_link_to_a_whole_report_elsewhere_is_no_whole_report(
    run: Path, tmp_path: Path
) -> None:
    write_report(sample_report(name="forged"), tmp_path / "forged")
    page = run / "report" / "report.html"
    page.unlink()
    page.symlink_to(tmp_path / "forged" / "report.html")
    assert faults(page) == [("refused", "report/report.html")]


def test_a_device_is_refused(run: Path) -> None:
    page = run / "report" / "report.html"
    page.unlink()
    try:
        os.mknod(page, 0o20600, os.makedev(1, 5))
    except OSError as error:
        pytest.skip(f"making a device needs root ({error.strerror})")
    assert faults(run) == [("refused", "report/report.html")]
    assert "got a device" in checked(run).faults[0].detail


def test_results_that_changed_places_are_found(run: Path) -> None:
    swap(run / CELL, run / OTHER_CELL)
    found = checked(run).faults
    assert [(fault.kind, fault.where) for fault in found] == [
        ("swapped", CELL),
        ("swapped", OTHER_CELL),
    ]
    assert OTHER_CELL.partition("/")[2] in found[0].detail


def test_a_result_that_was_copied_under_another_name_is_found(run: Path) -> None:
    shutil.copytree(run / CELL, run / "cells" / "another")
    assert faults(run) == [("swapped", "cells/another")]


def test_a_result_that_was_forged_with_its_manifest_is_found(run: Path) -> None:
    store = RunStore(run)
    with store.commit("cells", CELL.partition("/")[2]) as folder:
        (folder / "cell.json").write_text("forged")
    assert store.is_done("cells", CELL.partition("/")[2])
    assert faults(run) == [("changed", f"{CELL}/manifest.json")]


def test_the_report_of_another_run_is_found(run: Path) -> None:
    shutil.rmtree(run / "report")
    write_report(sample_report(name="another"), run / "report")
    assert faults(run) == [("broken", "report/manifest.json")]
    assert "it names no results" in checked(run).faults[0].detail


def test_a_report_that_is_missing_is_a_fault_and_results_are_checked_by_themselves(
    run: Path,
) -> None:
    shutil.rmtree(run / "report")
    flip(run / CELL / "cell.json", 3)
    found = checked(run)
    assert [(fault.kind, fault.where) for fault in found.faults] == [
        ("missing", "report"),
        ("changed", f"{CELL}/cell.json"),
    ]
    assert found.manifest is None


@pytest.mark.parametrize("name", ["targets", "cells", TARGET, CELL])
def test_results_that_are_gone_are_found(run: Path, name: str) -> None:
    shutil.rmtree(run / name)
    assert faults(run) == [("missing", name)]


def test_every_fault_is_found_not_the_first_alone(run: Path) -> None:
    (run / "report" / "cells.csv").unlink()
    flip(run / "report" / "report.html", 9)
    (run / TARGET / "manifest.json").write_text('{"key": 3, "sha256": {"a": "b"}}')
    (run / CELL / "manifest.json").write_text('{"key": "x", "sha256": {}}')
    (run / "audit.yaml").write_text("name: other\n")
    assert faults(run) == [
        ("missing", "report/cells.csv"),
        ("changed", "report/report.html"),
        ("changed", "audit.yaml"),
        ("broken", f"{TARGET}/manifest.json"),
        ("broken", f"{CELL}/manifest.json"),
    ]


def test_results_of_an_earlier_audit_and_a_training_that_goes_on_are_no_faults(run: Path) -> None:
    store = RunStore(run)
    with store.commit("targets", "earlier") as folder:
        (folder / "target.json").write_text("x")
    store.scratch("unfinished").mkdir()
    found = checked(run)
    assert (found.faults, found.files, found.others) == ((), FILES, ("targets/earlier",))
    assert found.unvouched == (*UNCOVERED, "targets/.unfinished.training")
    flip(run / "targets" / "earlier" / "target.json", 0)
    assert faults(run) == [("changed", "targets/earlier/target.json")]


def test_a_manifest_can_not_lead_out_of_the_folder(run: Path) -> None:
    outside = run.parent / "outside"
    outside.write_text("x")
    digest = hashlib.sha256(b"x").hexdigest()
    listed = json.dumps({"key": "earlier", "sha256": {"../../../outside": digest}})
    (run / "cells" / "earlier").mkdir()
    (run / "cells" / "earlier" / "manifest.json").write_text(listed)
    found = checked(run).faults
    assert [(fault.kind, fault.where) for fault in found] == [
        ("broken", "cells/earlier/manifest.json")
    ]


def test_a_file_that_can_not_be_read_is_a_fault(run: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads every file")
    (run / "report" / "report.html").chmod(0)
    assert faults(run) == [("unreadable", "report/report.html")]


def test_a_folder_in_which_an_audit_runs_is_left_alone(run: Path) -> None:
    with RunStore(run).locked(), pytest.raises(StoreError, match="an audit is running here"):
        checked(run)


HOSTILE = [
    "<script>alert(1)</script>".replace("/", "\u2215"),
    "{{7*7}}",
    "=cmd",
    "</style>".replace("/", "\u2215"),
    "\u202egpj.exe",
    "line\nwhole: 5 files",
    "\x1b[2J\x1b]0;title\x07",
    "rep\u043ert.html",
    "\udcff\udcfe",
    " ",
    "x" * 255,
]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_hostile_name_is_inert_in_a_line(run: Path, name: str) -> None:
    (run / "report" / name).write_text("x")
    (run / "cells" / name).symlink_to("/")
    lines = [str(fault) for fault in checked(run).faults]
    assert len(lines) == 2
    for line in lines:
        assert line.isascii()
        assert line.isprintable()
    shutil.copytree(run / CELL, run / "cells" / "copy")
    manifest = json.loads((run / CELL / "manifest.json").read_text())
    (run / "cells" / "copy" / "manifest.json").write_text(json.dumps({**manifest, "key": name}))
    assert all(str(fault).isascii() and str(fault).isprintable() for fault in checked(run).faults)


@pytest.mark.parametrize("named", ["nowhere", "empty", "empty/page.html", "broken", "file"])
def test_what_is_no_run_and_no_report_is_refused(tmp_path: Path, named: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="expected the folder of a run"):
        locate(tmp_path / named)
