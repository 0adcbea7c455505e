"""`leakaudit run`: train, attack, measure, report. The same command resumes."""

from __future__ import annotations

from pathlib import Path

from leakaudit.audit.planning.audited import plan_audit
from leakaudit.audit.results.pictures import RunPictures
from leakaudit.audit.runner import run_audit
from leakaudit.audit.storage.run_folder import RunStore
from leakaudit.cli.arguments import PolicyFile
from leakaudit.cli.commands.gate import print_verdict
from leakaudit.cli.printing.cautions import print_cautions
from leakaudit.cli.printing.progress import progress_events
from leakaudit.cli.printing.reading import ReadingLines
from leakaudit.cli.printing.replaced import warn_custom_templates
from leakaudit.cli.printing.summary import print_matrix
from leakaudit.cli.sources import (
    DEFAULT_RUNS,
    AuditFile,
    Cached,
    DataFolder,
    RunsFolder,
    cache_folder,
    read_config,
)
from leakaudit.errors import ExitCode
from leakaudit.records import CellRecord, ReportRecord
from leakaudit.report import (
    Gallery,
    GalleryItem,
    check_templates,
    draw_gallery,
    read_manifest,
    write_report,
)


def run(
    audit: AuditFile = None,
    data: DataFolder = None,
    policy: PolicyFile = None,
    out: RunsFolder = DEFAULT_RUNS,
    cache: Cached = True,
) -> int:
    """Run an audit and write its report to OUT/<name>/report; the same command resumes."""
    config = read_config(audit, data, policy)
    templates = Path(config.report.templates) if config.report.templates else None
    check_templates(templates)
    store = RunStore(out / config.name)
    store.prepare()
    with store.locked():
        kept = cache_folder(out, is_wanted=cache)
        plan = plan_audit(config, cache=kept, told=ReadingLines())
        print_cautions(plan)
        with progress_events() as events:
            record = run_audit(plan, store, events)
        gallery = None if config.images == "none" else _gallery(record, RunPictures(plan, store))
        page = write_report(
            record, store.report, gallery, run=store.vouched(record), templates=templates
        )
    print_matrix(record)
    print_verdict(record)
    print(f"report: {page}")
    warn_custom_templates(read_manifest(store.report), page)
    return exit_code(record)


def exit_code(record: ReportRecord) -> int:
    """The verdict's; without a policy 3 if a cell or a training did not end, else 0."""
    if record.verdict is not None:
        return record.verdict.exit_code
    states = [cell.state for cell in record.cells] + [target.state for target in record.targets]
    broke_off = any(state.broke_off for state in states)
    return ExitCode.UNDECIDED if broke_off else ExitCode.DONE


def _gallery(record: ReportRecord, pictures: RunPictures) -> Gallery:
    def source(cell: CellRecord, patient: str) -> list[GalleryItem]:
        key, guess = cell.result_of(patient)
        return [
            GalleryItem(one.channel, one.original, one.reconstruction, one.guess)
            for one in pictures.planes(key, patient, guess)
        ]

    return draw_gallery(record, source)
