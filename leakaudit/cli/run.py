"""`leakaudit run`: train, attack, measure, report. The same command resumes."""

from __future__ import annotations

import numpy as np

from leakaudit.audit.runner import CellImages, cell_images, plan_audit, run_audit
from leakaudit.audit.store import RunStore
from leakaudit.cli.arguments import PolicyFile
from leakaudit.cli.gate import print_verdict
from leakaudit.cli.progress import progress_events
from leakaudit.cli.sources import (
    DEFAULT_RUNS,
    AuditFile,
    DataFolder,
    RunsFolder,
    cache_folder,
    read_config,
)
from leakaudit.cli.summary import print_matrix
from leakaudit.records import ReportRecord, State
from leakaudit.report import GalleryItem, write_report

_UNFINISHED = {State.FAILED, State.TIMED_OUT, State.NOT_RUN}


def run(
    audit: AuditFile = None,
    data: DataFolder = None,
    policy: PolicyFile = None,
    out: RunsFolder = DEFAULT_RUNS,
) -> int:
    """Run an audit and write its report to OUT/<name>/report; the same command resumes."""
    config = read_config(audit, data, policy)
    store = RunStore(out / config.name)
    store.prepare()
    with store.locked():
        plan = plan_audit(config, cache=cache_folder(out))
        with progress_events() as events:
            record = run_audit(plan, store, events)
        gallery = []
        if config.images == "full":
            gallery = _gallery(cell_images(plan, store, plan.matrix.cells))
        page = write_report(record, store.report, gallery, run=store.vouched(record))
    print_matrix(record)
    print_verdict(record)
    print(f"report: {page}")
    return exit_code(record)


def exit_code(record: ReportRecord) -> int:
    """The verdict's; without a policy 3 if a cell or a training did not end, else 0."""
    if record.verdict is not None:
        return record.verdict.exit_code
    states = [cell.state for cell in record.cells] + [target.state for target in record.targets]
    return 3 if any(state in _UNFINISHED for state in states) else 0


def _gallery(images: CellImages) -> list[GalleryItem]:
    return [
        GalleryItem(
            cell=key,
            patient=patient,
            modality=modality,
            original=_plane(truth[row, column]),
            reconstruction=_plane(shown[row, column]),
        )
        for key, (patients, modalities, truth, shown) in images.items()
        for row, patient in enumerate(patients)
        for column, modality in enumerate(modalities)
    ]


def _plane(image: np.ndarray) -> np.ndarray:
    """The image itself in 2D, its middle axial plane in 3D."""
    return image if image.ndim == 2 else image[len(image) // 2]
