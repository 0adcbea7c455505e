"""The tests that were made and those that could be: kinds of attack, threats, budgets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from leakaudit.records import CellRecord, Configured, ReportRecord, State, ThreatRecord


@dataclass(frozen=True)
class Kind:
    """One thing that could be learned.

    Args:
        name: what.
        words: what that means.
        attacks: those with a valid figure.
        broken: those that were made and have none.
    """

    name: str
    words: str
    attacks: tuple[str, ...]
    broken: tuple[str, ...]


@dataclass(frozen=True)
class _Rule:
    name: str
    words: str
    holds: Callable[[CellRecord, ThreatRecord | None], bool]


def _never(cell: CellRecord, threat: ThreatRecord | None) -> bool:
    return False


_RULES = (
    _Rule(
        "Images from what a site sends in use",
        "Rebuild the images of patients on whom the trained network is used.",
        lambda cell, _: (cell.recovers, cell.victims) == ("images", "inference"),
    ),
    _Rule(
        "Images of training patients",
        "Rebuild images from what crosses in training: activations, gradients, updates.",
        lambda cell, _: (cell.recovers, cell.victims) == ("images", "training"),
    ),
    _Rule(
        "Images that another site holds",
        "One hospital rebuilds what the others have of the same patients.",
        lambda cell, _: cell.recovers == "other-site images",
    ),
    _Rule(
        "Tumour masks",
        "A party without the masks recovers them.",
        lambda cell, _: cell.recovers == "masks",
    ),
    _Rule(
        "Who is who",
        "Tell whose message it is among candidates whose images are known, without a picture of "
        "its own.",
        lambda cell, _: cell.recovers == "identities",
    ),
    _Rule(
        "Several messages of one patient",
        "Put together what crosses in several passes or epochs.",
        lambda cell, _: cell.releases > 1 or len(cell.gradient_checkpoints) > 1,
    ),
    _Rule(
        "A party that breaks the protocol",
        "Send what makes the others reveal more.",
        lambda _, threat: threat is not None and threat.behaviour == "malicious",
    ),
    _Rule(
        "Parties that act together",
        "Put together what two of them hold.",
        lambda _, threat: threat is not None and " and " in threat.position,
    ),
    _Rule(
        "Somebody on the line",
        "Read what crosses without being a party. Encrypt it; what is sent is the same.",
        lambda _, threat: threat is not None and threat.position == "eavesdropper",
    ),
    _Rule(
        "Membership",
        "Tell whether a patient took part in the training. This version has no such attack.",
        _never,
    ),
    _Rule(
        "Attributes",
        "Tell age, sex or a diagnosis from what crosses, without an image. This version has no "
        "such attack.",
        _never,
    ),
    _Rule(
        "The finished network",
        "Learn of patients from the trained network once it is handed on. This version has no "
        "such attack.",
        _never,
    ),
    _Rule(
        "Side channels",
        "Learn from times, sizes and counts of messages. This version does not measure them.",
        _never,
    ),
)


def kinds(record: ReportRecord) -> tuple[Kind, ...]:
    """Every kind of attack with those that were made, NOT TESTED ones included."""
    made = [cell for cell in record.cells if not cell.control_only and cell.state.was_tried]
    threats = {threat.name: threat for threat in record.threats}
    found = []
    for rule in _RULES:
        cells = [cell for cell in made if rule.holds(cell, threats.get(cell.threat))]
        valid, broken = _by_figure(cells)
        found.append(Kind(rule.name, rule.words, valid, broken))
    return tuple(found)


def _by_figure(cells: Sequence[CellRecord]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the attacks that have a valid figure somewhere, and of those that have none."""
    valid = dict.fromkeys(cell.attack_name for cell in cells if cell.state is State.OK)
    others = dict.fromkeys(cell.attack_name for cell in cells if cell.attack_name not in valid)
    return tuple(valid), tuple(others)


def attacks_met(record: ReportRecord) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """The attacks of each threat preset: those with a valid figure, and those made without one."""
    return {
        threat.name: _by_figure(
            [
                cell
                for cell in record.cells
                if cell.threat == threat.name and not cell.control_only and cell.state.was_tried
            ]
        )
        for threat in record.threats
    }


def budgets(record: ReportRecord) -> tuple[CellRecord, ...]:
    """For each configuration of an attack the cell that cost most; one without cost if none has."""
    found: dict[Configured, CellRecord] = {}
    for cell in record.cells:
        if cell.control_only:
            continue
        best = found.get(cell.attack)
        if best is None or _spent(cell) > _spent(best):
            found[cell.attack] = cell
    return tuple(found.values())


def _spent(cell: CellRecord) -> tuple[int, int]:
    return (cell.cost.iterations, cell.cost.queries) if cell.cost else (-1, -1)
