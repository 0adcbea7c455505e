"""The record sorted into settings, with figures picked out for the templates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leakaudit.privacy.gaussian import hides_nothing
from leakaudit.records import (
    CellRecord,
    Configured,
    Guarantee,
    Interval,
    Kind,
    Leakage,
    MaskLeakage,
    Matching,
    ReportRecord,
    State,
    Success,
    TargetRecord,
    ThreatRecord,
    WorstCase,
    written,
)
from leakaudit.report.text import words
from leakaudit.report.text.formatting import configured, levels, spoken
from leakaudit.report.text.guarantees import SeenRow, about, seen_rows, worst_words
from leakaudit.report.text.protections import in_words, protections
from leakaudit.report.text.validity import valid_figures, valid_leakage, valid_masks, valid_matching
from leakaudit.report.views.strips import Strip, strip


@dataclass(frozen=True)
class CellView:
    """One row of the matrix; without ``leakage``, ``masks``, ``matching`` unless it is ok."""

    record: CellRecord
    anchor: str
    name: str
    ambiguous: bool
    state: str
    meaning: str
    leakage: Leakage | None
    masks: MaskLeakage | None
    matching: Matching | None
    strip: Strip | None
    worst: bool
    threat: ThreatRecord | None

    @property
    def rebuilt(self) -> Leakage | MaskLeakage | None:
        """The figures of what was rebuilt, images or masks."""
        return self.leakage or self.masks


@dataclass(frozen=True)
class ExposureView:
    """A setting's leakage of one kind; ``cell`` is that of the worst attack."""

    victims: str
    recovers: str
    site: str
    case: WorstCase | None
    cell: CellView | None
    sentences: tuple[str, ...]
    weakest: str

    @property
    def kind(self) -> Kind:
        """The kind within which the figure is compared."""
        return Kind(self.victims, self.recovers, self.site)


@dataclass(frozen=True)
class SettingView:
    """One target: a defense at a cut level under a seed, with the cells that attack it."""

    anchor: str
    cut_level: int
    shared_skips: tuple[int, ...]
    bottleneck: int | None
    seed: int
    defense: tuple[Configured, ...]
    name: str
    parameters: str
    target: TargetRecord | None
    dice: Interval | None
    noise_to_signal: float | None
    missing: str
    noise_missing: str
    caveats: tuple[str, ...]
    exposures: tuple[ExposureView, ...]
    kept: str
    cells: tuple[CellView, ...]


@dataclass(frozen=True)
class MatrixView:
    """The settings of one cut level, with what crosses there, and seed."""

    anchor: str
    title: str
    settings: tuple[SettingView, ...]


@dataclass(frozen=True)
class StateCount:
    """How many cells ended in a state."""

    state: str
    words: str
    meaning: str
    count: int


@dataclass(frozen=True)
class BoundView:
    """How often reconstructions can succeed under a claim, beside the valid attack that did most.

    The prior needs no valid attack; without one ``cell`` is None and what was reached is not shown.
    """

    success: Success
    cell: CellRecord | None


@dataclass(frozen=True)
class ClaimView:
    """Settings whose defense claims the same; ``noise`` is measured, of each of them.

    ``about`` says what (epsilon, delta) is about; ``covers_releases`` whether that is what crosses
    the cut, and ``attack`` what was recovered from there if not. ``seen`` is the proof that the
    defense was on, of the first setting.
    """

    where: tuple[str, ...]
    target: TargetRecord
    noise: tuple[float | None, ...]
    vacuous: bool
    bound: BoundView | None
    about: str
    covers_releases: bool
    attack: str
    seen: tuple[SeenRow, ...]


def matrices(record: ReportRecord) -> tuple[MatrixView, ...]:
    """Every cell that is not a control's alone, grouped by cut level, seed and target."""
    groups: dict[str, list[CellRecord]] = {}
    for target in record.targets:
        # A training without cells is a reference's: no attack was planned, so none can be missing.
        if any(cell.target == target.target and not cell.control_only for cell in record.cells):
            groups[target.target] = []
    for cell in record.cells:
        if not cell.control_only:
            groups.setdefault(cell.target, []).append(cell)
    anchors = cell_anchors(record)
    tables: dict[tuple[str, int], list[SettingView]] = {}
    for number, (key, cells) in enumerate(groups.items(), 1):
        view = _setting(record, key, cells, anchors, f"setting-{number}")
        where = levels(view.cut_level, view.shared_skips, view.bottleneck)
        tables.setdefault((where, view.seed), []).append(view)
    return tuple(
        MatrixView(f"matrix-{number}", f"{where} · seed {seed}", tuple(settings))
        for number, ((where, seed), settings) in enumerate(tables.items(), 1)
    )


def cell_anchors(record: ReportRecord) -> dict[str, str]:
    """Where the row of each cell stands in the page."""
    return {cell.cell: f"cell-{number}" for number, cell in enumerate(record.cells, 1)}


def state_counts(record: ReportRecord) -> tuple[StateCount, ...]:
    """Cells by state, states without cells included, control cells left out."""
    counted = record.counts.by_state
    return tuple(
        StateCount(state.value, state.label, state.meaning, counted[state]) for state in State
    )


def training_victims(record: ReportRecord) -> tuple[str, ...]:
    """Members of the training set that an attack was tried on."""
    found = {
        patient.patient
        for cell in record.cells
        if cell.victims == "training" and (figures := cell.figures or cell.set_aside) is not None
        for patient in figures.patients
    }
    return tuple(sorted(found))


def claims(record: ReportRecord) -> tuple[ClaimView, ...]:
    """The privacy claims of the defenses, equal ones together."""
    grouped: dict[str, list[TargetRecord]] = {}
    for target in record.targets:
        if target.kind == "split" and not target.control_only:
            claim = target.guarantee.model_dump_json() if target.guarantee else "none"
            seen = [effect.model_dump_json() for effect in target.effects]
            grouped.setdefault("\n".join([written(target.defense), claim, *seen]), []).append(
                target
            )
    return tuple(
        ClaimView(
            tuple(
                dict.fromkeys(
                    f"{levels(one.cut_level, one.shared_skips, one.bottleneck)}, seed {one.seed}"
                    for one in targets
                )
            ),
            targets[0],
            tuple(one.noise_to_signal for one in targets),
            _vacuous(targets[0].guarantee),
            _bound(targets, record.cells),
            about(targets[0].guarantee),
            targets[0].guarantee is None or targets[0].guarantee.covers != "weights",
            worst_words(record, {one.target for one in targets}),
            seen_rows(targets[0]),
        )
        for targets in grouped.values()
    )


def _bound(targets: Sequence[TargetRecord], cells: Sequence[CellRecord]) -> BoundView | None:
    """The reconstruction bound of a claim; None without a prior or a Gaussian-DP parameter."""
    keys = {target.target for target in targets}
    attacked = [
        (figures.success, cell if cell.leakage is not None else None)
        for cell in cells
        if cell.target in keys
        and (figures := cell.leakage or cell.withheld) is not None
        and figures.success is not None
        and figures.success.bound is not None
    ]
    if not attacked:
        return None
    success, cell = max(attacked, key=lambda one: (one[1] is not None, one[0].reached / one[0].n))
    return BoundView(success, cell)


def _vacuous(guarantee: Guarantee | None) -> bool:
    """Whether the (epsilon, delta) of a claim, made or only prepared, hides nothing."""
    if guarantee is None or guarantee.epsilon is None:
        return False
    return hides_nothing(guarantee.epsilon, guarantee.delta or 0.0, guarantee.mu)


def networks(record: ReportRecord) -> tuple[tuple[str, TargetRecord], ...]:
    """Every trained network that is not a control's alone, with a name in words."""
    return tuple(
        (_network_name(target), target) for target in record.targets if not target.control_only
    )


def _network_name(target: TargetRecord) -> str:
    if target.kind == "split":
        parts = protections(
            target.defense, target.cut_level, target.shared_skips, target.bottleneck
        )
        return ", ".join(part for part in in_words(parts) if part)
    kind = spoken(target.kind)
    return f"{kind} reference: {target.site}" if target.site else f"{kind} reference"


def _setting(
    record: ReportRecord,
    key: str,
    cells: Sequence[CellRecord],
    anchors: dict[str, str],
    anchor: str,
) -> SettingView:
    target = next((one for one in record.targets if one.target == key), None)
    first = target if target is not None else cells[0]
    cases = [one for one in record.worst if one.target == key]
    tops = {case.worst for case in cases}
    views = tuple(_cell(record, cell, cells, anchors, cell.cell in tops) for cell in cells)
    dice = target.utility.mean if target and target.utility else None
    name, parameters = configured(first.defense)
    where = (first.cut_level, first.shared_skips, first.bottleneck)
    if not first.defense and protections(first.defense, *where):
        name = "No further defense"  # the heading above says which there is
    return SettingView(
        anchor=anchor,
        cut_level=first.cut_level,
        shared_skips=first.shared_skips,
        bottleneck=first.bottleneck,
        seed=first.seed,
        defense=first.defense,
        name=name,
        parameters=parameters,
        target=target,
        dice=dice,
        noise_to_signal=target.noise_to_signal if target else None,
        missing=_why_missing(target),
        noise_missing=_why_no_noise(target),
        caveats=_caveats(target),
        exposures=tuple(_exposure(case, views) for case in (cases or (None,))),
        kept=words.kept_sentence(dice),
        cells=views,
    )


def _exposure(case: WorstCase | None, cells: Sequence[CellView]) -> ExposureView:
    by_key = {view.record.cell: view for view in cells}
    top = by_key.get(case.worst or "") if case else None
    if top is not None and valid_figures(top.record) is None:
        top = None
    weakest = by_key.get(case.weakest or "") if case else None
    return ExposureView(
        victims=case.victims if case else "",
        recovers=case.recovers if case else "",
        site=case.site if case else "",
        case=case,
        cell=top,
        sentences=words.exposure_sentences(
            case, top.record if top else None, top.threat if top else None
        ),
        weakest=words.weakest_sentence(case, weakest.record if weakest else None) if case else "",
    )


def _caveats(target: TargetRecord | None) -> tuple[str, ...]:
    """Return the facts that a reader of the short form alone must know before any figure."""
    if target is None:
        return ()
    sentences = []
    if target.guarantee is not None and not target.guarantee.claimed:
        sentences.append("No formal guarantee is claimed for this run (see Formal guarantees).")
    if target.noise_to_signal is None and any(one.returned_change for one in target.effects):
        sentences.append(
            "This defense changes what returns to the sites and nothing that they send: it is "
            "none against the party that receives that."
        )
    if target.is_useless:
        sentences.append(
            "This network may have learned nothing. Then its privacy is worth nothing either."
        )
    return tuple(sentences)


def _why_missing(target: TargetRecord | None) -> str:
    if target is None:
        return "the network was not trained"
    if target.state is State.OK:
        return "not measured"
    return target.reason or target.state.label.lower()


def _why_no_noise(target: TargetRecord | None) -> str:
    if target is not None and target.state is State.OK:
        return "levels released unchanged"
    return _why_missing(target)


def _cell(
    record: ReportRecord,
    cell: CellRecord,
    beside: Sequence[CellRecord],
    anchors: dict[str, str],
    top: bool,
) -> CellView:
    found = valid_figures(cell)
    threat = next((one for one in record.threats if one.name == cell.threat), None)
    return CellView(
        record=cell,
        anchor=anchors[cell.cell],
        name=spoken(cell.attack_name),
        ambiguous=sum(_signature(other) == _signature(cell) for other in beside) > 1,
        state=cell.state.label,
        meaning=cell.state.meaning,
        leakage=valid_leakage(cell),
        masks=valid_masks(cell),
        matching=valid_matching(cell),
        strip=strip(found.score, found.blind_floor) if found is not None else None,
        worst=top and found is not None,
        threat=threat,
    )


def _signature(cell: CellRecord) -> tuple[object, ...]:
    seen = (cell.releases, cell.gradient_checkpoints)
    return (cell.attack_name, cell.seen_by, cell.victims, *seen)
