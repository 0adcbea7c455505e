"""What is written down: plain data, no torch.

A missing figure is None beside a reason, never 0 and never NaN: every model refuses NaN and
infinity. What differs between two equal runs (times, process ids) stands under ``volatile`` only.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION = "1"
METRIC_VERSION = "3"


class Record(BaseModel):
    """Base of all records: frozen, no unknown keys, no NaN."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, ser_json_inf_nan="strings"
    )


class State(StrEnum):
    """How a cell ended. Only ``ok`` has a leakage figure."""

    OK = "ok"
    UNSUPPORTED = "unsupported"
    FAILED = "failed"
    CONTROL_FAILED = "control-failed"
    TIMED_OUT = "timed-out"
    NOT_RUN = "not-run"


class Citation(Record):
    """A paper, as whoever publishes an audit cites it.

    Args:
        key: of the BibTeX entry.
        authors: as ``Family, Given``; a last ``others`` stands for the rest.
        title: of the paper.
        venue: where it appeared.
        year: when.
        doi: without the resolver, if there is one.
        arxiv: number of the preprint, if there is one.
    """

    key: str
    authors: tuple[str, ...]
    title: str
    venue: str
    year: int
    doi: str = ""
    arxiv: str = ""

    @property
    def short(self) -> str:
        """``He et al. 2019``."""
        families = [name.partition(",")[0] for name in self.authors if name != "others"]
        if len(self.authors) > 2 or "others" in self.authors:
            return f"{families[0]} et al. {self.year}"
        return f"{' and '.join(families)} {self.year}"

    @property
    def words(self) -> str:
        """The whole reference as a sentence."""
        names = ", ".join(name.partition(",")[0] for name in self.authors if name != "others")
        if "others" in self.authors:
            names += " et al."
        stop = "" if self.title.endswith("?") else "."
        parts = ["" if self.venue == "arXiv" else self.venue, str(self.year)]
        parts += [f"doi:{self.doi}"] if self.doi else []
        parts += [f"arXiv:{self.arxiv}"] if self.arxiv and not self.doi else []
        return f"{names}: {self.title}{stop} {', '.join(part for part in parts if part)}."

    @property
    def bibtex(self) -> str:
        """A BibTeX entry; of the general kind, since the venue is free text."""
        fields = {
            "author": _escaped(" and ".join(self.authors)),
            "title": f"{{{_escaped(self.title)}}}",
            "howpublished": "" if self.venue == "arXiv" else _escaped(self.venue),
            "year": str(self.year),
            "doi": self.doi,
            "eprint": self.arxiv,
            "archiveprefix": "arXiv" if self.arxiv else "",
        }
        lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
        return "\n".join([f"@misc{{{self.key},", *lines, "}"])


def _escaped(text: str) -> str:
    """Text without what BibTeX and LaTeX would read as their own."""
    return "".join(f"\\{char}" if char in "&%#_$" else char for char in text)


class Interval(Record):
    """A mean over patients with its 95 % interval.

    Args:
        mean: the mean.
        low: lower end; None if there are too few patients for one.
        high: upper end; None likewise.
        n: number of patients.
        method: ``"t"`` under 20 patients, ``"bootstrap"`` from 20, ``"none"`` for one patient.
    """

    mean: float
    low: float | None
    high: float | None
    n: int
    method: str


class PatientScore(Record):
    """One victim's figures.

    Args:
        patient: the patient's identifier.
        ssim_brain: SSIM inside the brain, mean over modalities and slices.
        ssim_image: SSIM over the whole image.
        psnr: peak signal-to-noise ratio in dB over the whole image, None if infinite.
        mae: mean absolute error inside the brain.
        ncc: normalised cross-correlation inside the brain, which is blind to brightness.
        ssim_tumour: SSIM inside the tumour, None if the slice shows none.
        blind_floor: SSIM inside the brain of the best blind guess.
        outline_floor: SSIM inside the brain of the outline floor.
        tumour_dice: whole-tumour Dice that a segmenter trained on other patients reaches on the
            reconstruction; None if there is no such segmenter, or no tumour in the slice.
    """

    patient: str
    ssim_brain: float
    ssim_image: float
    psnr: float | None
    mae: float
    ncc: float
    ssim_tumour: float | None
    blind_floor: float
    outline_floor: float
    tumour_dice: float | None = None


class Harm(Record):
    """Whole-tumour Dice of a segmenter that was trained on other patients.

    Args:
        reconstruction: on what the attack recovered.
        original: on the originals, its ceiling; mean over the same patients.
        blind: on the blind floor's guess; mean over the same patients.
    """

    reconstruction: Interval
    original: float
    blind: float


class Reidentification(Record):
    """How often the reconstruction picks its own patient out of the gallery.

    Args:
        top1: share of victims whose own image is the most similar one; ties count in part.
        low: lower end of the Clopper-Pearson 95 % interval.
        high: its upper end.
        chance: 1 / gallery.
        gallery: patients to pick from (all but the auxiliary ones).
        n: number of victims.
        blind_top1: the same share for the blind floor's guess.
    """

    top1: float
    low: float
    high: float
    chance: float
    gallery: int
    n: int
    blind_top1: float


class Control(Record):
    """A control's outcome.

    Args:
        passed: whether it behaved as it must; None if it was not made.
        detail: the figures and what they need, or why it was not made; not the outcome.
        difference: mean paired difference with its interval to the blind floor or, for an attack
            that learns, to its twin that was trained on shuffled pairs; ``detail`` says which.
    """

    passed: bool | None
    detail: str
    difference: Interval | None = None


class Cost(Record):
    """What the attack cost, but for time (see ``volatile``)."""

    iterations: int
    queries: int
    auxiliary_patients: int


class Leakage(Record):
    """The figures of an attack that ran, whatever its controls say.

    Args:
        ssim_brain: SSIM inside the brain.
        ssim_image: SSIM over the whole image; an all-black guess scores high here.
        psnr: dB over the whole image; None if some victim's is infinite.
        ncc: normalised cross-correlation inside the brain.
        ssim_tumour: SSIM inside the tumour over the victims whose slice shows one; None if none's.
        blind_floor: SSIM inside the brain of the best guess made without any observation.
        blind_floor_name: which guess that is.
        outline_floor: SSIM inside the brain of the true outline filled with auxiliary means.
        advantage: (ssim_brain - blind_floor) / (1 - blind_floor) on the means.
        reidentification: singling out.
        patients: the victims one by one.
        harm: what the tumour of the reconstruction gives away; None if the victims are patients of
            whom every segmenter of the audit has learned, or no slice shows a tumour.
        objective_first: the attack's own objective at its start.
        objective_last: at what it returned.
    """

    ssim_brain: Interval
    ssim_image: Interval
    psnr: Interval | None
    ncc: Interval
    ssim_tumour: Interval | None
    blind_floor: float
    blind_floor_name: str
    outline_floor: float
    advantage: Interval
    reidentification: Reidentification
    patients: tuple[PatientScore, ...]
    harm: Harm | None = None
    objective_first: float
    objective_last: float

    def by_patient(self) -> tuple[list[float], list[float]]:
        """Scores and blind floors, patient by patient."""
        return [one.ssim_brain for one in self.patients], [one.blind_floor for one in self.patients]


class MaskScore(Record):
    """Dice of one victim's recovered tumour mask, and of the best blind guess at it."""

    patient: str
    dice: float
    blind_floor: float


class MaskLeakage(Record):
    """The figures of an attack that recovers tumour masks.

    Args:
        dice: Dice of the whole tumour on the victims' slices.
        blind_floor: Dice of the best guess made without any observation.
        blind_floor_name: ``no tumour``, ``average mask``, ``own images alone`` or ``own
            features alone``.
        advantage: (dice - blind_floor) / (1 - blind_floor) on the means.
        patients: the victims one by one.
        without_tumour: victims whose slice shows no tumour; they are left out.
        objective_first: the attack's own objective at its start.
        objective_last: at what it returned.
    """

    dice: Interval
    blind_floor: float
    blind_floor_name: str
    advantage: Interval
    patients: tuple[MaskScore, ...]
    without_tumour: int
    objective_first: float
    objective_last: float

    def by_patient(self) -> tuple[list[float], list[float]]:
        """Scores and blind floors, patient by patient."""
        return [one.dice for one in self.patients], [one.blind_floor for one in self.patients]


class CellRecord(Record):
    """One attack on one target under one threat.

    Args:
        cell: key of the cell.
        target: key of the target.
        cut_level: depth of the cut.
        shared_skips: shallower levels that cross as well.
        defense: repr of the defence, parameters included.
        attack: repr of the attack, parameters included.
        attack_name: its plug-in name.
        threat: preset name.
        site: modalities of the data site that is the adversary, as ``T1w+T1gd``; else empty.
        recovers: ``"images"``, ``"other-site images"`` or ``"masks"``.
        victims: ``"inference"`` or ``"training"``.
        releases: passes of each victim that the adversary sees.
        gradient_batch: slices of a batch whose gradients it sees; None if it sees none.
        gradient_checkpoints: epochs after which it sees gradients, 0 being before the first.
        round_steps: optimizer steps whose weight updates it sees; None if it sees none.
        seed: seed of the target and the attack.
        control_only: the cell exists only as another cell's positive control.
        state: how it ended.
        reason: why, if not ``ok``.
        leakage: the figures if the state is ``ok``, else None.
        mask_leakage: likewise, of an attack that recovers masks; it has no ``leakage``.
        withheld: the figures of an attack whose control failed; not to be read as leakage.
        withheld_masks: likewise of masks.
        negative_control: the attack on observations that say nothing of the victim.
        positive_control: the attack where it must work.
        cost: iterations, queries, auxiliary patients.
        isolation: how the attack's process was kept from the truth: ``"namespaces"`` or
            ``"process"``; empty if no attack ended.
        notes: what the attack wants a reader to know.
        volatile: seconds, process id, start: whatever differs between two equal runs.
    """

    cell: str
    target: str
    cut_level: int
    shared_skips: tuple[int, ...]
    defense: str
    attack: str
    attack_name: str
    threat: str
    site: str = ""
    recovers: str = "images"
    victims: str
    releases: int
    gradient_batch: int | None = None
    gradient_checkpoints: tuple[int, ...] = ()
    round_steps: int | None = None
    seed: int
    control_only: bool = False
    state: State
    reason: str = ""
    leakage: Leakage | None = None
    mask_leakage: MaskLeakage | None = None
    withheld: Leakage | None = None
    withheld_masks: MaskLeakage | None = None
    negative_control: Control | None = None
    positive_control: Control | None = None
    cost: Cost | None = None
    isolation: str = ""
    notes: tuple[str, ...] = ()
    volatile: dict[str, Any] = {}

    @property
    def seen_by(self) -> str:
        """The threat, at which site it is, and the size of the batches whose gradients it sees."""
        site = f" with {self.site}" if self.site else ""
        batch = "" if self.gradient_batch is None else f", batch {self.gradient_batch}"
        batch += "" if self.round_steps is None else f", {self.round_steps} steps"
        return f"{self.threat}{site}{batch}"


class PatientDice(Record):
    """Dice of one patient, slices pooled; a class absent from the truth is None.

    Args:
        patient: the patient's identifier.
        edema: class 1.
        non_enhancing: class 2.
        enhancing: class 3.
        whole_tumour: classes 1, 2, 3 together.
        tumour_core: classes 2 and 3 together.
        mean: mean over the present ones of the three classes; None if none is present.
    """

    patient: str
    edema: float | None
    non_enhancing: float | None
    enhancing: float | None
    whole_tumour: float | None
    tumour_core: float | None
    mean: float | None


class Utility(Record):
    """What a network is worth on the patients it never saw, the defence on.

    Args:
        mean: mean Dice of the three classes over patients.
        by_class: mean Dice by name (``edema`` .. ``tumour_core``), None if absent everywhere.
        absent: how many patients lack each class.
        patients: the patients one by one.
    """

    mean: Interval
    by_class: dict[str, float | None]
    absent: dict[str, int]
    patients: tuple[PatientDice, ...]


class Guarantee(Record):
    """A defence's privacy claim, or the reason why there is none.

    Its ``releases`` are passes times slices of one patient.
    """

    claimed: bool
    epsilon: float | None
    delta: float | None
    releases: int
    mechanism: str
    assumptions: tuple[str, ...]
    reason: str


class TargetRecord(Record):
    """One trained network: a Split-U-Net under a defence, or a reference.

    Args:
        target: key.
        kind: ``"split"``, ``"centralised"`` or ``"single-site"``.
        site: which site a single-site reference belongs to, as its modalities.
        sites: the modalities of each site.
        cut_level: depth of the cut.
        shared_skips: shallower levels that cross as well.
        features: channels per level and site.
        parameters: trainable parameters of all parties.
        defense: repr as written in the audit file, parameters included.
        fitted_defense: repr after the defence was fitted to the system.
        seed: seed of the training.
        control_only: trained only for a positive control.
        epochs: passes over the training slices.
        utility: Dice on the victims; None if the training failed.
        untrained_dice: mean Dice of the same network before training, as a yardstick.
        noise_to_signal: ratio of standard deviations over all released values together, None for
            a defence that released the levels unchanged.
        noise_to_signal_by_level: the same per released level, by level number.
        guarantee: privacy claim of the defence, None if it never makes one.
        state: ``ok`` or ``failed`` (or ``timed-out``, ``not-run``).
        reason: why, if not ``ok``.
        volatile: seconds, process id, start, device.
    """

    target: str
    kind: str
    site: str = ""
    sites: tuple[tuple[str, ...], ...]
    cut_level: int
    shared_skips: tuple[int, ...]
    features: tuple[int, ...]
    parameters: int
    defense: str
    fitted_defense: str
    seed: int
    control_only: bool = False
    epochs: int
    utility: Utility | None
    untrained_dice: float | None
    noise_to_signal: float | None
    noise_to_signal_by_level: dict[str, float] = {}
    guarantee: Guarantee | None = None
    state: State
    reason: str = ""
    volatile: dict[str, Any] = {}


class WorstCase(Record):
    """The reported leakage of one (target, defence, seed) on one kind of victims.

    Args:
        target: key of the target.
        cut_level: depth of the cut.
        shared_skips: shallower levels that cross as well.
        defense: repr of the defence.
        seed: seed.
        victims: ``"inference"`` or ``"training"``; the two are never compared.
        recovers: ``"images"``, ``"other-site images"`` or ``"masks"``; never compared either.
        site: modalities of the data site that recovers other sites' images; else empty.
        worst: key of the ``ok`` cell with the highest SSIM inside the brain, of masks with the
            highest Dice; None if no cell is ok.
        weakest: key of the ``ok`` cell with the lowest; None likewise.
        ssim_brain: of the worst cell; None for masks.
        mask_dice: Dice of the recovered masks of the worst cell; None for images.
        advantage: of the worst cell.
        misled_by: score of the worst minus that of the weakest attack at the same site and with the
            same gradient batch: how far an audit with the weakest alone would have misled.
        dice: mean Dice of the target; None if unknown.
        pareto: no setting of the same cut level, seed, victims and measured attacks is better in
            Dice or SSIM and at least as good in the other; False where an attack has no figure
            that it has elsewhere, and where Dice is not above an untrained network's.
        incomplete: cells on these victims that are not ``ok``, as ``attack under threat: state``;
            in a target's first entry also those on victims of whom no cell is ``ok``.
    """

    target: str
    cut_level: int
    shared_skips: tuple[int, ...]
    defense: str
    seed: int
    victims: str
    recovers: str = "images"
    site: str = ""
    worst: str | None
    weakest: str | None
    ssim_brain: Interval | None
    mask_dice: Interval | None = None
    advantage: Interval | None
    misled_by: float | None
    dice: Interval | None
    pareto: bool
    incomplete: tuple[str, ...]


class ReferenceComparison(Record):
    """A reference training beside the undefended Split-U-Net, over the same patients and seeds.

    Args:
        cut_level: depth of the cut of the Split-U-Net.
        kind: ``"centralised"`` or ``"single-site"``.
        site: modalities of the single site, empty for the centralised one.
        seeds: the seeds that were asked for.
        dice: mean Dice of the reference, seeds averaged within each patient; None if a training
            under any of the seeds is missing.
        split_dice: of the Split-U-Net likewise.
        difference: Split-U-Net minus reference, paired by patient; None likewise.
        reason: which training is missing and why, if there are no figures.
    """

    cut_level: int
    kind: str
    site: str
    seeds: tuple[int, ...]
    dice: Interval | None = None
    split_dice: Interval | None = None
    difference: Interval | None = None
    reason: str = ""


class SplitRecord(Record):
    """Which patients played which part."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    auxiliary: tuple[str, ...]
    victims: tuple[str, ...]


class DataRecord(Record):
    """The patients: what was read and how it was prepared.

    Args:
        name: ``"phantom"`` or the folder's name.
        fingerprint: SHA-256 over identifiers, modalities, images and masks as prepared.
        modalities: in channel order.
        patients: number of patients.
        slices: number of slices of all patients.
        spatial: extents in voxels.
        split: who played which part.
        simulated: whether the patients are phantoms.
        cut_off: largest share, over patients and modalities, of the nonzero voxels that the
            centre crop left out, 0 to 1.
    """

    name: str
    fingerprint: str
    modalities: tuple[str, ...]
    patients: int
    slices: int
    spatial: tuple[int, ...]
    split: SplitRecord
    simulated: bool
    cut_off: float = 0.0


class ThreatRecord(Record):
    """A threat preset spelled out."""

    name: str
    position: str
    behaviour: str
    capabilities: tuple[str, ...]
    victims: str
    words: str


class PluginRecord(Record):
    """An attack or defence that ran: what it does in words, where it comes from, whose idea."""

    name: str
    kind: str
    summary: str
    distribution: str
    version: str
    requires: tuple[str, ...] = ()
    citations: tuple[Citation, ...] = ()


class ReportRecord(Record):
    """Everything in report.json.

    Args:
        schema_version: version of this layout.
        name: name of the audit.
        audit: the resolved audit file, defaults written out.
        images: ``"none"`` or ``"full"``.
        data: the patients.
        threats: the presets that were used.
        plugins: the attacks and defences that ran.
        targets: every trained network, references and controls included.
        cells: every cell, control cells included.
        worst: one entry per (target, defence, seed) and kind of victims, control targets left out;
            inference victims first.
        references: Split-U-Net against centralised and single-site training, one entry for each
            comparison that was asked for.
        versions: Python and package versions.
        metric_version: version of the measures.
        volatile: times, host facts.
    """

    schema_version: str = SCHEMA_VERSION
    name: str
    audit: dict[str, Any]
    images: str
    data: DataRecord
    threats: tuple[ThreatRecord, ...]
    plugins: tuple[PluginRecord, ...]
    targets: tuple[TargetRecord, ...]
    cells: tuple[CellRecord, ...]
    worst: tuple[WorstCase, ...]
    references: tuple[ReferenceComparison, ...]
    versions: dict[str, str]
    metric_version: str = METRIC_VERSION
    volatile: dict[str, Any] = {}
