"""CONTRIBUTING.md as a newcomer follows it: its table, its links and its lists."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import leakaudit_templates
from leakaudit.data import load_folder
from leakaudit.data.layouts import finding
from leakaudit.data.layouts.sources import Found, Source
from leakaudit.data.naming.labels import Hint
from leakaudit.report import render_html
from leakaudit.report.page import page, templates
from tests.data.conftest import head, save, tumour
from tests.report.sample import sample_report

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "CONTRIBUTING.md").read_text()
TEMPLATES = Path(next(iter(leakaudit_templates.__path__)))


def test_every_room_of_the_project_stands_in_the_table() -> None:
    listed = set(re.findall(r"^\| `(\S+)` \|", GUIDE, flags=re.MULTILINE))
    rooms = {f"leakaudit/{file.parent.name}" for file in (ROOT / "leakaudit").glob("*/__init__.py")}
    plugins = {
        file.parent.relative_to(ROOT).as_posix() for file in ROOT.glob("*s/leak*/__init__.py")
    }
    assert listed == rooms | plugins | {"reports/templates/leakaudit_templates"}


def test_every_path_and_every_test_that_is_named_is_there() -> None:
    for path in re.findall(r"`((?:tests|leakaudit|attacks|defenses|reports|\.ci)/[\w/.]+)`", GUIDE):
        assert (ROOT / path).exists(), path
    for name, path in re.findall(r"\[(test_\w+)\]\((tests/\S+)\)", GUIDE):
        assert f"def {name}(" in (ROOT / path).read_text(), name


def test_a_section_takes_a_template_and_an_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "templates_with_weather"
    shutil.copytree(TEMPLATES, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "weather.html.j2").write_text("<p>Cells: {{ record.cells | length }}.</p>")
    text = (package / "report.html.j2").read_text()
    entry = '("C", "citations", "Citations"),'
    assert entry in text
    (package / "report.html.j2").write_text(
        text.replace(entry, f'{entry}\n  ("D", "weather", "Weather"),')
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(templates, "PACKAGE", package.name)
    # The program's own templates may have been compiled by an earlier test.
    monkeypatch.setattr(page, "_own_environment", page._own_environment.__wrapped__)
    record = sample_report()
    html = render_html(record)
    assert '<section id="weather"' in html
    assert f"<p>Cells: {len(record.cells)}.</p>" in html


def test_a_layout_takes_a_function_from_a_folder_to_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modalities = ("FLAIR", "T1w", "T1gd", "T2w")
    for seed, patient in enumerate(("anna", "bert")):
        for channel, modality in enumerate(modalities):
            save(head(seed)[..., channel], tmp_path / modality / f"{patient}.nii.gz")
        save(tumour(), tmp_path / "masks" / f"{patient}.nii.gz")

    def patients_by_modality(root: Path) -> Found:
        """A folder for each modality, and in it a file for each patient."""
        return Found(
            sources=tuple(
                Source(
                    patient=mask.name.removesuffix(".nii.gz"),
                    listed_in=root,
                    modalities={name: (root / name / mask.name, None) for name in modalities},
                    label=mask,
                    hint=Hint(family="msd"),
                )
                for mask in sorted((root / "masks").iterdir())
            )
        )

    monkeypatch.setattr(finding, "patients_in_folders", patients_by_modality)
    cohort = load_folder(tmp_path, size=16, crop=32)
    assert [patient.id for patient in cohort.patients] == ["anna", "bert"]
    assert all(np.unique(patient.masks).size > 1 for patient in cohort.patients)
