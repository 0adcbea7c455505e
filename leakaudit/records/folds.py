"""The parts of a pooled figure: one result per fold."""

from __future__ import annotations

from pydantic import Field

from leakaudit.records.base import Record, State


class FoldRecord(Record):
    """A training or an attack of one fold, which stands in the run folder as a result of its own.

    Args:
        fold: its number, from 1.
        key: of the result.
        state: how it ended.
        reason: why, if not ``ok``.
        patients: the victims of this fold.
        score: their mean SSIM inside the brain, Dice of recovered masks, or of a training Dice;
            None without figures.
        blind_floor_name: which blind guess their floor is; empty without figures, and of a
            training.
        shares: by the number of each other fold that has auxiliary patients of this one too, which
            share of them both have, up to 1.
    """

    fold: int
    key: str
    state: State
    reason: str = ""
    patients: tuple[str, ...]
    score: float | None = None
    blind_floor_name: str = ""
    shares: dict[int, float] = Field(default_factory=dict)
