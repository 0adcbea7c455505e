"""A whole run, as its report shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from leakaudit.records.base import METRIC_VERSION, SCHEMA_VERSION, Interval, Kind, Record, State
from leakaudit.records.cautions import Caution
from leakaudit.records.cells import CellRecord
from leakaudit.records.citations import Citation
from leakaudit.records.configured import Configured
from leakaudit.records.targets import ReferenceComparison, TargetRecord
from leakaudit.records.verdict import Verdict


class WorstCase(Record):
    """The reported leakage of one (target, defense, seed) on one kind of victims.

    Args:
        target: key of the target.
        cut_level: depth of the cut.
        shared_skips: shallower levels that cross as well.
        bottleneck: at most so many channels of each level cross; None without a bottleneck.
        defense: its parts in order; empty for none.
        seed: seed.
        victims: ``"inference"`` or ``"training"``; the two are never compared.
        recovers: ``"images"``, ``"other-site images"``, ``"masks"`` or ``"identities"``; never
            compared either.
        site: modalities of the data site that recovers other sites' images; else empty.
        worst: key of the ``ok`` cell with the highest SSIM inside the brain, of masks with the
            highest Dice, of identities with the highest share matched; None if no cell is ok.
        weakest: key of the ``ok`` cell with the lowest; None likewise.
        ssim_brain: of the worst cell, which recovers images; else None.
        mask_dice: Dice of the recovered masks of the worst cell; None for images.
        matched: share of the victims whom the worst cell matched; None except for identities.
        advantage: of the worst cell; None for identities.
        misled_by: score of the worst minus that of the weakest attack at the same site and with the
            same gradients observed: how far an audit with the weakest alone would have misled.
        dice: mean Dice of the target; None if unknown.
        pareto: no setting of the same cut level (with any levels crossing), seed, victims and
            measured attacks is better in Dice or SSIM and at least as good in the other; False
            where an attack has no figure that it has elsewhere, and where Dice is not above an
            untrained network's.
        incomplete: cells on these victims that are not ``ok``, as ``attack under threat: state``;
            in a target's first entry also those on victims of whom no cell is ``ok``.
    """

    target: str
    cut_level: int
    shared_skips: tuple[int, ...]
    bottleneck: int | None = None
    defense: tuple[Configured, ...]
    seed: int
    victims: str
    recovers: str = "images"
    site: str = ""
    worst: str | None
    weakest: str | None
    ssim_brain: Interval | None
    mask_dice: Interval | None = None
    matched: Interval | None = None
    advantage: Interval | None
    misled_by: float | None
    dice: Interval | None
    pareto: bool
    incomplete: tuple[str, ...]

    @property
    def kind(self) -> Kind:
        """The kind within which the figure is compared."""
        return Kind(self.victims, self.recovers, self.site)

    @property
    def score(self) -> Interval | None:
        """The figure of the worst cell, of any kind."""
        return self.ssim_brain or self.mask_dice or self.matched


class SplitRecord(Record):
    """Which patients played which part.

    Args:
        train: on whom the networks were trained.
        validation: followed during training.
        auxiliary: the adversary's own.
        victims: attacked at inference.
        repeats: further scans of persons: never attacked, in no gallery; those of victims are in no
            part.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    auxiliary: tuple[str, ...]
    victims: tuple[str, ...]
    repeats: tuple[str, ...] = ()


class DataRecord(Record):
    """The patients: what was read and how it was prepared.

    Args:
        name: ``"phantom"`` or the folder's name.
        fingerprint: SHA-256 over identifiers, modalities, images and masks as prepared.
        modalities: in channel order.
        patients: number of patients.
        slices: number of slices of all patients.
        spatial: extents in voxels.
        split: who played which part; in the first fold, if there are several.
        folds: who played which part in each of several folds; in every fold other patients
            are victims; empty without folds.
        simulated: whether the patients are phantoms.
        cut_off: largest share, over patients and modalities, of the nonzero voxels that the
            centre crop left out, 0 to 1.
        labels: which values of the masks were taken for what, and why; empty for phantoms.
        excluded: identifiers of patients whom the audit file left out.
        clipped: by modality, the largest share over patients of the brain's voxels that rescaling
            set to 0, 0 to 1.
        cautions: what is uncertain about the data.
    """

    name: str
    fingerprint: str
    modalities: tuple[str, ...]
    patients: int
    slices: int
    spatial: tuple[int, ...]
    split: SplitRecord
    folds: tuple[SplitRecord, ...] = ()
    simulated: bool
    cut_off: float = 0.0
    labels: str = ""
    excluded: tuple[str, ...] = ()
    clipped: dict[str, float] = Field(default_factory=dict)
    cautions: tuple[Caution, ...] = ()

    @property
    def victims(self) -> int:
        """How many patients were attacked in use, whom the network that was attacked never saw."""
        return sum(len(one.victims) for one in self.folds or (self.split,))


class ThreatRecord(Record):
    """A threat preset spelled out."""

    name: str
    position: str
    behaviour: str
    capabilities: tuple[str, ...]
    victims: str
    words: str


class PluginRecord(Record):
    """An attack or defense that ran: what it does in words, where it comes from, whose idea."""

    name: str
    kind: str
    summary: str
    distribution: str
    version: str
    requires: tuple[str, ...] = ()
    citations: tuple[Citation, ...] = ()


class Person(Record):
    """A person who answers for something; the name may be left to be written by hand."""

    role: str
    name: str = ""


class House(Record):
    """The owner of a report.

    Args:
        organisation: name of the hospital; empty for none.
        logo: a PNG as a ``data:`` address; empty for none.
        responsible: who signs, in order.
    """

    organisation: str = ""
    logo: str = ""
    responsible: tuple[Person, ...] = ()


class Untested(Record):
    """The threats and attacks that this version could have tried and the audit did not.

    Args:
        threats: presets that the audit does not name.
        attacks: installed attacks that it does not name.
    """

    threats: tuple[ThreatRecord, ...] = ()
    attacks: tuple[PluginRecord, ...] = ()


class Counts(Record):
    """How many cells ended how; those that are controls alone are in ``controls`` only.

    Args:
        planned: cells of the audit itself.
        by_state: of these, by state.
        without_figure: of these, all but the ``ok`` ones.
        controls: cells that exist only as another's positive control.
        isolated: attacks that ended, by how their process was kept from the truth.
        attacked: attacks that ended.
    """

    planned: int
    by_state: dict[State, int]
    without_figure: int
    controls: int
    isolated: dict[str, int]
    attacked: int

    @classmethod
    def of(cls, cells: Sequence[CellRecord]) -> Counts:
        """Count the cells of an audit."""
        planned = [cell for cell in cells if not cell.control_only]
        kinds = [cell.isolation for cell in cells if cell.isolation]
        return cls(
            planned=len(planned),
            by_state={one: sum(cell.state is one for cell in planned) for one in State},
            without_figure=sum(cell.state is not State.OK for cell in planned),
            controls=len(cells) - len(planned),
            isolated={kind: kinds.count(kind) for kind in sorted(set(kinds))},
            attacked=len(kinds),
        )


class ReportRecord(Record):
    """Everything in report.json.

    Args:
        schema_version: version of this layout.
        name: name of the audit.
        audit: the resolved audit file, defaults written out.
        images: ``"none"``, ``"blurred"`` or ``"full"``.
        house: whose report it is, and who signs.
        data: the patients.
        threats: the presets that were used.
        plugins: the attacks and defenses that ran.
        untested: what could have been tried and was not.
        targets: every trained network, references and controls included.
        cells: every cell, control cells included.
        counts: how they ended.
        worst: one entry per (target, defense, seed) and kind of victims, control targets left out;
            inference victims first.
        references: Split-U-Net against centralised and single-site training, one entry for each
            comparison that was asked for.
        verdict: what the user's policy says; None without one.
        versions: Python and package versions.
        metric_version: version of the measures.
        profile: ``"internal"``, or ``"share"``: with pseudonyms, and without paths, hosts
            and users.
        volatile: times, host facts.
    """

    schema_version: str = SCHEMA_VERSION
    name: str
    audit: dict[str, Any]
    images: str
    house: House = House()
    data: DataRecord
    threats: tuple[ThreatRecord, ...]
    plugins: tuple[PluginRecord, ...]
    untested: Untested = Untested()
    targets: tuple[TargetRecord, ...]
    cells: tuple[CellRecord, ...]
    counts: Counts
    worst: tuple[WorstCase, ...]
    references: tuple[ReferenceComparison, ...]
    verdict: Verdict | None = None
    versions: dict[str, str]
    metric_version: str = METRIC_VERSION
    profile: Literal["internal", "share"] = "internal"
    volatile: dict[str, Any] = Field(default_factory=dict)
