"""A trained network: how well it segments, and the claim of its defense."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from leakaudit.records.base import Interval, Record, State
from leakaudit.records.configured import Configured
from leakaudit.records.folds import FoldRecord


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
        untrained: the same of the network before its training; None likewise.
    """

    patient: str
    edema: float | None
    non_enhancing: float | None
    enhancing: float | None
    whole_tumour: float | None
    tumour_core: float | None
    mean: float | None
    untrained: float | None = None


class Utility(Record):
    """How well a network segments patients it never saw, with the defense on.

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
    """A defense's privacy claim, or the reason why there is none.

    Its ``releases`` are passes times slices of one patient, its ``mu`` is the Gaussian-DP parameter
    of all of them together, its ``clip`` the L2 bound of one slice's joint vector. ``covers`` says
    what it is about: ``"releases"``, ``"training releases"``, ``"weights"`` (then ``releases`` are
    optimizer steps) or ``"training"``, which is the last two together.
    """

    claimed: bool
    epsilon: float | None
    delta: float | None
    releases: int
    mechanism: str
    assumptions: tuple[str, ...]
    reason: str
    mu: float | None = None
    clip: float | None = None
    covers: str = "releases"

    @property
    def bounds_releases(self) -> bool:
        """Whether what it says is about what crosses for patients in use."""
        return self.covers == "releases" and self.mu is not None


class Effect(Record):
    """The observed effect of a defense, or of one part of a stack: the proof that it was on.

    Args:
        defense: the part, as fitted.
        phase: ``"training"`` (the first step of each epoch, penalties in every one) or
            ``"inference"``.
        bounded_share: share of released samples that the part changed without chance, by a clip.
        noise_std: root mean square of what chance added to a released value, in units of the
            activation; of a part that zeroes or rounds, of that change.
        change_to_signal: norm of all that was changed over the norm of what was given.
        dropped_share: share of released values that became 0.
        returned_change: the same of the gradients that returned to the sites.
        penalty: mean of what was added to a site's loss in a step.
        records_clipped: share of the patients of a step whose gradient a private training clipped.
        update_noise_std: standard deviation of the noise on a private step's sum of gradients.
    """

    defense: Configured
    phase: str
    bounded_share: float | None = None
    noise_std: float | None = None
    change_to_signal: float | None = None
    dropped_share: float | None = None
    returned_change: float | None = None
    penalty: float | None = None
    records_clipped: float | None = None
    update_noise_std: float | None = None


class ReleaseDigest(Record):
    """By what a release is known again.

    Args:
        sha256: of its values.
        projections: of each level onto fixed random signs, in units of its norm, then the norm.
            Rounding changes them little, and another draw much.
    """

    sha256: str
    projections: tuple[float, ...]


class TargetRecord(Record):
    """One trained network: a Split-U-Net under a defense, or a reference.

    Args:
        target: key.
        kind: ``"split"``, ``"centralised"`` or ``"single-site"``.
        site: which site a single-site reference belongs to, as its modalities.
        sites: the modalities of each site.
        cut_level: depth of the cut.
        shared_skips: shallower levels that cross as well.
        bottleneck: at most so many channels of each level cross; None without a bottleneck.
        features: channels per level and site.
        parameters: trainable parameters of all parties.
        defense: its parts in order, as the audit file configures them; empty for none.
        fitted_defense: for each fold the parts after they were fitted to its system.
        seed: seed of the training.
        control_only: trained only for a positive control.
        epochs: passes over the training slices.
        utility: Dice on the victims; None if the training failed.
        untrained_dice: mean Dice of the same network before training, as a yardstick.
        above_untrained: mean Dice minus that, paired by patient; None if the training failed.
        noise_to_signal: ratio of standard deviations over all released values together, None for
            a defense that released the levels unchanged.
        noise_to_signal_by_level: the same per released level, by level number.
        guarantee: privacy claim of the defense, None if it never makes one.
        effects: what each part of the defense was seen to do, in training and at inference.
        idle: which part was seen to change nothing of what it is there for, or whose privacy claim
            its own releases refute, as a sentence; every cell on such a network is ``failed``.
            Empty if all were on.
        state: ``ok`` or ``failed`` (or ``timed-out``, ``not-run``).
        reason: why, if not ``ok``.
        folds: of an audit in folds, what the record is pooled from, fold by fold; its own key is
            that of no result then.
        volatile: seconds, process id, start, device.
    """

    target: str
    kind: str
    site: str = ""
    sites: tuple[tuple[str, ...], ...]
    cut_level: int
    shared_skips: tuple[int, ...]
    bottleneck: int | None = None
    features: tuple[int, ...]
    parameters: int
    defense: tuple[Configured, ...]
    fitted_defense: tuple[tuple[Configured, ...], ...] = ()
    seed: int
    control_only: bool = False
    epochs: int
    utility: Utility | None
    untrained_dice: float | None
    above_untrained: Interval | None = None
    noise_to_signal: float | None
    noise_to_signal_by_level: dict[str, float] = Field(default_factory=dict)
    guarantee: Guarantee | None = None
    effects: tuple[Effect, ...] = ()
    idle: str = ""
    state: State
    reason: str = ""
    released: ReleaseDigest | None = None
    released_of_training: ReleaseDigest | None = None
    folds: tuple[FoldRecord, ...] = ()
    volatile: dict[str, Any] = Field(default_factory=dict)

    @property
    def results(self) -> tuple[str, ...]:
        """Keys of the results in the run folder that this record rests on."""
        return tuple(one.key for one in self.folds) or (self.target,)

    def results_in(self, *states: State) -> tuple[str, ...]:
        """Keys of those of them that ended in one of these states."""
        if not self.folds:
            return (self.target,) if self.state in states else ()
        return tuple(one.key for one in self.folds if one.state in states)

    @property
    def is_undefended(self) -> bool:
        """Whether its levels are released as they are; skips may still be withheld."""
        return not self.defense

    @property
    def is_shown_useful(self) -> bool:
        """Whether it is shown to be worth more than before its training."""
        return self.above_untrained is not None and not self.is_useless

    @property
    def is_useless(self) -> bool:
        """Whether it may be worth no more than before its training, all of the interval counted."""
        gain = self.above_untrained
        return gain is not None and (gain.mean if gain.low is None else gain.low) <= 0


def plain_network(target: TargetRecord, targets: Sequence[TargetRecord]) -> TargetRecord | None:
    """The undefended network of the same cut and seed: all skips that are shared, no bottleneck.

    Args:
        target: a setting.
        targets: every training of its audit.
    """
    plain = [
        one
        for one in targets
        if one.kind == "split"
        and one.is_undefended
        and one.bottleneck is None
        and (one.cut_level, one.seed) == (target.cut_level, target.seed)
    ]
    return max(plain, key=lambda one: len(one.shared_skips), default=None)


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
