"""From stored records to the one record that the report shows.

Positive controls are applied here, once every cell has ended: an attack that is not shown to work
where it must has no leakage figure anywhere.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version

import numpy as np
from pydantic import ValidationError

from leakaudit.asking import kind_of
from leakaudit.audit.claims import contradicted_by_attacks
from leakaudit.audit.executors import Ended
from leakaudit.audit.house import house_of
from leakaudit.audit.jobs import CELL_FILE, TARGET_FILE, cell_facts, target_facts
from leakaudit.audit.plans import CellPlan, Matrix, TargetPlan
from leakaudit.audit.pooled_figures import FIGURES
from leakaudit.audit.pooled_targets import pooled_target
from leakaudit.audit.pooling import pooled_cell, pooled_key
from leakaudit.audit.references import compared
from leakaudit.audit.scoring import withheld
from leakaudit.audit.store import Kind as StoreKind
from leakaudit.audit.store import RunStore
from leakaudit.audit.systems import victims_of
from leakaudit.audit.worst import worst_cases
from leakaudit.config import (
    ARCHITECTURE,
    AuditConfig,
    PolicyConfig,
    judged_targets,
    require_proposed,
    resolved_policy,
)
from leakaudit.data import Cohort, Splits
from leakaudit.errors import ConfigError, LeakauditError
from leakaudit.measure import controls
from leakaudit.policy import judge
from leakaudit.privacy.gaussian import reconstruction_bound
from leakaudit.records import (
    Caution,
    CellRecord,
    Control,
    Counts,
    DataRecord,
    Doubt,
    Guarantee,
    Leakage,
    PluginRecord,
    ReferenceComparison,
    ReportRecord,
    SplitRecord,
    State,
    TargetRecord,
    ThreatRecord,
    Untested,
    Verdict,
)
from leakaudit.registry import Kind, declared, installed, load, owner_of
from leakaudit.threat.presets import PRESETS, threat_named

# What a control compares, by what the attack recovers.
_UNITS = {
    "images": "SSIM",
    "other-site images": "SSIM",
    "masks": "Dice",
    "identities": "of the patients",
}
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
    raw = {plan.key: _cell(plan, store, ended) for plan in matrix.cells}
    attacked = {
        plan.key: bounded(controlled(plan, raw), trained[plan.target.key].guarantee)
        for plan in matrix.cells
    }
    claims = {one.target: one.guarantee for one in _pooled_targets(matrix, trained.values(), folds)}
    pooled = [_pooled_cell(plans, attacked, folds) for plans in matrix.attacks]
    cells = tuple(bounded(cell, claims[cell.target]) for cell in pooled)
    # One fold alone may refute a claim, and all together what none of them does.
    left = contradicted_by_attacks(tuple(trained.values()), tuple(attacked.values()))
    targets = contradicted_by_attacks(_pooled_targets(matrix, left, folds), cells)
    believed = {one.target: one.guarantee for one in targets}
    cells = tuple(bounded(cell, believed[cell.target]) for cell in cells)
    data = _data(cohort, folds)
    return ReportRecord(
        name=config.name,
        audit=config.model_dump(mode="json"),
        images=config.images,
        house=house_of(config.report),
        data=data,
        threats=tuple(_threat(name) for name in config.threats),
        plugins=tuple(_plugins(config)),
        untested=_untested(config),
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


def judged_by(record: ReportRecord, policy: PolicyConfig) -> ReportRecord:
    """The record of a finished run under another policy; nothing else changes.

    The audit keeps its own policy, and the verdict says that it is by another one, and what the
    audit's own says; by the audit's own policy it is as the run left it.

    Raises:
        ConfigError: the policy does not fit the audit.
    """
    try:
        config = AuditConfig.model_validate({**record.audit, "policy": policy})
        audited = AuditConfig.model_validate(record.audit)
    except ValidationError as error:
        raise ConfigError(
            f"the policy does not fit the audit: {error.errors()[0]['msg']}"
        ) from error
    require_proposed(config)
    known = record.targets, record.cells, record.data.cautions
    found, own = verdict(config, *known), verdict(audited, *known)
    if found is not None and (own is None or own.policy != found.policy):
        other = {"judged_again": True, "own": own.outcome if own else None}
        found = found.model_copy(update=other)
    return record.model_copy(update={"verdict": found})


def verdict(
    config: AuditConfig,
    targets: Sequence[TargetRecord],
    cells: Sequence[CellRecord],
    cautions: Sequence[Caution],
) -> Verdict | None:
    """What the audit's policy says of its settings; None without a policy."""
    if config.policy is None:
        return None
    judged = judged_targets(config, targets)
    return judge(resolved_policy(config.policy), targets, cells, judged, cautions)


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
        fitted_defense="",
        utility=None,
        untrained_dice=None,
        noise_to_signal=None,
        state=state,
        reason=reason,
    )


def _cell(plan: CellPlan, store: RunStore, ended: Mapping[str, Ended]) -> CellRecord:
    if plan.missing:
        reason = f"threat {plan.threat.name} does not grant {', '.join(sorted(plan.missing))}"
        return CellRecord(**cell_facts(plan), state=State.UNSUPPORTED, reason=reason)
    if store.is_done("cells", plan.key):
        text = (store.folder("cells", plan.key) / CELL_FILE).read_text()
        record = CellRecord.model_validate_json(text)
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
    if outcome is None or outcome.outcome == "ok":
        return State.FAILED, "its result was changed or deleted after it was written"
    return State(outcome.outcome), outcome.reason


def controlled(plan: CellPlan, raw: Mapping[str, CellRecord]) -> CellRecord:
    """The cell with the controls that show its attack at work; without figures if one does not.

    A figure that shows by itself that the attack reads is kept where a control failed or was not
    made: it can exceed a limit, but with a doubt it never helps to a PASS.
    """
    record = raw[plan.key]
    if record.state in (State.UNSUPPORTED, State.NOT_RUN):
        return record
    made = {"positive_control": shown_at_work(raw.get(plan.positive_control))}
    if plan.disguise_control:
        made["disguise_control"] = shown_at_work(raw.get(plan.disguise_control))
    record = record.model_copy(update=made)
    lacking = [(kind, one) for kind, one in made.items() if not one.passed]
    if not lacking or record.state is not State.OK:
        return record
    kind, control = lacking[0]
    outcome = "not made" if control.passed is None else "failed"
    if shown_at_work(record).passed:
        doubts = (Doubt(kind="control", words=_at_least(kind, one)) for kind, one in lacking)
        return record.model_copy(update={"doubts": (*record.doubts, *doubts)})
    return record.model_copy(
        update={
            "state": State.CONTROL_FAILED,
            "reason": f"{kind.replace('_', ' ')} {outcome}: {control.detail}",
            **withheld(record),
        }
    )


def _at_least(kind: str, control: Control) -> str:
    """Why a figure whose control is lacking says what leaks, and shows no protection."""
    if kind == "positive_control":
        what = "is not shown at work on the undefended network"
    elif control.passed is None:
        what = "was not tried behind a disguise that hides nothing"
    else:
        what = "fails behind a disguise that hides nothing"
    return f"This attack {what}: its figure says what leaks at least, and shows no protection."


def shown_at_work(control: CellRecord | None) -> Control:
    """Whether the attack works undefended at the same cut, disguised if ``control`` is."""
    if control is None:
        return Control(passed=None, detail="no such cell was planned")
    where = f"on the undefended system cut at level {control.cut_level}"
    if control.disguise:
        where += f", every release disguised ({control.disguise})"
    figures = control.figures
    if control.state is not State.OK or figures is None:
        return Control(passed=False, detail=f"{where} it ended {control.state} ({control.reason})")
    scores, floor = map(np.array, figures.by_patient())
    unit = _UNITS[control.recovers]
    found = controls.positive_control(scores, floor, unit=unit)
    return found.model_copy(update={"detail": f"{where}, {found.detail}"})


def _data(cohort: Cohort, folds: Sequence[Splits]) -> DataRecord:
    splits = tuple(map(_split, folds))
    return DataRecord(
        name=cohort.name,
        fingerprint=cohort.fingerprint,
        modalities=cohort.modalities,
        patients=len(cohort.patients),
        slices=sum(len(patient.images) for patient in cohort.patients),
        spatial=cohort.spatial,
        split=splits[0],
        folds=splits if len(splits) > 1 else (),
        simulated=cohort.simulated,
        cut_off=cohort.cut_off,
        labels=cohort.labels,
        excluded=cohort.excluded,
        clipped=dict(zip(cohort.modalities, cohort.clipped, strict=False)),
        cautions=cohort.cautions,
    )


def _split(splits: Splits) -> SplitRecord:
    return SplitRecord(
        train=splits.train,
        validation=splits.validation,
        auxiliary=splits.auxiliary,
        victims=splits.victims,
        repeats=splits.repeats,
    )


def _threat(name: str) -> ThreatRecord:
    threat = threat_named(name)
    return ThreatRecord(
        name=threat.name,
        position=threat.position,
        behaviour=threat.behaviour,
        capabilities=tuple(sorted(threat.capabilities)),
        victims=threat.victims,
        words=threat.words,
    )


def _untested(config: AuditConfig) -> Untested:
    """Presets and installed attacks that the audit does not name; broken ones say nothing."""
    named = {use.name for use in config.attacks}
    attacks = []
    for point in installed("attack"):
        if point.name not in named:
            with suppress(LeakauditError):
                attacks.append(_plugin("attack", point.name))
    return Untested(
        threats=tuple(_threat(name) for name in PRESETS if name not in config.threats),
        attacks=tuple(attacks),
    )


def _plugins(config: AuditConfig) -> list[PluginRecord]:
    used: list[tuple[Kind, str]] = [("defense", "identity")]
    used += [
        ("defense", use.name)
        for uses in config.defenses
        for use in uses
        if use.name != ARCHITECTURE
    ]
    used += [("attack", use.name) for use in config.attacks]
    return [_plugin(kind, name) for kind, name in dict.fromkeys(used)]


def _plugin(kind: Kind, name: str) -> PluginRecord:
    if kind == "attack":
        return _attack(name)
    plugin = load(kind, name)
    return PluginRecord(
        name=name,
        kind=kind,
        summary=plugin.summary,
        distribution=plugin.distribution,
        version=plugin.version,
        citations=getattr(plugin.cls, "citations", ()),
    )


def _attack(name: str) -> PluginRecord:
    known = kind_of(name)
    distribution, installed_version = owner_of(declared("attack", name))
    return PluginRecord(
        name=name,
        kind="attack",
        summary=known.summary,
        distribution=distribution,
        version=installed_version,
        requires=tuple(sorted(known.requires)),
        citations=known.citations,
    )
