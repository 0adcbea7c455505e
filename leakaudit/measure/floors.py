"""The scores of a guess that knows nothing, or the outline alone.

The blind floor is one guess for all victims, made without any observation; the outline floor is a
line of its own, since hiding the outline is more than most defenses can.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from leakaudit.errors import CellError
from leakaudit.measure._checks import require_brain, require_finite
from leakaudit.measure.arrays import (
    AuxiliaryBrains,
    AuxiliaryImages,
    Brains,
    Images,
    OneImage,
    Scores,
)
from leakaudit.measure.fidelity import ssim_brain


@final
@dataclass(frozen=True, kw_only=True)
class BlindGuess:
    """A reconstruction made without any observation, the same for all victims.

    Args:
        name: ``"zeros"``, ``"mean"``, ``"median"`` or ``"medoid"``.
        images: ``(m, *s)``, one image per modality, in [0, 1].
    """

    name: str
    images: OneImage


def blind_guesses(auxiliary_middles: AuxiliaryImages) -> tuple[BlindGuess, ...]:
    """Zeros, and the voxelwise mean, the median and the medoid of the auxiliary patients.

    The medoid is the auxiliary patient with the smallest sum of Euclidean distances to the others
    (the first of equals): unlike the mean, a real and sharp image.

    Args:
        auxiliary_middles: middle slice of each auxiliary patient, in [0, 1].

    Returns:
        Four guesses, each of the shape of one patient.

    Raises:
        CellError: there is no auxiliary patient, or a value is not finite.
    """
    if not len(auxiliary_middles):
        raise CellError("a blind guess needs at least one auxiliary patient, got none")
    require_finite("auxiliary patients", auxiliary_middles)
    flat = auxiliary_middles.reshape(len(auxiliary_middles), -1).astype(np.float64)
    distances = [np.linalg.norm(flat - one, axis=1).sum() for one in flat]
    kind = auxiliary_middles.dtype
    images = {
        "zeros": np.zeros_like(auxiliary_middles[0]),
        "mean": auxiliary_middles.mean(axis=0, dtype=np.float64).astype(kind),
        "median": np.median(auxiliary_middles, axis=0).astype(kind),
        "medoid": auxiliary_middles[int(np.argmin(distances))].copy(),
    }
    return tuple(BlindGuess(name=name, images=image) for name, image in images.items())


def best_blind_guess(
    guesses: tuple[BlindGuess, ...],
    truth: Images,
    brain: Brains,
) -> tuple[str, OneImage, Scores]:
    """The guess with the best mean SSIM inside the brain.

    This looks at the truth on purpose: the result is a floor, not an attack, and choosing in the
    guesser's favour can only raise the floor, so it never makes an attack look better.

    Args:
        guesses: candidates; the first of equals wins.
        truth: the victims' images, in [0, 1].
        brain: the victims' true brain masks.

    Returns:
        Its name, its images, and each victim's SSIM inside the brain.

    Raises:
        CellError: there is no guess, or as `ssim_brain`.
    """
    if not guesses:
        raise CellError("the blind floor needs at least one guess, got none")
    scores = [ssim_brain(_for_all(guess.images, len(truth)), truth, brain) for guess in guesses]
    best = int(np.argmax([score.mean() for score in scores]))
    return guesses[best].name, guesses[best].images, scores[best]


def outline_floor(
    truth_brain: Brains,
    auxiliary_images: AuxiliaryImages,
    auxiliary_brain: AuxiliaryBrains,
) -> Images:
    """The victims' true outlines, filled with what other patients' brains look like on average.

    What an attack scores that recovers the outline and nothing inside it; score these images with
    `ssim_brain`. Not a blind guess, since the outline is the victim's own.

    Args:
        truth_brain: the victims' true brain masks.
        auxiliary_images: images of the auxiliary patients, in [0, 1].
        auxiliary_brain: their brain masks.

    Returns:
        One image per victim: in the brain the auxiliary mean of each modality, outside it 0.

    Raises:
        CellError: there is no auxiliary patient, one has an empty brain, or a value is not finite.
    """
    if not len(auxiliary_images):
        raise CellError("the outline floor needs at least one auxiliary patient, got none")
    require_finite("auxiliary patients", auxiliary_images)
    require_brain(auxiliary_images, auxiliary_brain)
    by_modality = np.moveaxis(auxiliary_images, 1, 0)
    means = np.array([one[auxiliary_brain].mean(dtype=np.float64) for one in by_modality])
    filled = means.reshape(-1, *(1,) * (truth_brain.ndim - 1)) * truth_brain[:, None]
    return np.asarray(filled, dtype=auxiliary_images.dtype)


def _for_all(image: OneImage, n: int) -> Images:
    return np.broadcast_to(image, (n, *image.shape))
