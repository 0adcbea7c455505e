"""From two reports to what changed between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from leakaudit.comparison import figures
from leakaudit.comparison.conditions import (
    in_words,
    other_changes,
    require_comparable,
    threat_changes,
    training_changes,
)
from leakaudit.comparison.matching import (
    Match,
    cell_identity,
    match_cells,
    match_settings,
    setting_identity,
)
from leakaudit.comparison.records import (
    NOT_RECORDED,
    Caveat,
    CellRow,
    Change,
    Comparison,
    Count,
    Outcome,
    Reading,
    SettingRow,
    Side,
    Strongest,
    UnmatchedCell,
    UnmatchedSetting,
    VerdictChange,
)
from leakaudit.records import CellRecord, ReportRecord, State, TargetRecord
from leakaudit.report.text.validity import valid_figures
from leakaudit.report.text.verdicts import setting_name

NO_TRAINING = "its training is not in the report"
_UNTOUCHED = {Outcome.EQUAL, Outcome.NO_FIGURE}


def compare_reports(a: ReportRecord, b: ReportRecord) -> Comparison:
    """Compare two reports, without their controls.

    Args:
        a: the earlier report.
        b: the later one.

    Raises:
        UsageError: they are over different patients, preparations or splits, or of different
            versions of the measures; every such field with both values.
    """
    require_comparable(a, b)
    first, second = _Audit.of(a), _Audit.of(b)
    training, threats = training_changes(a, b), threat_changes(a, b)
    settings: list[SettingRow] = []
    cells: list[CellRow] = []
    elsewhere = 0
    unmatched_a, unmatched_b = first.orphans(), second.orphans()
    matched = match_settings(first.targets, second.targets)
    for pair in matched.pairs:
        row = _setting_row(pair, training)
        settings.append(row)
        found = match_cells(first.on(pair.a), second.on(pair.b), pair.a.epochs, pair.b.epochs)
        for one in found.pairs:
            told = _cell_row(one, row, threats.get(one.a.threat, ()))
            cells.append(told)
            elsewhere += told.outcome in _UNTOUCHED and _figures(one.a) != _figures(one.b)
        unmatched_a += [_unmatched_cell(one, pair.a, why) for one, why in found.only_a]
        unmatched_b += [_unmatched_cell(one, pair.b, why) for one, why in found.only_b]
    alone_a, alone_b = matched.only_a, matched.only_b
    unmatched_a += [
        _unmatched_cell(cell, one, why) for one, why in alone_a for cell in first.on(one)
    ]
    unmatched_b += [
        _unmatched_cell(cell, one, why) for one, why in alone_b for cell in second.on(one)
    ]
    verdicts = _verdicts(a, b, [(pair.a.target, pair.b.target) for pair in matched.pairs])
    changed = any(one.changed for one in settings)
    outcomes = {one.outcome for one in settings} | {one.outcome for one in cells}
    untouched = outcomes <= _UNTOUCHED and not any(one.claim for one in settings)
    alike = [one for one in cells if one.cell_a == one.cell_b]
    return Comparison(
        a=first.side,
        b=second.side,
        equal=untouched
        and not changed
        and not elsewhere
        and not verdicts
        and first.side.verdict == second.side.verdict
        and not (unmatched_a or unmatched_b or alone_a or alone_b),
        coverage=figures.COVERAGE,
        least=figures.LEAST,
        caveats=_caveats(other_changes(a, b), settings, cells),
        counts=_counts(settings, cells),
        intervals=_intervals(settings, cells),
        equal_keys=len(alike),
        differing_elsewhere=elsewhere,
        verdicts=verdicts,
        differing_equal_keys=sum(
            bool(one.figures) and one.outcome is not Outcome.EQUAL for one in alike
        ),
        settings=tuple(settings),
        cells=tuple(cells),
        settings_only_in_a=tuple(_unmatched_setting(one, why, first) for one, why in alone_a),
        settings_only_in_b=tuple(_unmatched_setting(one, why, second) for one, why in alone_b),
        cells_only_in_a=tuple(unmatched_a),
        cells_only_in_b=tuple(unmatched_b),
    )


def _verdicts(
    a: ReportRecord, b: ReportRecord, pairs: Sequence[tuple[str, str]]
) -> tuple[VerdictChange, ...]:
    """Settings on which the policies' verdicts differ; one that was not judged has none."""
    before, after = (
        {one.target: one.outcome.value for one in (each.verdict.settings if each.verdict else ())}
        for each in (a, b)
    )
    names = {one.target: ", ".join(setting_name(one)) for one in a.targets}
    return tuple(
        VerdictChange(setting=names[mine], a=before.get(mine), b=after.get(theirs))
        for mine, theirs in pairs
        if before.get(mine) != after.get(theirs)
    )


def _figures(cell: CellRecord) -> list[dict[str, Any]]:
    """All figures of a cell, those included that have no row of their own (harm, tumour, ...)."""
    found = [one.model_dump() for one in (cell.figures, cell.set_aside) if one is not None]
    for one in found:
        one["patients"] = sorted(one["patients"], key=lambda each: str(each["patient"]))
    return found


@dataclass(frozen=True)
class _Audit:
    """A report without its controls."""

    record: ReportRecord
    targets: tuple[TargetRecord, ...]
    cells: tuple[CellRecord, ...]

    @classmethod
    def of(cls, record: ReportRecord) -> _Audit:
        return cls(
            record,
            tuple(one for one in record.targets if not one.control_only),
            tuple(one for one in record.cells if not one.control_only),
        )

    def on(self, target: TargetRecord) -> list[CellRecord]:
        return [cell for cell in self.cells if cell.target == target.target]

    def orphans(self) -> list[UnmatchedCell]:
        known = {target.target for target in self.targets}
        return [
            _unmatched_cell(cell, None, NO_TRAINING)
            for cell in self.cells
            if cell.target not in known
        ]

    @property
    def side(self) -> Side:
        return Side(
            name=self.record.name,
            leakaudit=self.record.versions.get("leakaudit", NOT_RECORDED),
            patients=self.record.data.patients,
            settings=len(self.targets),
            cells=len(self.cells),
            measured=sum(valid_figures(cell) is not None for cell in self.cells),
            verdict=self.record.verdict.outcome.value if self.record.verdict else None,
            profile=self.record.profile,
        )


def _setting_row(pair: Match[TargetRecord], training: tuple[Change, ...]) -> SettingRow:
    a, b = pair.a, pair.b
    dice = figures.dice_delta(a, b)
    had, has = figures.valid_dice(a) is not None, figures.valid_dice(b) is not None
    return SettingRow(
        setting=setting_identity(a),
        target_a=a.target,
        target_b=b.target,
        state_a=a.state,
        state_b=b.state,
        reason_a=a.reason,
        reason_b=b.reason,
        dice=dice,
        claim=_claim_change(a, b),
        changes=(*pair.changes, *_network_changes(a, b), *training),
        outcome=figures.dice_outcome(dice, had, has, a.state is b.state),
    )


def _network_changes(a: TargetRecord, b: TargetRecord) -> tuple[Change, ...]:
    """Epochs and width: another training of what is otherwise the same system."""
    changes = []
    if a.epochs != b.epochs:
        changes.append(Change(kind="training", field="epochs", a=str(a.epochs), b=str(b.epochs)))
    if a.features != b.features:
        words = in_words(a.features), in_words(b.features)
        changes.append(Change(kind="system", field="features", a=words[0], b=words[1]))
    return tuple(changes)


def _claim_change(a: TargetRecord, b: TargetRecord) -> Change | None:
    """Compare the defense's claims; a training that failed has none."""
    if a.state is not State.OK or b.state is not State.OK:
        return None
    first, second = _claim(a), _claim(b)
    if first == second:
        return None
    return Change(kind="claim", field="differential privacy", a=first, b=second)


def _claim(target: TargetRecord) -> str:
    claim = target.guarantee
    if claim is None or not claim.claimed or claim.epsilon is None:
        return "none"
    delta = "" if claim.delta is None else f", delta {claim.delta:.4g}"
    return f"epsilon {claim.epsilon:.4g}{delta} of {claim.covers}"


def _cell_row(pair: Match[CellRecord], setting: SettingRow, threat: tuple[Change, ...]) -> CellRow:
    a, b = pair.a, pair.b
    deltas, singled = figures.cell_deltas(a, b), figures.shares(a, b)
    same_attack = not (pair.changes or threat)
    outcome, note = figures.cell_outcome(a, b, deltas, singled, same_attack=same_attack)
    return CellRow(
        setting=setting.setting,
        cell=cell_identity(a),
        cell_a=a.cell,
        cell_b=b.cell,
        state_a=a.state,
        state_b=b.state,
        reason_a=a.reason,
        reason_b=b.reason,
        figures=deltas,
        reidentification=singled,
        changes=(*pair.changes, *threat, *setting.changes),
        outcome=outcome,
        note=note,
    )


def _unmatched_setting(target: TargetRecord, why: str, audit: _Audit) -> UnmatchedSetting:
    verdict = audit.record.verdict
    judged = {one.target: one.outcome.value for one in (verdict.settings if verdict else ())}
    return UnmatchedSetting(
        setting=setting_identity(target),
        target=target.target,
        state=target.state,
        measured=figures.valid_dice(target) is not None,
        cells=len(audit.on(target)),
        reason=why,
        dice=figures.valid_dice(target),
        strongest=_strongest(audit.on(target)),
        verdict=judged.get(target.target),
    )


def _strongest(cells: Sequence[CellRecord]) -> tuple[Strongest, ...]:
    """Return the attack that gained most on images, on masks and on identities."""
    best: dict[str, tuple[float, Strongest]] = {}
    for cell in cells:
        found = valid_figures(cell)
        if found is None:
            continue
        if found.measure not in best or found.gain > best[found.measure][0]:
            told = Strongest(
                cell=cell_identity(cell), key=cell.cell, measure=found.measure, score=found.score
            )
            best[found.measure] = (found.gain, told)
    return tuple(best[one][1] for one in sorted(best, reverse=True))


def _unmatched_cell(cell: CellRecord, target: TargetRecord | None, why: str) -> UnmatchedCell:
    return UnmatchedCell(
        setting=setting_identity(target) if target is not None else None,
        cell=cell_identity(cell),
        key=cell.cell,
        state=cell.state,
        measured=valid_figures(cell) is not None,
        reason=why,
    )


def _caveats(
    others: Sequence[Change], settings: Sequence[SettingRow], cells: Sequence[CellRow]
) -> tuple[Caveat, ...]:
    of_settings = Counter(change for row in settings for change in row.changes)
    of_cells = Counter(change for row in cells for change in row.changes)
    return tuple(
        Caveat(change=one, settings=of_settings[one], cells=of_cells[one])
        for one in dict.fromkeys((*others, *of_settings, *of_cells))
    )


def _counts(settings: Sequence[SettingRow], cells: Sequence[CellRow]) -> dict[Outcome, Count]:
    of_settings = Counter(row.outcome for row in settings)
    of_cells = Counter(row.outcome for row in cells)
    return {one: Count(settings=of_settings[one], cells=of_cells[one]) for one in Outcome}


def _intervals(settings: Sequence[SettingRow], cells: Sequence[CellRow]) -> int:
    deltas = [row.dice for row in settings if row.dice] + [d for row in cells for d in row.figures]
    return sum(one.reading is not Reading.NO_INTERVAL for one in deltas)
