"""Bad patients on the command line: all at once, each in a line of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from leakaudit.cli.printing.messages import say_why
from leakaudit.data import load_folder
from leakaudit.errors import DataError, PatientsError


def test_every_bad_patient_has_a_line_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for patient in ("Brats18_a", "two\nlines"):
        (tmp_path / patient).mkdir()
        for kind in ("flair", "t1", "t1ce", "t2", "seg"):
            (tmp_path / patient / f"x_{kind}.nii.gz").write_bytes(b"")
    with pytest.raises(PatientsError) as caught:
        load_folder(tmp_path)
    say_why(caught.value)
    first, *lines = capsys.readouterr().err.splitlines()
    assert first == "leakaudit: 10 problems with the data:"
    assert len(lines) == 10
    assert all(line.startswith("leakaudit: Brats18_a: ") for line in lines[:5])
    assert all(line.startswith("leakaudit: two lines: ") for line in lines[5:])
    assert all("x_" in line and "the file is empty (0 bytes)" in line for line in lines)
    say_why(DataError("bad", patient="p"))
    assert capsys.readouterr().err == "leakaudit: p: bad\n"
