"""The scope of the audit: its patients, threats and plug-ins, and all that was left out."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from leakaudit.asking import kind_of
from leakaudit.config import ARCHITECTURE, AuditConfig
from leakaudit.data import Cohort, Splits
from leakaudit.errors import LeakauditError
from leakaudit.records import DataRecord, PluginRecord, SplitRecord, ThreatRecord, Untested
from leakaudit.registry import Kind, declared, installed, load, owner_of
from leakaudit.threat.presets import PRESETS, threat_named


def data_record(cohort: Cohort, folds: Sequence[Splits]) -> DataRecord:
    """The patients: how many, how large, who played which part, what is doubtful about them."""
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


def threat_record(name: str) -> ThreatRecord:
    """A threat as the record names it: position, capabilities, victims, words."""
    threat = threat_named(name)
    return ThreatRecord(
        name=threat.name,
        position=threat.position,
        behaviour=threat.behaviour,
        capabilities=tuple(sorted(threat.capabilities)),
        victims=threat.victims,
        words=threat.words,
    )


def untested_record(config: AuditConfig) -> Untested:
    """Presets and installed attacks that the audit does not name; broken ones say nothing."""
    named = {use.name for use in config.attacks}
    attacks = []
    for point in installed("attack"):
        if point.name not in named:
            with suppress(LeakauditError):
                attacks.append(_plugin("attack", point.name))
    return Untested(
        threats=tuple(threat_record(name) for name in PRESETS if name not in config.threats),
        attacks=tuple(attacks),
    )


def plugin_records(config: AuditConfig) -> list[PluginRecord]:
    """Every attack and defense that the audit names, `identity` first."""
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
