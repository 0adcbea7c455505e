"""Which settings stand on the first page: all of a few, else those that a reader must know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leakaudit.records import TargetRecord, Verdict
from leakaudit.records.targets import plain_network
from leakaudit.report.views.settings import MatrixView, SettingView

MOST_CARDS = 8


@dataclass(frozen=True)
class CardGroup:
    """The cards of one cut level and seed."""

    title: str
    settings: tuple[SettingView, ...]


@dataclass(frozen=True)
class Cards:
    """The first page's settings; ``left_out`` says how many stand further down alone."""

    groups: tuple[CardGroup, ...]
    left_out: int


def cards(
    matrices: Sequence[MatrixView], verdict: Verdict | None = None, most: int = MOST_CARDS
) -> Cards:
    """At most so many settings: the plain undefended ones, then those on a front.

    The one that decided the verdict comes before them.
    """
    every = [setting for matrix in matrices for setting in matrix.settings]
    chosen = {one.anchor for one in every}
    if len(every) > most:
        targets = [one.target for one in every if one.target]
        plain = [one for one in every if one.target and _is_plain(one.target, targets)]
        front = [one for one in every if any(e.case and e.case.pareto for e in one.exposures)]
        decided = _deciding(verdict)
        first = [one for one in every if one.target and one.target.target == decided]
        ranked = dict.fromkeys(one.anchor for one in (*first, *plain, *front, *every))
        chosen = set(list(ranked)[:most])
    groups = (
        CardGroup(matrix.title, tuple(one for one in matrix.settings if one.anchor in chosen))
        for matrix in matrices
    )
    return Cards(tuple(one for one in groups if one.settings), len(every) - len(chosen))


def _deciding(verdict: Verdict | None) -> str:
    """Key of the setting that decided a verdict; empty if none did."""
    if verdict is None or verdict.setting is None:
        return ""
    return verdict.settings[verdict.setting].target


def _is_plain(target: TargetRecord, targets: Sequence[TargetRecord]) -> bool:
    plain = plain_network(target, targets)
    return plain is not None and plain.target == target.target
