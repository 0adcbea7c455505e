"""Runs an audit: patients, matrix, jobs, report. The same command resumes what was interrupted."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from leakaudit.audit.jobs.attack_network import run_cell
from leakaudit.audit.jobs.attack_process import serve
from leakaudit.audit.jobs.processes import Ended, Events, HelperProcesses, Job, Limits, run_jobs
from leakaudit.audit.jobs.train_network import train_target
from leakaudit.audit.planning.audited import Plan, worker_count
from leakaudit.audit.planning.labels import Labels
from leakaudit.audit.planning.plans import CellPlan, TargetPlan
from leakaudit.audit.results.assemble import assemble
from leakaudit.audit.storage.patient_file import share
from leakaudit.audit.storage.run_folder import AUDIT_FILE, RunStore
from leakaudit.audit.storage.system import Task
from leakaudit.audit_file import audit_yaml
from leakaudit.config import AuditConfig
from leakaudit.files import write_atomically
from leakaudit.isolation.sandbox import confinement_of
from leakaudit.records import ReportRecord
from leakaudit.target.training import choose_device

# Gigabytes that a job is never denied by default; importing torch and MONAI takes 0.4 of them.
_LEAST_MEMORY = 2.0


def run_audit(plan: Plan, store: RunStore, events: Events) -> ReportRecord:
    """Do what is not done yet, then assemble the record of everything.

    Args:
        plan: what to do.
        store: the run directory; the caller holds its lock.
        events: who wants to hear of progress.

    Raises:
        StoreError: the run directory cannot be written.
    """
    store.clean()
    write_atomically(store.root / AUDIT_FILE, audit_yaml(plan.config))
    every = _jobs(plan, store)
    jobs = [job for job in every if not _done(job, store)]
    store.log("run", jobs=len(jobs))
    events.planned(len(every), len(every) - len(jobs))

    def ended_and_logged(job: Job, end: Ended) -> None:
        store.log("job", key=job.key, label=job.label, outcome=end.state, reason=end.reason)
        events.ended(job, end)

    ended = run_jobs(
        jobs,
        workers=worker_count(plan.config),
        limits=_limits(plan.config),
        events=replace(events, ended=ended_and_logged),
    )
    return assemble(plan.config, plan.matrix, plan.cohort, plan.folds, store, ended)


def _jobs(plan: Plan, store: RunStore) -> list[Job]:
    """Every training, then every cell that its threat supports, as jobs."""
    patients = share(plan.cohort, store.root)
    labels = Labels(plan.matrix)

    def task(target: TargetPlan, cell: CellPlan | None = None) -> Task:
        return Task(
            root=store.root,
            patients=patients,
            splits=plan.splits_of(target),
            device=plan.config.device,
            target=target,
            cell=cell,
        )

    trainings = [
        Job(key=t.key, label=f"train {labels.target(t)}", work=train_target, argument=task(t))
        for t in plan.matrix.targets
    ]
    cells = [
        Job(
            key=c.key,
            label=labels.cell(c),
            work=run_cell,
            argument=task(c.target, c),
            needs=tuple({each.key: None for each in (c.target, c.segmenter) if each}),
            helpers=_attack_processes(plan, store, c),
        )
        for c in plan.matrix.cells
        if not c.missing
    ]
    return [*trainings, *cells]


def _attack_processes(plan: Plan, store: RunStore, cell: CellPlan) -> HelperProcesses:
    hidden = (store.root, plan.cache, plan.config.data.path)
    confinement = confinement_of(
        (
            cell.attack.declared_use.point,
            cell.attack.kind.module,
            *(type(part).__module__ for part in cell.target.defense.parts),
        ),
        hidden=[Path(folder) for folder in hidden if folder is not None],
        cuda=choose_device(plan.config.device).type == "cuda",
    )
    return HelperProcesses(work=serve, argument=confinement, count=cell.attack_runs)


def _limits(config: AuditConfig) -> Limits:
    """Return the audit's limits; by default the machine's memory, shared by the workers.

    On a GPU memory is not limited by default: its driver maps more than it uses.
    """
    memory = config.budgets.gigabytes_per_job
    if memory is None and choose_device(config.device).type == "cpu":
        memory = max(_LEAST_MEMORY, _machine_memory() / worker_count(config))
    return Limits(
        seconds=config.budgets.minutes_per_job * 60,
        memory=None if memory is None else int(memory * 1e9),
    )


def _machine_memory() -> float:
    """Gigabytes of the machine, or of the control group that this process is confined to."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    with suppress(OSError, ValueError):  # ValueError: "max", no limit
        memory = min(memory, int(Path("/sys/fs/cgroup/memory.max").read_text()) / 1e9)
    return memory


def _done(job: Job, store: RunStore) -> bool:
    return store.is_done("cells" if job.needs else "targets", job.key)
