"""Which fields of a report may leave the house; figures, states and yes or no always do.

A field that can hold text stands here, or it is dropped; a test fails for a field that is not here.
"""

from __future__ import annotations

from enum import Enum
from functools import cache
from typing import Any, get_args

from leakaudit.records import Record


class Treatment(Enum):
    """The treatment of a field."""

    KEPT = "kept: a figure, a state, yes or no"
    KEY = "kept if it looks like a key, else replaced by another one"
    WORD = "a word from a short list, of the program or of a plug-in; kept if it looks like one"
    CHOSEN = "a name that the user chose; kept if it is one word that names nobody"
    PARAMETERS = "of a plug-in; text among them is kept where all plug-ins are built in"
    SENTENCE = "the program's own; kept unless it names somebody or quotes an error"
    SAID = "a plug-in's; likewise kept where all plug-ins of the audit are built in"
    VERSION = "kept without its local part"
    SETTINGS = "the audit file: settings that are numbers, words or plug-ins are kept"
    DURATIONS = "durations are kept, to two digits"
    PATIENT = "a pseudonym; lists of them in the order of the pseudonyms"
    ABOUT = "what a plug-in is; kept of built-in ones"
    DROPPED = "[not shared]"


_FIELDS: dict[Treatment, str] = {
    Treatment.KEY: """
        TargetRecord.target CellRecord.cell CellRecord.target FoldRecord.key WorstCase.target
        WorstCase.worst WorstCase.weakest SettingVerdict.target Check.target Check.cell
        DataRecord.fingerprint ReleaseDigest.sha256""",
    Treatment.WORD: """
        ReportRecord.schema_version ReportRecord.metric_version ReportRecord.images
        DataRecord.modalities DataRecord.clipped ThreatRecord.name ThreatRecord.position
        ThreatRecord.behaviour ThreatRecord.capabilities ThreatRecord.victims PluginRecord.name
        PluginRecord.kind PluginRecord.distribution PluginRecord.requires TargetRecord.kind
        TargetRecord.site TargetRecord.sites TargetRecord.noise_to_signal_by_level Utility.by_class
        Utility.absent Interval.method Guarantee.covers Effect.phase FoldRecord.blind_floor_name
        CellRecord.attack_name CellRecord.threat CellRecord.site CellRecord.recovers
        CellRecord.victims CellRecord.disguise CellRecord.isolation Leakage.blind_floor_name
        Leakage.by_modality Leakage.blind_by_modality PatientScore.by_modality Success.blind_name
        MaskLeakage.blind_floor_name Matching.method Doubt.kind Counts.isolated WorstCase.victims
        WorstCase.recovers WorstCase.site ReferenceComparison.kind ReferenceComparison.site
        Configured.name Leakage.further PatientScore.further Threshold.measure Policy.date
        Threshold.date RequiredAttack.attack RequiredAttack.threat""",
    Treatment.CHOSEN: "ReportRecord.name DataRecord.name",
    Treatment.PARAMETERS: "Configured.parameters",
    Treatment.SENTENCE: """
        ThreatRecord.words TargetRecord.idle TargetRecord.reason FoldRecord.reason
        CellRecord.reason Control.detail Doubt.words WorstCase.incomplete
        ReferenceComparison.reason SettingVerdict.missing Check.reason""",
    Treatment.SAID: """
        Guarantee.mechanism Guarantee.assumptions Guarantee.reason CellRecord.notes
        Policy.proposed""",
    Treatment.VERSION: "ReportRecord.versions PluginRecord.version",
    Treatment.SETTINGS: "ReportRecord.audit",
    Treatment.DURATIONS: "ReportRecord.volatile TargetRecord.volatile CellRecord.volatile",
    Treatment.PATIENT: """
        DataRecord.excluded SplitRecord.train SplitRecord.validation SplitRecord.auxiliary
        SplitRecord.victims SplitRecord.repeats Caution.patients PatientDice.patient
        FoldRecord.patients PatientScore.patient MaskScore.patient MatchScore.patient
        Check.patient""",
    Treatment.ABOUT: """
        PluginRecord.summary Citation.key Citation.authors Citation.title Citation.venue
        Citation.doi Citation.arxiv""",
    # What the user wrote, or what was read from the patients' files.
    Treatment.DROPPED: """
        House.organisation House.logo Person.role Person.name DataRecord.labels Caution.words
        Policy.owner Threshold.rationale Threshold.owner AcceptedCaution.reason""",
}
TREATMENTS = {field: treatment for treatment, those in _FIELDS.items() for field in those.split()}


@cache
def treatment_of(model: type[Record], field: str) -> Treatment:
    """Return a field's treatment; one that can hold text and is not in the table is dropped."""
    if not can_hold_text(model.model_fields[field].annotation):
        return Treatment.KEPT
    return TREATMENTS.get(f"{model.__name__}.{field}", Treatment.DROPPED)


def can_hold_text(annotation: Any) -> bool:
    """Whether a value of this type can say anything that the program does not list.

    Args:
        annotation: of a field. Enumerations and literals list their values; a record says it of
            each of its own fields.
    """
    if annotation in (str, Any):
        return True
    return any(can_hold_text(one) for one in get_args(annotation) if not isinstance(one, str))
