"""The measures without a limit, and the highest observed figure of each judged setting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from leakaudit.measure.metrics import limited
from leakaudit.records import CellRecord, ReportRecord, TargetRecord, Verdict
from leakaudit.records.targets import plain_network
from leakaudit.report.text.formatting import figure, patients_words, percent, scientific
from leakaudit.report.text.validity import valid_leakage

Found = TypeVar("Found")


class HighestFigure(NamedTuple):
    """A figure in words, and the key of the setting that reached it."""

    text: str
    target: str


@dataclass(frozen=True)
class Judged:
    """The part of a record that a policy judges."""

    targets: tuple[TargetRecord, ...]
    every: tuple[TargetRecord, ...]
    cells: tuple[CellRecord, ...]


def highest(record: ReportRecord, verdict: Verdict, measure: str) -> HighestFigure | None:
    """The highest figure of a measure over the judged settings, and its setting's key.

    None where there is no figure.
    """
    keys = {one.target for one in verdict.settings}
    judged = Judged(
        targets=tuple(one for one in record.targets if one.target in keys),
        every=record.targets,
        cells=tuple(c for c in record.cells if c.target in keys and not c.control_only),
    )
    made = _MEASURES.get(measure)
    return made(judged) if made is not None else _of_metric(judged, measure)


def _of_metric(judged: Judged, measure: str) -> HighestFigure | None:
    """The mean of the setting where it is highest, beside its worst patient; or the share."""
    metric = limited(measure)
    if metric is None:
        return None
    cells = [cell for cell in judged.cells if metric.applies(cell)]
    if metric.share is not None:
        # The share itself and not its interval, so that its number points into report.json.
        shares = [(one, cell.target) for cell in cells if (one := metric.share(cell)) is not None]
        if not shares:
            return None
        share, target = max(shares, key=lambda one: one[0].top1)
        return HighestFigure(f"{percent(share.top1)} of {patients_words(share.n)}", target)
    found = _highest(cells, metric.figure, lambda one: one.mean)
    if found is None:
        return None
    mean, key = found
    # Where the mean is not that of the patients' figures, no single one stands beside it.
    alike = cells if metric.parts is None else []
    mine = [metric.by_patient(cell) or [] for cell in alike if cell.target == key]
    values = [value for each in mine for _, value in each]
    return HighestFigure(_of_patients(mean.mean, mean.n, values), key)


def _of_patients(mean: float, n: int, each: Sequence[float]) -> str:
    whom = f"{figure(mean)} on average over {patients_words(n)}"
    return f"{whom}, {figure(max(each))} for the worst single one" if each else whom


def _harm(judged: Judged) -> HighestFigure | None:
    cells = [c for c in judged.cells if c.recovers == "images" and c.victims == "inference"]
    found = _highest(
        cells,
        lambda cell: one.harm if (one := valid_leakage(cell)) else None,
        lambda harm: harm.reconstruction.mean,
    )
    if found is None:
        return None
    harm, key = found
    return HighestFigure(
        f"the tumour is still found with a Dice of {figure(harm.reconstruction.mean)}, where the "
        f"originals give {figure(harm.original)}",
        key,
    )


def _epsilon(judged: Judged) -> HighestFigure | None:
    claims = [
        (one.guarantee.epsilon, one)
        for one in judged.targets
        if one.guarantee is not None
        and one.guarantee.claimed
        and one.guarantee.covers == "releases"
        and one.guarantee.epsilon is not None
    ]
    if not claims:
        return None
    epsilon, target = max(claims, key=lambda one: one[0])
    return HighestFigure(f"{scientific(epsilon)} is claimed", target.target)


def _dice_loss(judged: Judged) -> HighestFigure | None:
    losses = [
        (base.utility.mean.mean, one.utility.mean.mean, one, base)
        for one in judged.targets
        if one.utility is not None
        and (base := plain_network(one, judged.every)) is not None
        and base.target != one.target
        and base.utility is not None
    ]
    if not losses:
        return None
    before, after, target, base = max(losses, key=lambda one: one[0] - one[1])
    words = f"a mean Dice of {figure(after)}, where the undefended network reaches {figure(before)}"
    if not (target.is_shown_useful and base.is_shown_useful):
        words += "; one of the two may be worth no more than an untrained network"
    return HighestFigure(words, target.target)


def _highest(
    cells: Sequence[CellRecord],
    figures: Callable[[CellRecord], Found | None],
    value: Callable[[Found], float],
) -> tuple[Found, str] | None:
    found = [(one, cell.target) for cell in cells if (one := figures(cell)) is not None]
    return max(found, key=lambda one: value(one[0]), default=None)


_MEASURES: dict[str, Callable[[Judged], HighestFigure | None]] = {
    "clinical_harm": _harm,
    "epsilon": _epsilon,
    "dice_loss": _dice_loss,
}
