"""A rough estimate of a run's duration: one training step and one encoder pass, timed here."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache

import torch

from leakaudit.audit.planning.audited import Plan, worker_count
from leakaudit.audit.planning.plans import CellPlan, TargetPlan
from leakaudit.contracts import Capability
from leakaudit.target.loss import segmentation_loss
from leakaudit.target.split_unet import SplitUNet, SplitUNetSpec
from leakaudit.target.training import build

# A decoder's step costs about three encoder passes; a gradient's match about three as well, since
# it differentiates twice. Measured with the built-in attacks; another attack may differ.
_PASSES_PER_ITERATION = 3.0


def estimate_minutes(plan: Plan) -> float:
    """Minutes a whole run would take with the audit's workers, nothing being done yet."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        seconds = sum(_training_seconds(target, plan) for target in plan.matrix.targets)
        seconds += sum(_cell_seconds(cell, plan) for cell in plan.matrix.cells if not cell.missing)
    finally:
        torch.set_num_threads(threads)
    return seconds / worker_count(plan.config) / 60


def _training_seconds(target: TargetPlan, plan: Plan) -> float:
    by_id = {patient.id: patient for patient in plan.cohort.patients}
    slices = sum(len(by_id[name].tumour_slices) for name in plan.splits_of(target).train)
    return _step_seconds(target.spec, plan.cohort.spatial) * slices * target.settings.epochs


def _cell_seconds(cell: CellPlan, plan: Plan) -> float:
    work, splits = cell.attack.work, plan.splits_of(cell.target)
    one = _encoder_seconds(cell.target.spec, plan.cohort.spatial)
    if cell.attack.recovers == "identities":  # each candidate is asked about, and nothing learned
        samples = work.samples or len(plan.cohort.patients) - len(splits.auxiliary)
        return one * samples * work.passes * cell.attack_runs
    size = cell.gradient_batch or 1
    runs = 2 if cell.attack.learns() or cell.threat.victims == "training" else 1
    runs = max(runs, cell.attack_runs)
    if Capability.TRANSCRIPT in cell.attack.needs():
        one *= cell.target.settings.epochs
    learning = one * (work.samples or len(splits.victims) * size) * work.passes
    learning *= _PASSES_PER_ITERATION if runs > 1 else 1.0
    asked = work.examples + work.batches * size
    asked *= (len(cell.gradient_checkpoints) or 1) * (cell.round_steps or 1)
    return (learning + asked * _step_seconds(cell.target.spec, plan.cohort.spatial)) * runs


@cache
def _step_seconds(spec: SplitUNetSpec, spatial: tuple[int, ...]) -> float:
    """Seconds of forward and backward per sample."""
    network = build(spec, 0)
    images = _images(spec, spatial)
    masks = torch.zeros(2, 1, *spatial, dtype=torch.int64)
    loss = segmentation_loss()
    return _timed(lambda: loss(network(images), masks).backward()) / 2


@cache
def _encoder_seconds(spec: SplitUNetSpec, spatial: tuple[int, ...]) -> float:
    """Seconds of the encoders' forward and backward to the images, per sample."""
    network: SplitUNet = build(spec, 0)
    images = [image.requires_grad_() for image in _images(spec, spatial)]

    def once() -> None:
        levels = [level for site in network.encode(images) for level in site]
        torch.autograd.grad(sum((level.sum() for level in levels), torch.zeros(())), images)

    return _timed(once) / 2


def _images(spec: SplitUNetSpec, spatial: tuple[int, ...]) -> list[torch.Tensor]:
    return [torch.zeros(2, channels, *spatial) for channels in spec.channels]


def _timed(work: Callable[[], None]) -> float:
    work()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
