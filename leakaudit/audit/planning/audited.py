"""An audit with its patients read and its matrix expanded; nothing has been trained."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import final

from leakaudit.asking import ask_all_installed
from leakaudit.audit.planning.letterhead import letterhead
from leakaudit.audit.planning.matrix import build_matrix
from leakaudit.audit.planning.plans import Matrix, TargetPlan
from leakaudit.config import AuditConfig
from leakaudit.data import Cohort, Splits, load_folder, phantom_cohort, split_folds
from leakaudit.data.reading import Told, silent
from leakaudit.data.splits import victims_of
from leakaudit.errors import ConfigError, DataError, SplitError
from leakaudit.target.training import choose_device


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
        """Return the splits of the fold in which this network is trained and attacked."""
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
    letterhead(config.report)  # a logo that cannot be read is told before hours of work
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
    """Refuse batches that the training patients who are not victims cannot fill."""
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


def worker_count(config: AuditConfig) -> int:
    """Jobs side by side: as the audit says, else one per usable processor, one on a GPU."""
    if config.budgets.workers:
        return config.budgets.workers
    if choose_device(config.device).type == "cuda":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
