"""How often a guess that sees nothing succeeds: the prior of a reconstruction bound."""

from __future__ import annotations

import numpy as np

from leakaudit.errors import CellError
from leakaudit.measure.arrays import AuxiliaryBrains, AuxiliaryImages, Scores
from leakaudit.measure.fidelity import ssim_brain
from leakaudit.measure.floors import BlindGuess
from leakaudit.privacy.selfaudit import share_between
from leakaudit.records import Success

# A reconstruction succeeds at this SSIM inside the brain: about halfway between what a guess that
# sees nothing gets of real patients (0.3) and what an undefended system gives away (0.8).
SUCCESS = 0.5
# Of fewer patients the upper limit says too little to be worth a bound.
FEWEST = 20
_ERROR = 0.05


def success(
    reached: Scores,
    guesses: tuple[BlindGuess, ...],
    images: AuxiliaryImages,
    brain: AuxiliaryBrains,
) -> Success | None:
    """An attack's share of successes beside the best blind guess's over other patients.

    The best guess is chosen with a look at its successes, and auxiliary patients count although the
    guesses were made of them: both only raise the limit. But it is the best of few guesses, where
    the bound asks for the best of all: an estimate.

    Args:
        reached: SSIM inside the brain of each victim's reconstruction.
        guesses: the blind guesses, at least one.
        images: middle slices of all patients that are not victims, in [0, 1].
        brain: their brain masks.

    Returns:
        None if there are fewer than `FEWEST` such patients.

    Raises:
        CellError: there is no guess, or as `ssim_brain`.

    Reference:
        Balle, Cherubin and Hayes 2022 (arXiv:2201.04845), definition 2: the prior's kappa.
    """
    if not guesses:
        raise CellError("the blind success needs at least one guess, got none")
    count = len(images)
    if count < FEWEST:
        return None
    hits = [
        int((ssim_brain(np.broadcast_to(one.images, images.shape), images, brain) >= SUCCESS).sum())
        for one in guesses
    ]
    best = int(np.argmax(hits))
    _, limit = share_between(hits[best], count, _ERROR)
    return Success(
        threshold=SUCCESS,
        reached=int((reached >= SUCCESS).sum()),
        n=len(reached),
        blind_name=guesses[best].name,
        blind_reached=hits[best],
        blind_limit=limit,
        others=count,
    )
