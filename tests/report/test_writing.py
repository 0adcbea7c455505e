from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import stat
from importlib.metadata import version
from pathlib import Path

import pytest
from pydantic import ValidationError

from leakaudit.errors import StoreError
from leakaudit.records import State
from leakaudit.records.manifest import FileEntry, RunPart
from leakaudit.report import cells_csv, read_manifest, read_report, write_report
from leakaudit.report.files.csv_table import COLUMNS
from tests.configured import a_defense
from tests.report.sample import sample_report

REQUIRED = [
    "cell",
    "target",
    "cut_level",
    "shared_skips",
    "defense",
    "attack",
    "threat",
    "victims",
    "releases",
    "seed",
    "state",
    "reason",
    "n_victims",
    "ssim_brain",
    "ssim_brain_low",
    "ssim_brain_high",
    "blind_floor",
    "advantage",
    "reid_top1",
    "dice_mean",
    "noise_to_signal",
    "seconds",
]


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_columns_stand_in_their_order_and_control_cells_are_marked() -> None:
    later = ["control_only", "ssim_tumour", "ncc", "site", "recovers", "mask_dice", "mask_floor"]
    of_training = ["gradient_batch", "gradient_checkpoints", "round_steps"]
    of_release = ["bottleneck", "tensor", "disguise"]
    matched = ["matched_top1", "matched_low", "matched_high", "matched_chance", "queries"]
    assert list(COLUMNS) == [*REQUIRED, *later, *of_training, *of_release, *matched]
    record = sample_report()
    table = rows(cells_csv(record))
    assert len(table) == len(record.cells)
    assert [row["control_only"] for row in table].count("true") == 1


def test_every_parameter_has_a_column() -> None:
    first = sample_report().cells[0]
    stack = a_defense("A(std=1.0, on=True) + B(std=2.0, sizes=(1, 2))")
    (row,) = rows(cells_csv(sample_report(cells=(first.model_copy(update={"defense": stack}),))))
    of_defense = {name: value for name, value in row.items() if name.startswith("defense.")}
    assert of_defense == {
        "defense.std": "1.0",
        "defense.on": "true",
        "defense.std.2": "2.0",
        "defense.sizes": "1 2",
    }
    assert (row["attack.iterations"], row["attack.tv"]) == ("300", "0.01")
    assert row["defense"] == "A(std=1.0, on=True) + B(std=2.0, sizes=(1, 2))"


def test_a_missing_figure_is_an_empty_field() -> None:
    for row in rows(cells_csv(sample_report())):
        figures = [row[name] for name in REQUIRED[12:19]]
        assert all(figures) if row["state"] == "ok" else not any(figures)
    undefended = rows(cells_csv(sample_report()))[0]
    assert undefended["noise_to_signal"] == ""
    assert undefended["shared_skips"] == "0"
    assert undefended["bottleneck"] == ""
    narrow = sample_report().cells[0].model_copy(update={"bottleneck": 4})
    assert rows(cells_csv(sample_report(cells=(narrow,))))[0]["bottleneck"] == "4"
    assert float(undefended["dice_mean"]) == 0.712


def test_figures_that_a_bad_cell_carries_are_not_written() -> None:
    record = sample_report()
    bad = record.cells[0].model_copy(update={"state": State.CONTROL_FAILED})
    row = rows(cells_csv(record.model_copy(update={"cells": (bad,)})))[0]
    assert row["ssim_brain"] == row["advantage"] == row["n_victims"] == ""


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_formulas_are_neutralised_and_negative_numbers_are_not(start: str) -> None:
    record = sample_report()
    cell = record.cells[0].model_copy(update={"reason": f"{start}cmd|' /C calc'!A0"})
    assert cell.leakage is not None
    advantage = cell.leakage.advantage.model_copy(update={"mean": -0.25})
    leakage = cell.leakage.model_copy(update={"advantage": advantage})
    cell = cell.model_copy(update={"leakage": leakage})
    row = rows(cells_csv(record.model_copy(update={"cells": (cell,)})))[0]
    assert row["reason"].startswith(f"'{start}")
    assert row["advantage"] == "-0.25"


def test_a_report_is_written_whole_private_and_read_back(tmp_path: Path) -> None:
    record = sample_report()
    folder = tmp_path / "deep" / "report"
    page = write_report(record, folder)
    assert page == folder / "report.html"
    assert sorted(path.name for path in folder.iterdir()) == [
        "cells.csv",
        "citations.bib",
        "junit.xml",
        "manifest.json",
        "report.html",
        "report.json",
    ]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    manifest = json.loads((folder / "manifest.json").read_text())
    for name, entry in manifest["files"].items():
        data = (folder / name).read_bytes()
        assert entry == {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    assert set(manifest["files"]) == {
        "report.json",
        "cells.csv",
        "report.html",
        "citations.bib",
        "junit.xml",
    }
    assert manifest["leakaudit"] == version("leakaudit")
    assert manifest["report_schema"] == record.schema_version
    assert manifest["run"] is None
    assert read_report(folder) == record
    text = (folder / "report.json").read_text()
    expected = json.dumps(record.model_dump(mode="json"), sort_keys=True, indent=1)
    assert text == expected + "\n"


def test_writing_again_gives_the_same_bytes(tmp_path: Path) -> None:
    write_report(sample_report(), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    write_report(read_report(tmp_path), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_manifest_says_what_the_report_rests_on_and_keeps_it(tmp_path: Path) -> None:
    run = RunPart(
        files={"audit.yaml": FileEntry.of(b"x")}, targets={"t": "0" * 64}, cells={"c": "1" * 64}
    )
    write_report(sample_report(), tmp_path, run=run)
    before = (tmp_path / "manifest.json").read_bytes()
    manifest = read_manifest(tmp_path)
    assert manifest is not None
    assert manifest.run == run
    write_report(read_report(tmp_path), tmp_path, run=manifest.run)
    assert (tmp_path / "manifest.json").read_bytes() == before


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
        (b"[]", "not a manifest"),
        (b'{"sha256": {}}', "it has no version"),
        (b'{"version": 2}', "it has version 2, expected 1"),
        (b'{"version": 1}', "Field required at 'leakaudit'"),
    ],
    ids=["cut", "deep", "a list", "older", "newer", "empty"],
)
def test_a_broken_manifest_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    write_report(sample_report(), tmp_path)
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(StoreError, match=re.escape(words)):
        read_report(tmp_path)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc/passwd", "../x", "a\0b"])
def test_a_manifest_can_not_name_what_lies_elsewhere(name: str) -> None:
    with pytest.raises(ValidationError, match="without a path"):
        RunPart(files={}, targets={name: "0" * 64}, cells={})


def test_a_folder_that_can_not_be_made_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="file"):
        write_report(sample_report(), tmp_path / "file" / "report")


def test_a_file_that_can_not_be_replaced_is_a_store_error_and_leaves_no_rest(
    tmp_path: Path,
) -> None:
    (tmp_path / "cells.csv").mkdir()
    with pytest.raises(StoreError, match=r"cells\.csv"):
        write_report(sample_report(), tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_folder_named_in_an_older_encoding_is_read_back(tmp_path: Path) -> None:
    record = sample_report()
    audit = {**record.audit, "data": {"path": os.fsdecode(b"/data/M\xfcller")}}
    write_report(record.model_copy(update={"audit": audit}), tmp_path)
    assert read_report(tmp_path).audit["data"]["path"] == "/data/M[U+DCFC]ller"


def test_a_nan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="NaN"):
        write_report(sample_report(volatile={"seconds": float("nan")}), tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_a_missing_changed_or_strange_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"report\.json"):
        read_report(tmp_path)
    write_report(sample_report(), tmp_path)
    path = tmp_path / "report.json"
    path.write_text(path.read_text().replace("0.912", "0.212"))
    with pytest.raises(StoreError, match="differs"):
        read_report(tmp_path)
    (tmp_path / "manifest.json").unlink()
    path.write_text('{"name": 3}')
    with pytest.raises(StoreError, match="wrong entries"):
        read_report(tmp_path)
    write_report(sample_report(schema_version="99"), tmp_path)
    with pytest.raises(StoreError, match="schema version"):
        read_report(tmp_path)
