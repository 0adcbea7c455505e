"""How much of a tumour mask was recovered: Dice, and what a guess without observation gets.

Reference: Dice, Ecology 26, 1945.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np
from jaxtyping import Bool, Float

from leakaudit.errors import CellError
from leakaudit.measure.arrays import Scores

TumourMasks: TypeAlias = Bool[np.ndarray, " n *s"]
OneMask: TypeAlias = Bool[np.ndarray, " *s"]

# Where the average mask is cut; the guesser takes the best of them.
_LEVELS = tuple(tenth / 10 for tenth in range(1, 10))


@final
@dataclass(frozen=True, kw_only=True)
class MaskGuess:
    """A mask drawn without any observation, the same for all victims.

    Args:
        name: ``"no tumour"`` or ``"average mask"``.
        mask: of one slice.
    """

    name: str
    mask: OneMask


def dice_masks(recovered: TumourMasks, truth: TumourMasks) -> Scores:
    """Dice of each slice, in [0, 1].

    Args:
        recovered: tumour or not, as an attack says.
        truth: tumour or not.

    Raises:
        CellError: a slice shows no tumour, so that no Dice is defined.
    """
    voxels = tuple(range(1, truth.ndim))
    size = truth.sum(axis=voxels)
    if not size.all():
        raise CellError("a victim's slice shows no tumour; Dice of its mask is not defined")
    overlap = (recovered & truth).sum(axis=voxels)
    scores: Scores = 2 * overlap / (recovered.sum(axis=voxels) + size)
    return scores


def mask_guesses(auxiliary: TumourMasks) -> tuple[MaskGuess, ...]:
    """No tumour anywhere, and the auxiliary patients' average mask.

    The average is cut where the mean Dice with the auxiliary masks themselves is highest: cut at
    one half it is often empty, which would be the first guess again.

    Args:
        auxiliary: masks of the auxiliary patients' middle slices; those without tumour are left
            out.
    """
    shown = auxiliary[auxiliary.any(axis=tuple(range(1, auxiliary.ndim)))]
    guesses = [MaskGuess(name="no tumour", mask=np.zeros(auxiliary.shape[1:], dtype=bool))]
    if len(shown):
        average: Float[np.ndarray, " *s"] = shown.mean(axis=0)
        cut = [average >= level for level in _LEVELS]
        best = int(np.argmax([_alike(mask, shown).mean() for mask in cut]))
        guesses.append(MaskGuess(name="average mask", mask=cut[best]))
    return tuple(guesses)


def best_mask_guess(guesses: tuple[MaskGuess, ...], truth: TumourMasks) -> tuple[str, Scores]:
    """The guess with the best mean Dice, which can only raise the floor; its name and scores."""
    scores = [_alike(guess.mask, truth) for guess in guesses]
    best = int(np.argmax([score.mean() for score in scores]))
    return guesses[best].name, scores[best]


def _alike(mask: OneMask, truth: TumourMasks) -> Scores:
    return dice_masks(np.broadcast_to(mask, truth.shape), truth)
