"""Where true masks and recovered ones meet: Dice, floors and the negative control of one cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np

from leakaudit.contracts import Reconstruction
from leakaudit.data import Patient
from leakaudit.errors import CellError
from leakaudit.measure import controls, masks, statistics
from leakaudit.records import Control, MaskLeakage, MaskScore

# A recovered mask has a tumour from this value on.
TUMOUR_FROM = 0.5


@final
class MaskScorer:
    """Holds the true masks of the victims whose slice shows a tumour, and the blind guesses.

    ``own_guess`` is as in `ImageScorer`, of all victims.
    """

    def __init__(self, victims: Sequence[Patient], auxiliary: Sequence[Patient]) -> None:
        """Score the blind guesses.

        Args:
            victims: whose middle slices are attacked.
            auxiliary: whom the average mask is made from.

        Raises:
            CellError: no victim's slice shows a tumour.
        """
        middles = np.stack([one.masks[one.middle] > 0 for one in victims])
        self._shown = [index for index, mask in enumerate(middles) if mask.any()]
        if not self._shown:
            raise CellError("no victim's slice shows a tumour; there is no mask to recover")
        self._names = [victims[index].id for index in self._shown]
        self._absent = len(victims) - len(self._shown)
        self._truth = middles[self._shown]
        guesses = masks.mask_guesses(np.stack([one.masks[one.middle] > 0 for one in auxiliary]))
        self._guess_name, self._floor = masks.best_mask_guess(guesses, self._truth)
        self.own_guess: np.ndarray | None = None

    def raise_floor(self, name: str, reconstruction: Reconstruction) -> None:
        """Let what somebody recovers who did not see the observation be the floor, if higher."""
        scores = self._scores(reconstruction)
        if scores.mean() > self._floor.mean():
            self._guess_name, self._floor = name, scores
            self.own_guess = reconstruction.images.numpy()

    def figures(self, reconstruction: Reconstruction) -> dict[str, MaskLeakage]:
        """The field of the cell's record, and what stands in it."""
        scores = self._scores(reconstruction)
        leakage = MaskLeakage(
            dice=statistics.interval(scores, least=0.0, most=1.0),
            blind_floor=float(self._floor.mean()),
            blind_floor_name=self._guess_name,
            advantage=controls.advantage(scores, self._floor),
            patients=tuple(
                MaskScore(patient=name, dice=float(score), blind_floor=float(floor))
                for name, score, floor in zip(self._names, scores, self._floor, strict=True)
            ),
            without_tumour=self._absent,
            objective_first=reconstruction.objective_first,
            objective_last=reconstruction.objective_last,
        )
        return {"mask_leakage": leakage}

    def swapped_messages_control(self, reconstruction: Reconstruction, held: str) -> Control:
        """The attack with what it held already, but another patient's messages."""
        scores = self._scores(reconstruction)
        return controls.negative_control(scores, self._floor, held, unit="Dice")

    def negative_control(
        self, reconstruction: Reconstruction, twin: Reconstruction | None = None
    ) -> Control:
        """The attack on other patients' observations; see `ImageScorer.negative_control`."""
        scores = self._on_others(reconstruction)
        floor = self._on_others(twin) if twin is not None else None
        if floor is None:
            return controls.negative_control(scores, self._floor, unit="Dice")
        return controls.negative_control(scores, floor, controls.TWIN, unit="Dice")

    def _scores(self, reconstruction: Reconstruction) -> np.ndarray:
        return masks.dice_masks(self._recovered(reconstruction), self._truth)

    def _on_others(self, reconstruction: Reconstruction) -> np.ndarray | None:
        order = controls.derangement(len(self._truth))
        if order is None:
            return None
        return masks.dice_masks(self._recovered(reconstruction)[order], self._truth)

    def _recovered(self, reconstruction: Reconstruction) -> np.ndarray:
        recovered: np.ndarray = reconstruction.images.numpy()[self._shown, 0] > TUMOUR_FROM
        return recovered
