"""One attack on one target under one threat, however it ended."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from leakaudit.records.base import Kind, Record, State
from leakaudit.records.configured import Configured
from leakaudit.records.folds import FoldRecord
from leakaudit.records.leakage import Control, Cost, Figures, Leakage, MaskLeakage, Matching


class ReleasedTensor(Record):
    """One of the tensors that cross the cut for an image.

    Args:
        site: number of the data site that sends it, from 1 as in the audit file.
        level: its level in the encoder, from 0.
    """

    site: int = Field(ge=1)
    level: int = Field(ge=0)

    @property
    def words(self) -> str:
        """``level 1 of data site 2``."""
        return f"level {self.level} of data site {self.site}"


class Doubt(Record):
    """Why a low figure of a cell shows no protection; such a cell never helps to a PASS.

    Args:
        kind: a short name, such as ``evidence``.
        words: one sentence for a reader.
    """

    kind: str
    words: str


class CellRecord(Record):
    """One attack on one target under one threat.

    Args:
        cell: key of the cell.
        target: key of the target.
        cut_level: depth of the cut.
        shared_skips: shallower levels that cross as well.
        bottleneck: at most so many channels of each level cross; None without a bottleneck.
        defense: its parts in order; empty for none.
        attack: the attack with its parameters.
        attack_name: its plug-in name.
        threat: preset name.
        site: modalities of the data site that is the adversary, as ``T1w+T1gd``; else empty.
        recovers: ``"images"``, ``"other-site images"``, ``"masks"`` or ``"identities"``.
        tensor: the one released tensor that the attack reads; None if it reads all it is granted.
        victims: ``"inference"`` or ``"training"``.
        releases: passes of each victim that the adversary sees.
        gradient_batch: slices of a batch whose gradients it sees; None if it sees none.
        gradient_checkpoints: epochs after which it sees gradients, 0 being before the first.
        round_steps: optimizer steps whose weight updates it sees; None if it sees none.
        seed: seed of the target and the attack.
        control_only: the cell exists only as another cell's positive control.
        disguise: what the releases of such a control passed through; empty for nothing.
        state: how it ended.
        reason: why, if not ``ok``.
        leakage: the figures if the state is ``ok``, else None.
        mask_leakage: likewise, of an attack that recovers masks; it has no ``leakage``.
        matching: likewise, of an attack that recovers identities.
        withheld: the figures of an attack whose control failed; not to be read as leakage.
        withheld_masks: likewise of masks.
        withheld_matching: likewise of identities.
        negative_control: the attack on observations that say nothing of the victim.
        positive_control: the attack where it must work, on the undefended system at the same cut.
        disguise_control: the attack there behind a disguise that hides nothing; None where that is
            not asked, of an attack that reads no releases.
        cost: iterations, queries, auxiliary patients.
        isolation: how the attack's process was kept from the truth: ``"namespaces"`` or
            ``"process"``; empty if no attack ended.
        notes: what the attack wants a reader to know.
        folds: of an audit in folds, what the cell is pooled from, fold by fold; its own key is that
            of no result then.
        doubts: why a low figure shows no protection; empty for a figure that counts.
        volatile: seconds, process id, start: all that differs between two equal runs.
    """

    cell: str
    target: str
    cut_level: int
    shared_skips: tuple[int, ...]
    bottleneck: int | None = None
    defense: tuple[Configured, ...]
    attack: Configured
    attack_name: str
    threat: str
    site: str = ""
    recovers: str = "images"
    tensor: ReleasedTensor | None = None
    victims: str
    releases: int
    gradient_batch: int | None = None
    gradient_checkpoints: tuple[int, ...] = ()
    round_steps: int | None = None
    seed: int
    control_only: bool = False
    disguise: str = ""
    state: State
    reason: str = ""
    leakage: Leakage | None = None
    mask_leakage: MaskLeakage | None = None
    matching: Matching | None = None
    withheld: Leakage | None = None
    withheld_masks: MaskLeakage | None = None
    withheld_matching: Matching | None = None
    negative_control: Control | None = None
    positive_control: Control | None = None
    disguise_control: Control | None = None
    cost: Cost | None = None
    isolation: str = ""
    notes: tuple[str, ...] = ()
    folds: tuple[FoldRecord, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    volatile: dict[str, Any] = Field(default_factory=dict)

    def result_of(self, patient: str) -> tuple[str, str]:
        """The key of the result that holds a victim's reconstruction, and its blind guess's name.

        Args:
            patient: a victim of this cell.
        """
        for one in self.folds:
            if patient in one.patients:
                return one.key, one.blind_floor_name
        figures = self.figures
        return self.cell, figures.blind_floor_name if figures is not None else ""

    @property
    def results(self) -> tuple[str, ...]:
        """Keys of the results in the run folder that this cell rests on."""
        return tuple(one.key for one in self.folds) or (self.cell,)

    def results_in(self, *states: State) -> tuple[str, ...]:
        """Keys of those of them that ended in one of these states."""
        if not self.folds:
            return (self.cell,) if self.state in states else ()
        return tuple(one.key for one in self.folds if one.state in states)

    @property
    def figures(self) -> Figures | None:
        """The recovered figures, of any kind, if the state is ``ok``."""
        return self.leakage or self.mask_leakage or self.matching

    @property
    def set_aside(self) -> Figures | None:
        """The figures of an attack whose control failed; not to be read as leakage."""
        return self.withheld or self.withheld_masks or self.withheld_matching

    @property
    def kind(self) -> Kind:
        """The kind within which the figure is compared."""
        where = self.site if self.recovers == "other-site images" else ""
        return Kind(self.victims, self.recovers, where)

    @property
    def reads_all(self) -> bool:
        """Whether the attack reads all that it is granted, not one released tensor alone."""
        return self.tensor is None

    @property
    def seen_by(self) -> str:
        """The threat, at which site it is, and what of all that it sees the attack is shown."""
        site = f" with {self.site}" if self.site else ""
        batch = "" if self.gradient_batch is None else f", batch {self.gradient_batch}"
        batch += "" if self.round_steps is None else f", {self.round_steps} steps"
        tensor = "" if self.tensor is None else f", {self.tensor.words} alone"
        return f"{self.threat}{site}{batch}{tensor}"
