"""The advantage: how far a score gets from the best blind guess (0) to the original (1)."""

from __future__ import annotations

# A guess closer to the original leaves nothing that a quotient could be taken of.
_LEAST_ROOM = 1e-9


def room_above(floor: float) -> float | None:
    """Return the room between the blind guess and the original, or None if there is none.

    Args:
        floor: score of the best blind guess, at most 1.
    """
    room = 1 - floor
    return room if room > _LEAST_ROOM else None


def advantage(score: float, floor: float, *, mean_floor: float | None = None) -> float | None:
    """``(score - floor) / (1 - floor)``, of one patient or of means over patients.

    The advantage over several patients is that of their means, not the mean of theirs: a patient
    at whom the guess is good leaves little room, and would count many times.

    Args:
        score: of the attack: SSIM inside the brain, or Dice of a mask.
        floor: of the best blind guess at the same.
        mean_floor: given, the room is that of the mean over all patients, and the result what this
            patient adds: the mean of such parts is the advantage on means. A part may exceed 1.

    Returns:
        0 for what a blind guess gets, 1 for the original, below 0 for less than the guess; None if
        the guess leaves no room.
    """
    room = room_above(floor if mean_floor is None else mean_floor)
    return None if room is None else (score - floor) / room
