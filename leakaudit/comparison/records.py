"""The outcome of a comparison as plain data: finite numbers, None where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from leakaudit.records import Configured, Interval, Record, Reidentification, ReleasedTensor, State

COMPARISON_VERSION = "2"
NOT_RECORDED = "not recorded"
SHARED = "share"
CHANGED_DEFENSE = "changed-defense"


class Reading(StrEnum):
    """The reading of one difference's interval, B minus A."""

    HIGHER = "higher"
    LOWER = "lower"
    NOT_SHOWN = "no-difference-shown"
    EQUAL = "equal"
    NO_INTERVAL = "no-interval"


class Outcome(StrEnum):
    """The change of a setting's Dice, or of a cell's leakage, from A to B."""

    WORSE = "worse"
    BETTER = "better"
    NOT_SHOWN = "no-difference-shown"
    EQUAL = "equal"
    NO_INTERVAL = "no-interval"
    LOST = "figure-lost"
    GAINED = "figure-gained"
    STATE_CHANGED = "state-changed"
    NO_FIGURE = "no-figure"


class Change(Record):
    """Something other than a figure that differs between the two reports.

    Args:
        kind: ``"claim"`` or a key of `leakaudit.comparison.caveats.KINDS`.
        field: what differs.
        a: its value in A, in words.
        b: in B.
    """

    kind: str
    field: str
    a: str
    b: str


class Caveat(Record):
    """A change that may explain a difference, with the matched rows that it is about.

    Args:
        change: what changed.
        settings: rows of ``Comparison.settings`` that it is about; 0 if it is about no single one.
        cells: rows of ``Comparison.cells`` likewise.
    """

    change: Change
    settings: int = 0
    cells: int = 0


class SettingIdentity(Record):
    """The identity of a training, by which it is matched; fields as in `TargetRecord`."""

    kind: str
    site: str
    sites: tuple[tuple[str, ...], ...]
    cut_level: int
    shared_skips: tuple[int, ...]
    bottleneck: int | None
    defense: tuple[Configured, ...]
    seed: int


class CellIdentity(Record):
    """The identity of a cell, by which it is matched; fields as in `CellRecord`."""

    attack: Configured
    attack_name: str
    threat: str
    site: str
    victims: str
    recovers: str
    tensor: ReleasedTensor | None
    releases: int
    gradient_batch: int | None
    gradient_checkpoints: tuple[int, ...]
    round_steps: int | None
    seed: int


class Delta(Record):
    """One figure on both sides, and B minus A.

    Args:
        measure: ``"dice"``, ``"ssim_brain"``, ``"mask_dice"``, ``"matched"`` or ``"advantage"``.
        a: the figure of A.
        b: the figure of B.
        difference: B minus A, paired by patient; None if the patients are not the same.
        reading: what its interval says.
        reason: why there is no difference or no interval, if so.
    """

    measure: str
    a: Interval
    b: Interval
    difference: Interval | None
    reading: Reading
    reason: str = ""


class Shares(Record):
    """Re-identification on both sides as two shares, each with its interval.

    Args:
        a: of A.
        b: of B.
        reading: ``higher`` or ``lower`` if the two intervals do not overlap.
        reason: why there is no paired interval.
    """

    a: Reidentification
    b: Reidentification
    reading: Reading
    reason: str


class Pair(Record):
    """How what both audits made ended in each.

    Args:
        state_a, state_b: how it ended.
        reason_a, reason_b: why, if not ``ok``.
        changes: why the match is approximate; empty if it is exact.
        outcome: what happened to the figure, from A to B.
    """

    state_a: State
    state_b: State
    reason_a: str
    reason_b: str
    changes: tuple[Change, ...]
    outcome: Outcome


class Unmatched(Record):
    """How what one audit alone made ended.

    Args:
        state: how it ended.
        measured: whether it has a figure: a setting a Dice.
        reason: why it has no counterpart.
    """

    state: State
    measured: bool
    reason: str


class SettingRow(Pair):
    """A training that both audits made.

    Args:
        setting: what it is, as A writes it.
        target_a, target_b: its key in each report.
        dice: Dice; None unless both have one.
        claim: the defense's privacy claim, if it changed.
    """

    setting: SettingIdentity
    target_a: str
    target_b: str
    dice: Delta | None
    claim: Change | None

    @property
    def changed(self) -> tuple[Change, ...]:
        """The parameters of its defense that are others in B; empty if it is the same defense."""
        return tuple(one for one in self.changes if one.kind == CHANGED_DEFENSE)


class CellRow(Pair):
    """An attack that both audits made on one setting.

    Args:
        setting: what was attacked, as A writes it.
        cell: what the attack is, as A writes it.
        cell_a, cell_b: its key in each report.
        figures: SSIM inside the brain or Dice of the mask, then the advantage; empty unless both
            sides have figures.
        reidentification: singling out; None likewise, and where the images of known patients or
            masks are recovered.
        note: why a difference that is shown does not count, if so.
    """

    setting: SettingIdentity
    cell: CellIdentity
    cell_a: str
    cell_b: str
    figures: tuple[Delta, ...]
    reidentification: Shares | None
    note: str = ""


class Strongest(Record):
    """The attack on a setting that gains most over a blind guess.

    Args:
        cell: what it is.
        key: its key.
        measure: ``"ssim_brain"``, ``"mask_dice"`` or ``"matched"``.
        score: in that measure.
    """

    cell: CellIdentity
    key: str
    measure: str
    score: Interval


class UnmatchedSetting(Unmatched):
    """A training that one audit alone made.

    Args:
        setting: what it is.
        target: its key.
        cells: how many cells stand on it.
        dice: of its network; None if there is none.
        strongest: attack on images, on masks; of either none if no such attack has a figure.
        verdict: PASS, FAIL or INCONCLUSIVE; None if no policy judged it.
    """

    setting: SettingIdentity
    target: str
    cells: int
    dice: Interval | None
    strongest: tuple[Strongest, ...]
    verdict: str | None


class UnmatchedCell(Unmatched):
    """An attack that one audit alone made.

    Args:
        setting: what was attacked; None if the report does not hold that training.
        cell: what the attack is.
        key: its key.
    """

    setting: SettingIdentity | None
    cell: CellIdentity
    key: str


class Side(Record):
    """One of the two reports; controls are not counted.

    Args:
        name: of the audit.
        leakaudit: version that wrote it.
        patients: of its cohort.
        settings: trainings.
        cells: attacks.
        measured: attacks with a figure.
        verdict: PASS, FAIL or INCONCLUSIVE under its policy; None without one.
        profile: ``"internal"``, or ``"share"`` for one with pseudonyms.
    """

    name: str
    leakaudit: str
    patients: int
    settings: int
    cells: int
    measured: int
    verdict: str | None
    profile: str = "internal"


class Count(Record):
    """How many settings, and how many cells."""

    settings: int
    cells: int

    @property
    def total(self) -> int:
        """Both together."""
        return self.settings + self.cells


class VerdictChange(Record):
    """A setting with another verdict; None where no policy judged it."""

    setting: str
    a: str | None
    b: str | None


class Comparison(Record):
    """The changes from A to B.

    Args:
        comparison_version: version of this layout.
        a: the first report.
        b: the second.
        equal: whether no figure, state, claim, verdict or defense differs and nothing is unmatched.
        coverage: of the intervals.
        least: a mean difference below this is never called higher or lower.
        caveats: what else differs, and may explain a difference.
        counts: rows by `Outcome`; every outcome is there.
        intervals: how many differences have an interval.
        equal_keys: matched cells whose key is the same: the same work by the same code.
        differing_elsewhere: cells whose rows show no difference, while some other figure
            differs: clinical harm, inside the tumour, by modality, of single patients.
        verdicts: settings on which the policies' verdicts differ.
        differing_equal_keys: those of equal keys whose figures differ all the same.
        settings: matched trainings.
        cells: matched attacks.
        settings_only_in_a, cells_only_in_a: trainings and attacks without a counterpart in B.
        settings_only_in_b, cells_only_in_b: and in A.
    """

    comparison_version: str = COMPARISON_VERSION
    a: Side
    b: Side
    equal: bool
    coverage: float
    least: float
    caveats: tuple[Caveat, ...]
    counts: dict[Outcome, Count]
    intervals: int
    equal_keys: int
    differing_elsewhere: int
    verdicts: tuple[VerdictChange, ...] = ()
    differing_equal_keys: int
    settings: tuple[SettingRow, ...]
    cells: tuple[CellRow, ...]
    settings_only_in_a: tuple[UnmatchedSetting, ...]
    settings_only_in_b: tuple[UnmatchedSetting, ...]
    cells_only_in_a: tuple[UnmatchedCell, ...]
    cells_only_in_b: tuple[UnmatchedCell, ...]

    @property
    def is_worse(self) -> bool:
        """Whether the leakage of some cell is shown to be higher, or some Dice lower.

        A verdict that was PASS and is FAIL is worse as well.
        """
        verdicts = [(one.a, one.b) for one in self.verdicts]
        fell = ("PASS", "FAIL") in [(self.a.verdict, self.b.verdict), *verdicts]
        return self.counts[Outcome.WORSE].total > 0 or fell

    @property
    def is_incomplete(self) -> bool:
        """Whether a figure of A has none beside it in B, or none of what was changed was compared.

        Two equal reports are complete, also if figures are missing.
        """
        if self.equal:
            return False
        if self.lost.total > 0 or self.intervals == 0 or self.unpaired:
            return True
        return any(row.changed and not any(self.with_intervals([row])) for row in self.settings)

    @property
    def unpaired(self) -> bool:
        """Whether each audit made a setting that the other has no counterpart of."""
        return bool(self.settings_only_in_a and self.settings_only_in_b)

    def cells_on(self, settings: Sequence[SettingRow]) -> list[CellRow]:
        """The rows of the attacks on some settings."""
        return [one for one in self.cells if one.setting in [row.setting for row in settings]]

    def with_intervals(self, settings: Sequence[SettingRow]) -> tuple[int, int]:
        """How many of these settings, and of the cells on them, have a difference of figures."""
        told = [bool(row.dice and row.dice.reading is not Reading.NO_INTERVAL) for row in settings]
        read = [
            any(delta.reading is not Reading.NO_INTERVAL for delta in row.figures)
            for row in self.cells_on(settings)
        ]
        return sum(told), sum(read)

    @property
    def lost(self) -> Count:
        """Figures of A without one beside them in B, of what B lacks as well."""
        rows = self.counts[Outcome.LOST]
        return Count(
            settings=rows.settings + sum(one.measured for one in self.settings_only_in_a),
            cells=rows.cells + sum(one.measured for one in self.cells_only_in_a),
        )
