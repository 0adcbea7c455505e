"""Patients reach a job as an open file: equal, read-only, without a name and without a copy."""

from __future__ import annotations

import errno
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leakaudit.audit.jobs.processes import Events, Job, Limits, run_jobs
from leakaudit.audit.storage.patient_file import share
from leakaudit.audit.storage.system import People
from leakaudit.data import Cohort, phantom_cohort
from leakaudit.errors import StoreError


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return phantom_cohort(patients=4, slices=2, size=32, seed=0, spatial_dims=2)


def look(argument: Any, progress: Callable[[int, int], None]) -> None:
    """In the job: what arrived, and whether it can be written to."""
    shared, out = argument
    patients = shared.patients.values()
    out.write_text(
        json.dumps(
            {
                "sums": [[float(p.images.sum()), int(p.masks.sum())] for p in patients],
                "writeable": [p.images.flags.writeable for p in patients],
            }
        )
    )


@pytest.mark.slow
def test_a_job_sees_the_same_patients(cohort: Cohort, tmp_path: Path) -> None:
    shared = share(cohort, tmp_path)
    assert list(tmp_path.iterdir()) == []
    jobs = [
        Job(key=name, label=name, work=look, argument=(shared, tmp_path / name)) for name in "ab"
    ]
    ended = run_jobs(jobs, workers=2, limits=Limits(seconds=60.0), events=Events())
    assert {end.state for end in ended.values()} == {"ok"}, ended
    for name in "ab":
        seen = json.loads((tmp_path / name).read_text())
        assert seen["sums"] == [
            [float(p.images.sum()), int(p.masks.sum())] for p in cohort.patients
        ]
        assert not any(seen["writeable"])


def test_people_have_the_modalities_of_their_sites_in_order(cohort: Cohort, tmp_path: Path) -> None:
    people = People(share(cohort, tmp_path), [["T2w"], ["T1w"]])
    order = [cohort.modalities.index("T2w"), cohort.modalities.index("T1w")]
    wanted = [cohort.ids[2], cohort.ids[0]]
    for patient, name in zip(people.load(wanted), wanted, strict=True):
        (whole,) = cohort.select([name])
        assert patient.id == name
        assert np.array_equal(patient.images, whole.images[:, order])
        assert np.array_equal(patient.masks, whole.masks)
    assert people.all_but(wanted) == [cohort.ids[1], cohort.ids[3]]


def test_a_full_disk_is_an_error_of_the_store(
    cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: object) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(StoreError, match="No space left on device"):
        share(cohort, tmp_path)
