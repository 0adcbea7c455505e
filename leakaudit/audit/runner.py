"""Runs an audit: patients, matrix, jobs, report. The same command resumes what was interrupted."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from leakaudit.asking import ask_all_installed
from leakaudit.audit.assemble import assemble
from leakaudit.audit.attacking import serve
from leakaudit.audit.executors import Aside, Ended, Events, Job, Limits, run_jobs
from leakaudit.audit.house import house_of
from leakaudit.audit.jobs import attacks_of, run_cell, train_target
from leakaudit.audit.matrix import build_matrix
from leakaudit.audit.plans import CellPlan, Matrix, TargetPlan
from leakaudit.audit.sharing import share
from leakaudit.audit.store import AUDIT_FILE, RunStore
from leakaudit.audit.systems import Task, victims_of
from leakaudit.audit_file import audit_yaml
from leakaudit.config import AuditConfig
from leakaudit.data import Cohort, Splits, load_folder, phantom_cohort, split_folds
from leakaudit.data.reading import Told, silent
from leakaudit.errors import ConfigError, DataError, SplitError
from leakaudit.files import write_atomically
from leakaudit.isolation.sandbox import confinement_of
from leakaudit.records import ReportRecord
from leakaudit.target.training import choose_device

# Gigabytes that a job is never denied by default; importing torch and MONAI takes 0.4 of them.
_LEAST_MEMORY = 2.0


@final
@dataclass(frozen=True, kw_only=True)
class Plan:
    """An audit with its patients read and its matrix expanded; nothing has been trained.

    Args:
        config: the audit.
        cohort: the patients.
        folds: who plays which part in each fold; one of them without folds.
        matrix: targets and cells.
        cache: where prepared patients are kept, if anywhere.
    """

    config: AuditConfig
    cohort: Cohort
    folds: tuple[Splits, ...]
    matrix: Matrix
    cache: Path | None = None

    def splits_of(self, target: TargetPlan) -> Splits:
        """Who plays which part where this network is trained and attacked."""
        return self.folds[target.fold - 1]


def plan_audit(config: AuditConfig, *, cache: Path | None = None, told: Told = silent) -> Plan:
    """Read the patients, split them and expand the matrix.

    Args:
        config: the audit.
        cache: where prepared patients may be kept.
        told: hears how far reading patients is.

    Raises:
        ConfigError: the device is not there, or a gradient batch is too large for the patients.
        DataError: patients are missing or bad.
        SplitError: there are too few of them, for so many folds or at all.
    """
    ask_all_installed()  # before there are patients
    choose_device(config.device)
    house_of(config.report)  # a logo that cannot be read is told before hours of work
    cohort = read_patients(config, cache=cache, told=told)
    folds = split_folds(cohort.ids, config.data.split_seed, config.data.folds, cohort.together)
    held = [modality for site in config.target.sites for modality in site]
    missing = [modality for modality in held if modality not in cohort.modalities]
    if missing:
        raise DataError(f"no patient has {', '.join(missing)}; the data has {cohort.modalities}")
    made = Plan(
        config=config,
        cohort=cohort,
        folds=folds,
        matrix=build_matrix(config, cohort.fingerprint, *folds),
        cache=cache,
    )
    _check_members(made)
    _check_batches(made)
    return made


def _check_members(plan: Plan) -> None:
    """Refuse folds in which not everybody can be attacked who was trained on."""
    attacked = any(cell.threat.victims == "training" for cell in plan.matrix.cells)
    short = next((one for one in plan.folds if not one.members), None)
    if attacked and short is not None and len(plan.folds) > 1:
        raise SplitError(
            f"data.folds is {len(plan.folds)}: a fold trains on {len(short.train)} patients, too "
            "few for everybody to be attacked once in training; ask for more folds"
        )


def _check_batches(plan: Plan) -> None:
    """Refuse batches that the training patients who are no victims cannot fill."""
    slices = {patient.id: len(patient.tumour_slices) for patient in plan.cohort.patients}
    for cell in plan.matrix.cells:
        if cell.gradient_batch is None or cell.missing:
            continue
        splits = plan.splits_of(cell.target)
        victims = victims_of(splits, cell.threat.victims, cell.target.seed)
        spared = {*victims, *splits.repeats}
        there = sum(slices[name] for name in splits.train if name not in spared)
        if cell.gradient_batch > there + 1:
            raise ConfigError(
                f"gradient_batch is {cell.gradient_batch}; of {len(splits.train)} training "
                f"patients {len(victims)} are attacked, and the others have {there} slices that "
                f"bear a tumour, so it can be {there + 1} at most"
            )


def read_patients(config: AuditConfig, *, cache: Path | None = None, told: Told = silent) -> Cohort:
    """The patients an audit names, prepared.

    Args:
        config: the audit.
        cache: where prepared patients may be kept; None for nowhere.
        told: hears how far it is.

    Raises:
        DataError: patients are missing or bad.
        StoreError: the cache cannot be written.
    """
    data = config.data
    if data.kind == "phantom":
        return phantom_cohort(
            patients=data.phantom.patients,
            slices=data.phantom.slices,
            size=data.size,
            seed=data.phantom.seed,
            spatial_dims=data.spatial_dims,
            cache=cache,
        )
    if data.path is None:
        raise DataError("no data folder: name it in the audit file, by --data or LEAKAUDIT_DATA")
    return load_folder(
        data.path,
        size=data.size,
        crop=data.crop,
        modalities=[modality for site in config.target.sites for modality in site],
        spatial_dims=data.spatial_dims,
        labels=data.labels,
        exclude=data.exclude,
        cache=None if cache is None else cache / "patients",
        told=told,
    )


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
        store.log("job", key=job.key, label=job.label, outcome=end.outcome, reason=end.reason)
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
        Job(key=t.key, label=f"train {t.label}", work=train_target, argument=task(t))
        for t in plan.matrix.targets
    ]
    cells = [
        Job(
            key=c.key,
            label=c.label,
            work=run_cell,
            argument=task(c.target, c),
            needs=tuple({each.key: None for each in (c.target, c.segmenter) if each}),
            aside=_attack_processes(plan, store, c),
        )
        for c in plan.matrix.cells
        if not c.missing
    ]
    return [*trainings, *cells]


def _attack_processes(plan: Plan, store: RunStore, cell: CellPlan) -> Aside:
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
    return Aside(work=serve, argument=confinement, count=attacks_of(cell))


def worker_count(config: AuditConfig) -> int:
    """Jobs side by side: as the audit says, else one per usable processor, one on a GPU."""
    if config.budgets.workers:
        return config.budgets.workers
    if choose_device(config.device).type == "cuda":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _limits(config: AuditConfig) -> Limits:
    """As the audit says; else the machine's memory, shared by the workers.

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
