"""The outcome of an attack: figures, floors and controls of one cell."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from leakaudit.records.base import Interval, Record


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
        picked_out: what the patient counts in re-identification: 1 if the own image is the most
            similar one, a part of it in a tie, else 0; None in results of before it was recorded.
        blind_picked_out: the same of the blind floor's guess.
        by_modality: SSIM inside the brain of each modality that was recovered.
        further: figures that have no field of their own, by the name of their metric.
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
    picked_out: float | None = None
    blind_picked_out: float | None = None
    by_modality: dict[str, float] = Field(default_factory=dict)
    further: dict[str, float | None] = Field(default_factory=dict)

    def value_of(self, metric: str) -> float | None:
        """The figure of a metric by its name; None where there is none."""
        found: float | None = getattr(self, metric) if metric in type(self).model_fields else None
        return self.further.get(metric) if found is None else found


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
        gallery: patients to pick from (all but the auxiliary ones, of folds those of each; the
            fewest of any fold).
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
    """The cost of an attack, except time (see ``volatile``)."""

    iterations: int
    queries: int
    auxiliary_patients: int


class Success(Record):
    """How often an attack succeeded, and how often a guess that sees nothing does.

    Args:
        threshold: SSIM inside the brain from which on a reconstruction succeeds.
        reached: victims of whom the attack reached it.
        n: victims.
        blind_name: the blind guess that reaches it most often.
        blind_reached: of how many of the others it does.
        blind_limit: upper end of the one-sided Clopper-Pearson 95 % interval of that share.
        others: all patients that are not victims.
        bound: how often any reconstruction can reach it under the defense's guarantee, an estimate
            under this prior; None if nothing bounds what is released.
    """

    threshold: float
    reached: int
    n: int
    blind_name: str
    blind_reached: int
    blind_limit: float
    others: int
    bound: float | None = None


class Leakage(Record):
    """The figures of an attack on images that ran, also if a control failed.

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
        success: rates to compare a bound on successful reconstructions with; None if the defense
            states no Gaussian-DP parameter, which makes the bound, or patients are too few.
        by_modality: SSIM inside the brain of each modality that was recovered; empty in results
            that were written before it was recorded.
        blind_by_modality: that of the best blind guess, since some modalities are easier to guess.
        further: means of the metrics that have no field of their own, by name.
        objective_first: the attack's own objective at its start.
        objective_last: at what it returned.
    """

    measure: ClassVar[str] = "ssim_brain"
    unit: ClassVar[str] = "SSIM"
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
    success: Success | None = None
    by_modality: dict[str, Interval] = Field(default_factory=dict)
    blind_by_modality: dict[str, float] = Field(default_factory=dict)
    further: dict[str, Interval] = Field(default_factory=dict)
    objective_first: float
    objective_last: float

    @property
    def tumour_dice(self) -> Interval | None:
        """Tumour Dice on the reconstructions; None where no tumour was looked for."""
        return self.harm.reconstruction if self.harm is not None else None

    def mean_of(self, metric: str) -> Interval | None:
        """The mean of a metric by its name; None where there is none."""
        found: Interval | None = getattr(self, metric, None) or self.further.get(metric)
        return found

    @property
    def score(self) -> Interval:
        """The figure that the cell is told by: SSIM inside the brain."""
        return self.ssim_brain

    @property
    def gain(self) -> float:
        """How far the score lies beyond what a guess gets; at most 1."""
        return self.advantage.mean

    def by_patient(self) -> tuple[list[float], list[float]]:
        """Scores and blind floors, patient by patient."""
        return [one.ssim_brain for one in self.patients], [one.blind_floor for one in self.patients]


class Matched(Record):
    """How often what was released picks its own patient out of the candidates.

    Args:
        top1: share of victims whose own image fits best; ties count in part.
        low: lower end of the Clopper-Pearson 95 % interval.
        high: its upper end.
    """

    top1: float
    low: float
    high: float


class MatchScore(Record):
    """One victim among the candidates.

    Args:
        patient: the patient's identifier.
        hit: 1 if the victim's own image fits best, 1/k if k images do, else 0.
        rank: of the victim's own image, from 1; ties count as the average rank.
        margin: by how much its score exceeds that of the best other candidate, over the standard
            deviation of the others' scores; None if they are all equal.
        wrong: ``hit`` where another patient's release is shown in place of the victim's.
    """

    patient: str
    hit: float
    rank: float
    margin: float | None
    wrong: float | None = None


class Matching(Record):
    """The figures of an attack that recovers identities.

    Args:
        top1: share of victims whose own image fits best; ties count in part.
        low: lower end of the Clopper-Pearson 95 % interval.
        high: its upper end.
        chance: 1 / gallery.
        gallery: candidates (all patients but the auxiliary ones).
        n: number of victims.
        other_slice: the same where another slice of every candidate is on the list; None if there
            is none.
        other_pass: the same for another release of the victims, its randomness drawn anew.
        patients: the victims one by one.
        method: of the interval, as of `Interval`.
    """

    measure: ClassVar[str] = "matched"
    unit: ClassVar[str] = "of the patients"
    blind_floor_name: ClassVar[str] = ""
    top1: float
    low: float
    high: float
    chance: float
    gallery: int
    n: int
    method: str = "clopper-pearson"
    other_slice: Matched | None = None
    other_pass: Matched | None = None
    patients: tuple[MatchScore, ...]

    @property
    def singles_out(self) -> bool:
        """Whether the messages are shown to tell patients apart: the interval is above chance."""
        return self.low > self.chance

    @property
    def score(self) -> Interval:
        """The figure that the cell is told by: ``top1`` with its interval."""
        return Interval(mean=self.top1, low=self.low, high=self.high, n=self.n, method=self.method)

    @property
    def gain(self) -> float:
        """How far the score lies beyond what a guess gets; at most 1."""
        return self.top1 - self.chance

    @property
    def blind_floor(self) -> float:
        """The score of a guess that sees nothing."""
        return self.chance

    def by_patient(self) -> tuple[list[float], list[float]]:
        """Hits and chance, patient by patient."""
        return [one.hit for one in self.patients], [self.chance] * len(self.patients)


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

    measure: ClassVar[str] = "mask_dice"
    unit: ClassVar[str] = "Dice"
    dice: Interval
    blind_floor: float
    blind_floor_name: str
    advantage: Interval
    patients: tuple[MaskScore, ...]
    without_tumour: int
    objective_first: float
    objective_last: float

    @property
    def score(self) -> Interval:
        """The figure that the cell is told by: Dice of the recovered masks."""
        return self.dice

    @property
    def gain(self) -> float:
        """How far the score lies beyond what a guess gets; at most 1."""
        return self.advantage.mean

    def by_patient(self) -> tuple[list[float], list[float]]:
        """Scores and blind floors, patient by patient."""
        return [one.dice for one in self.patients], [one.blind_floor for one in self.patients]


# What an attack recovered, of any kind: each has a score, its unit, a blind floor and patients.
Figures = Leakage | MaskLeakage | Matching
