"""From stored records to the one record that the report shows.

Positive controls are applied here, once every cell has ended: an attack that is not shown to work
where it must has no leakage figure anywhere.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version

from leakaudit.audit.jobs.processes import Ended
from leakaudit.audit.planning.facts import cell_facts, target_facts
from leakaudit.audit.planning.letterhead import letterhead
from leakaudit.audit.planning.plans import CellPlan, Matrix, TargetPlan
from leakaudit.audit.results.audited import (
    data_record,
    plugin_records,
    threat_record,
    untested_record,
)
from leakaudit.audit.results.controls import settled, shown_at_work
from leakaudit.audit.results.judged import verdict
from leakaudit.audit.results.pooled_figures import FIGURES
from leakaudit.audit.results.pooled_targets import pooled_target
from leakaudit.audit.results.pooling import pooled_cell, pooled_key
from leakaudit.audit.results.references import compared
from leakaudit.audit.results.worst import worst_cases
from leakaudit.audit.scoring.claims import contradicted_by_attacks
from leakaudit.audit.storage.run_folder import CELL_FILE, TARGET_FILE, RunStore
from leakaudit.audit.storage.run_folder import Kind as StoreKind
from leakaudit.config import AuditConfig
from leakaudit.data import Cohort, Splits
from leakaudit.data.splits import victims_of
from leakaudit.privacy.gaussian import reconstruction_bound
from leakaudit.records import (
    CellRecord,
    Counts,
    Doubt,
    Guarantee,
    Leakage,
    ReferenceComparison,
    ReportRecord,
    State,
    TargetRecord,
)

_PACKAGES = ("leakaudit", "torch", "monai", "opacus", "scikit-image", "numpy", "scipy", "nibabel")


def assemble(
    config: AuditConfig,
    matrix: Matrix,
    cohort: Cohort,
    folds: Sequence[Splits],
    store: RunStore,
    ended: Mapping[str, Ended],
) -> ReportRecord:
    """Everything the run knows, with the final state of every cell.

    Args:
        config: the resolved audit.
        matrix: what was asked for.
        cohort: the patients.
        folds: who played which part in each fold.
        store: where finished results lie.
        ended: how the jobs of this run ended; results of earlier runs are in ``store`` alone.
    """
    trained = {plan.key: _target(plan, store, ended) for plan in matrix.targets}
    left = {plan.key: _cell(plan, store, ended) for plan in matrix.cells}
    states = settled(matrix.cells, left)
    attacked = {
        plan.key: bounded(states[plan.key], trained[plan.target.key].guarantee)
        for plan in matrix.cells
    }
    claims = {one.target: one.guarantee for one in _pooled_targets(matrix, trained.values(), folds)}
    pooled = [_pooled_cell(plans, attacked, folds) for plans in matrix.attacks]
    cells = tuple(bounded(cell, claims[cell.target]) for cell in pooled)
    # One fold alone may refute a claim, and all together what none of them does.
    unrefuted = contradicted_by_attacks(tuple(trained.values()), tuple(attacked.values()))
    targets = contradicted_by_attacks(_pooled_targets(matrix, unrefuted, folds), cells)
    believed = {one.target: one.guarantee for one in targets}
    cells = tuple(bounded(cell, believed[cell.target]) for cell in cells)
    data = data_record(cohort, folds)
    return ReportRecord(
        name=config.name,
        audit=config.model_dump(mode="json"),
        images=config.images,
        house=letterhead(config.report),
        data=data,
        threats=tuple(threat_record(name) for name in config.threats),
        plugins=tuple(plugin_records(config)),
        untested=untested_record(config),
        targets=targets,
        cells=cells,
        counts=Counts.of(cells),
        worst=worst_cases(targets, cells),
        references=_references(config, targets),
        verdict=verdict(config, targets, cells, data.cautions),
        versions={
            "python": platform.python_version(),
            **{name: version(name) for name in _PACKAGES},
        },
        volatile={"host": platform.machine(), "seconds": {k: e.seconds for k, e in ended.items()}},
    )


def _pooled_targets(
    matrix: Matrix, trained: Iterable[TargetRecord], folds: Sequence[Splits]
) -> tuple[TargetRecord, ...]:
    """Every setting: its training, or those of all folds together."""
    by_key = {one.target: one for one in trained}
    return tuple(
        pooled_target(
            [by_key[plan.key] for plan in plans],
            [one.victims for one in folds],
            [one.auxiliary for one in folds],
        )
        for plans in matrix.settings
    )


def _pooled_cell(
    plans: Sequence[CellPlan], attacked: Mapping[str, CellRecord], folds: Sequence[Splits]
) -> CellRecord:
    """One attack on one setting, in its fold or in all of them together.

    Where it did not end well in every fold, the figure of the folds in which it did is kept only if
    it shows by itself that the attack reads: with a doubt, so that it never helps to a PASS.
    """

    def over(plans: Sequence[CellPlan]) -> CellRecord:
        splits = [folds[plan.target.fold - 1] for plan in plans]
        return pooled_cell(
            [attacked[plan.key] for plan in plans],
            pooled_key([plan.target.key for plan in plans]),
            [
                victims_of(one, plan.threat.victims, plan.target.seed)
                for one, plan in zip(splits, plans, strict=True)
            ],
            [one.auxiliary for one in splits],
        )

    whole = over(plans)
    ended_well = [plan for plan in plans if attacked[plan.key].state is State.OK]
    if whole.state is State.OK or not ended_well:
        return whole
    part = over(ended_well)
    if not shown_at_work(part).passed:
        return whole
    doubt = Doubt(
        kind="folds",
        words=f"Not every fold has a figure ({whole.reason}): what the others have says what leaks "
        "at least, and shows no protection.",
    )
    kept = {kind.field: getattr(part, kind.field) for kind in FIGURES}
    set_aside = {kind.withheld: None for kind in FIGURES}
    ended = {"state": State.OK, "reason": "", "doubts": (*whole.doubts, doubt)}
    return whole.model_copy(update={**kept, **set_aside, **ended})


def bounded(cell: CellRecord, claim: Guarantee | None) -> CellRecord:
    """The cell with the reconstruction bound of its defense's guarantee, if there is one left."""
    mu = claim.mu if claim is not None and claim.bounds_releases else None
    changed = {}
    for name in ("leakage", "withheld"):
        figures: Leakage | None = getattr(cell, name)
        if figures is not None and figures.success is not None:
            # Where every blind guess may succeed, so may every reconstruction.
            limit = figures.success.blind_limit
            bound = None
            if mu is not None:
                bound = reconstruction_bound(limit, mu) if limit < 1 else 1.0
            success = figures.success.model_copy(update={"bound": bound})
            changed[name] = figures.model_copy(update={"success": success})
    return cell.model_copy(update=changed)


def _references(
    config: AuditConfig, targets: tuple[TargetRecord, ...]
) -> tuple[ReferenceComparison, ...]:
    wanted = config.references
    return compared(wanted, config.target.skips_at(wanted.cut_level) if wanted else (), targets)


def _target(plan: TargetPlan, store: RunStore, ended: Mapping[str, Ended]) -> TargetRecord:
    if store.is_done("targets", plan.key):
        text = (store.folder("targets", plan.key) / TARGET_FILE).read_text()
        record = TargetRecord.model_validate_json(text)
        return record.model_copy(update={"control_only": plan.control_only})
    state, reason = _how("targets", plan.key, store, ended)
    return TargetRecord(
        **target_facts(plan),
        utility=None,
        untrained_dice=None,
        noise_to_signal=None,
        state=state,
        reason=reason,
    )


def _cell(plan: CellPlan, store: RunStore, ended: Mapping[str, Ended]) -> CellRecord:
    """Return the record that the attack left, ``ok`` if it ended; controls come later."""
    if plan.missing:
        reason = f"threat {plan.threat.name} does not grant {', '.join(sorted(plan.missing))}"
        return CellRecord(**cell_facts(plan), state=State.UNSUPPORTED, reason=reason)
    if store.is_done("cells", plan.key):
        text = (store.folder("cells", plan.key) / CELL_FILE).read_text()
        record = CellRecord.model_validate({**json.loads(text), "state": State.OK})
        return record.model_copy(update={"control_only": plan.control_only})
    state, reason = _how("cells", plan.key, store, ended)
    return CellRecord(**cell_facts(plan), state=state, reason=reason)


def _how(
    kind: StoreKind, key: str, store: RunStore, ended: Mapping[str, Ended]
) -> tuple[State, str]:
    """Why there is no whole result."""
    outcome = ended.get(key)
    if outcome is None and not store.folder(kind, key).exists():
        return State.NOT_RUN, "the run ended before it was reached"
    if outcome is None or outcome.state is State.OK:
        return State.FAILED, "its result was changed or deleted after it was written"
    return outcome.state, outcome.reason
