"""The scores beside a figure: blind floor, outline floor, negative and positive control.

A score by itself says nothing. The floors say what somebody without any observation gets; the
controls say whether an attack reads the observation at all, and whether it works where it must.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from leakaudit.errors import CellError
from leakaudit.measure.arrays import Scores
from leakaudit.measure.floors import BlindGuess, best_blind_guess, blind_guesses, outline_floor
from leakaudit.measure.folds import Folds
from leakaudit.measure.statistics import paired
from leakaudit.records import Control, Interval
from leakaudit.records.advantage import room_above

# The negative control may exceed the blind floor by this much SSIM (method: controls).
NEGATIVE_MARGIN = 0.02
# The positive control must exceed the blind floor by this much SSIM. Our choice, in no paper: five
# times the negative margin, and a fraction of what a working attack gains undefended (about 0.5).
# Above a floor of 0.8 half of what is left to gain does, but at least twice the negative margin.
POSITIVE_MARGIN = 0.10
# The comparison of a learned attack, for which a constant guess is not a fair floor.
TWIN = "the same network on shuffled pairs"
# The comparison of an adversary that holds something of the victims itself.
OWN_IMAGES = "own images alone"
OWN_FEATURES = "own features alone"


def derangement(n: int) -> Int[np.ndarray, " n"] | None:
    """For each victim the patient whose observation the negative control uses: the next one.

    Args:
        n: number of victims.

    Returns:
        A cyclic shift by one, without a fixed point; None under two victims, where there is none.
    """
    return np.roll(np.arange(n), -1) if n >= 2 else None


def negative_control(
    scores_on_wrong: Scores | None,
    floor: Scores,
    reference: str = "the blind floor",
    *,
    unit: str = "SSIM",
) -> Control:
    """Whether an attack that sees another patient's observation stays at the blind floor.

    It fails if the paired mean exceeds the floor by more than `NEGATIVE_MARGIN` and the interval's
    lower end lies above 0: then the score comes from something else than the observation.

    Args:
        scores_on_wrong: each victim's SSIM inside the brain under the same attack on the
            observation of the patient given by `derangement`; None if there is no such patient.
        floor: each victim's SSIM of the best blind guess, or of what stands in for it.
        reference: what ``floor`` is, in words.
        unit: what the scores are, ``SSIM`` or ``Dice``.

    Returns:
        The outcome; ``passed`` is None, so not made, under two victims.

    Raises:
        CellError: different lengths, or a value that is not finite.
    """
    if scores_on_wrong is None or len(floor) < 2:
        return _not_made("another patient's observation needs at least two victims")
    difference = paired(scores_on_wrong, floor)
    exceeds = difference.mean > NEGATIVE_MARGIN and _lower_end(difference) > 0
    words = "above" if exceeds else "not above"
    return Control(
        passed=not exceeds,
        detail=f"on another patient's observation: {_figures(difference, reference, unit)}, "
        f"{words} it (margin {NEGATIVE_MARGIN:.2f})",
        difference=difference,
    )


def positive_control(scores: Scores, floor: Scores, *, unit: str = "SSIM") -> Control:
    """Whether the attack works where it must: undefended, at the same cut.

    It passes if the paired mean exceeds the floor by at least `POSITIVE_MARGIN` and the interval's
    lower end lies above 0. Where the mean floor is above 0.8, half of what lies between it and the
    original does instead, but never less than twice `NEGATIVE_MARGIN`. If it does not pass, a low
    score elsewhere means "attack not working", never "private"; nor may ``passed=None`` be read as
    passed.

    Args:
        scores: each victim's SSIM inside the brain, or Dice of the mask, under the attack.
        floor: each victim's score of the best blind guess.
        unit: what the scores are, ``SSIM`` or ``Dice``.

    Returns:
        The outcome; ``passed`` is None, so not made, under two victims, where no interval exists.

    Raises:
        CellError: different lengths, or a value that is not finite.
    """
    if len(floor) < 2:
        return _not_made("its interval needs at least two victims")
    difference = paired(scores, floor)
    half = (1 - float(floor.mean())) / 2
    needed = max(2 * NEGATIVE_MARGIN, min(POSITIVE_MARGIN, half))
    works = difference.mean >= needed and _lower_end(difference) > 0
    return Control(
        passed=works,
        detail=f"{_figures(difference, 'the blind floor', unit)}; it needs {needed:.3f} "
        "and an interval above 0",
        difference=difference,
    )


def advantage(scores: Scores, floor: Scores, *, folds: Folds | None = None) -> Interval:
    """How far the attack gets from knowing nothing (0) to the original (1).

    `leakaudit.records.advantage` of the means, as it is. The interval is that of the paired
    differences, the denominator fixed at the mean floor, and ends at 1, beyond which no mean can
    lie: with few patients, or floors that vary, the interval of the differences would.

    Args:
        scores: each victim's SSIM inside the brain under the attack.
        floor: each victim's SSIM of the best blind guess.
        folds: which fold each victim is of; None if all are of one.

    Returns:
        At most 1, and so is its interval; below 0 if the attack is worse than the guess.

    Raises:
        CellError: different lengths, a value that is not finite, or a mean floor of 1.
    """
    difference = paired(scores, floor, folds=folds)
    room = room_above(float(floor.mean()))
    if room is None:
        raise CellError("the blind guess is already the original; an advantage over it has no unit")

    def end(value: float | None) -> float | None:
        return None if value is None else min(value / room, max(1.0, mean))

    mean = difference.mean / room
    return Interval(
        mean=mean,
        low=end(difference.low),
        high=end(difference.high),
        n=difference.n,
        method=difference.method,
    )


def _not_made(why: str) -> Control:
    return Control(passed=None, detail=why)


def _lower_end(difference: Interval) -> float:
    if difference.low is None:  # never a control that passed
        raise CellError("a control needs an interval, which one patient does not have")
    return difference.low


def _figures(difference: Interval, reference: str, unit: str) -> str:
    side = "below" if difference.mean < 0 else "above"
    ends = f"{difference.low:.3f} to {difference.high:.3f}".replace("-", "\N{MINUS SIGN}")
    return (
        f"{abs(difference.mean):.3f} {unit} {side} {reference} "
        f"(difference {ends}, {difference.n} patients)"
    )


__all__ = [
    "NEGATIVE_MARGIN",
    "OWN_FEATURES",
    "OWN_IMAGES",
    "POSITIVE_MARGIN",
    "TWIN",
    "BlindGuess",
    "advantage",
    "best_blind_guess",
    "blind_guesses",
    "derangement",
    "negative_control",
    "outline_floor",
    "positive_control",
]
