"""Fixtures that every part of the tests may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_patients() -> Path:
    """Folder of the real patients (MSD layout), from LEAKAUDIT_TEST_DATA or beside the checkout.

    They may be read, never copied into the repository (see PROVENANCE.md in that folder).
    """
    named = os.environ.get("LEAKAUDIT_TEST_DATA")
    beside = Path(__file__).resolve().parents[2] / "shared" / "data" / "brats_slabs"
    folder = Path(named) if named else beside
    if not (folder / "dataset.json").is_file():
        pytest.skip(f"no real patients in {folder}; set LEAKAUDIT_TEST_DATA to a folder of them")
    return folder
