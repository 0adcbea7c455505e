"""Singling out without a picture: does a release point to its own patient among candidates?"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

from leakaudit.errors import CellError
from leakaudit.measure.controls import derangement
from leakaudit.measure.statistics import clopper_pearson
from leakaudit.records import Matched, Matching, MatchScore

CandidateScores: TypeAlias = Float[np.ndarray, "n g"]

# Scores this close are a tie, as a share of what lies between a victim's highest and lowest score:
# rounding must not decide whose patient it is.
TIE = 1e-12


def matching(
    scores: CandidateScores,
    own: Sequence[int],
    victims: Sequence[str],
    *,
    other_slice: CandidateScores | None = None,
    other_pass: CandidateScores | None = None,
) -> Matching:
    """How often the candidate that fits best is the victim.

    Ties count as the average rank: if k candidates share the best score and the victim is among
    them, that victim counts 1/k. Fractional successes widen the interval, see `clopper_pearson`.

    Args:
        scores: how well each candidate fits each victim's release; the higher, the better.
        own: the column of each victim's own image.
        victims: who they are.
        other_slice: the same scores where another slice of every candidate is shown.
        other_pass: the same scores for another release of the victims.

    Raises:
        CellError: no victims, one candidate alone, lengths that do not fit, or a score that is not
            finite.
    """
    n, gallery = scores.shape
    if not n or gallery < 2 or len(own) != n or len(victims) != n:
        raise CellError(
            f"matching needs victims and at least two candidates; got scores of {n} victims and "
            f"{gallery} candidates for {len(victims)} victims"
        )
    hits = _hits(scores, own)
    order = derangement(n)
    wrong = [None] * n if order is None else [float(hit) for hit in _hits(scores[order], own)]
    overall = _matched(hits)
    return Matching(
        top1=overall.top1,
        low=overall.low,
        high=overall.high,
        chance=1 / gallery,
        gallery=gallery,
        n=n,
        other_slice=None if other_slice is None else _matched(_hits(other_slice, own)),
        other_pass=None if other_pass is None else _matched(_hits(other_pass, own)),
        patients=tuple(
            MatchScore(
                patient=name,
                hit=float(hit),
                rank=_rank(row, column),
                margin=_margin(row, column),
                wrong=misled,
            )
            for name, hit, row, column, misled in zip(
                victims, hits, scores, own, wrong, strict=True
            )
        ),
    )


def _hits(scores: CandidateScores, own: Sequence[int]) -> list[Fraction]:
    """Per victim 1/k if its own image is among the k that fit best, else 0."""
    if len(scores) != len(own):
        raise CellError(f"got scores of {len(scores)} victims, expected {len(own)}")
    if not np.isfinite(scores).all():
        raise CellError("expected finite scores of candidates, got NaN or infinity")
    hits = []
    for row, column in zip(scores, own, strict=True):
        best = row >= row.max() - _tie(row)
        hits.append(Fraction(1, int(best.sum())) if best[column] else Fraction(0))
    return hits


def _matched(hits: Sequence[Fraction]) -> Matched:
    total = sum(hits)
    low, high = clopper_pearson(total, len(hits))
    return Matched(top1=float(total / len(hits)), low=low, high=high)


def _rank(row: Float[np.ndarray, " g"], column: int) -> float:
    above = row > row[column] + _tie(row)
    alike = np.abs(row - row[column]) <= _tie(row)
    return float(above.sum()) + (float(alike.sum()) + 1) / 2


def _margin(row: Float[np.ndarray, " g"], column: int) -> float | None:
    others = np.delete(row, column)
    spread = float(others.std())
    if spread <= _tie(row):
        return None
    return float((row[column] - others.max()) / spread)


def _tie(row: Float[np.ndarray, " g"]) -> float:
    return TIE * float(row.max() - row.min())
