"""Selects the pictures of a run's report: original, reconstruction and blind guess."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias, final

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file

from leakaudit.audit.planning.audited import Plan
from leakaudit.audit.planning.plans import CellPlan
from leakaudit.audit.scoring.masks import TUMOUR_FROM
from leakaudit.audit.storage.run_folder import RECONSTRUCTIONS, RunStore
from leakaudit.audit.storage.system import middle_images
from leakaudit.data import Patient
from leakaudit.data.splits import victims_of
from leakaudit.measure.floors import blind_guesses
from leakaudit.measure.masks import mask_guesses

Array: TypeAlias = npt.NDArray[np.floating[Any]]

MASK = "tumour mask"


@final
@dataclass(frozen=True)
class Planes:
    """One modality, or the mask, of one victim; planes ``(H, W)``, a volume's middle axial one.

    Args:
        channel: name of the modality, or `MASK`.
        original: the victim's middle slice.
        reconstruction: what the attack returned; a mask as it is scored.
        guess: what the blind floor draws; None if the run folder does not hold it.
    """

    channel: str
    original: Array
    reconstruction: Array
    guess: Array | None


@final
class RunPictures:
    """Looks up the planes of a finished run's cells, one cell in memory at a time."""

    def __init__(self, plan: Plan, store: RunStore) -> None:
        """Remember where to look; nothing is read yet."""
        self._plan = plan
        self._store = store
        self._cells = {cell.key: cell for cell in plan.matrix.cells}
        self._patients = {patient.id: patient for patient in plan.cohort.patients}
        self._stored: tuple[str, dict[str, Array]] = ("", {})
        self._guesses = cache(self._made_of_others)

    def planes(self, key: str, patient: str, guess: str) -> tuple[Planes, ...]:
        """The planes of one victim of a cell.

        Args:
            key: of the result, in folds of the fold in which the patient is a victim.
            patient: the victim.
            guess: name of the blind floor's guess, as `CellRecord.result_of` has it.

        Returns:
            One entry for each modality that the attack recovers, or one for the mask; nothing if
            the cell has no whole result.
        """
        cell = self._cells.get(key)
        stored = self._load(key)
        if cell is None or "images" not in stored:
            return ()
        splits = self._plan.splits_of(cell.target)
        row = victims_of(splits, cell.threat.victims, cell.target.seed).index(patient)
        shown = stored["images"][row]
        guessed = (
            stored["guess"][row]
            if "guess" in stored
            else self._guesses(_channels(cell), splits.auxiliary).get(guess)
        )
        if cell.attack.recovers == "masks":
            shown = _cut(shown)
            guessed = None if guessed is None else _cut(guessed)
        return tuple(
            Planes(
                channel=channel,
                original=_plane(original),
                reconstruction=_plane(shown[number]),
                guess=None if guessed is None else _plane(guessed[number]),
            )
            for number, (channel, original) in enumerate(
                zip(_channels(cell), self._truth(cell, patient), strict=True)
            )
        )

    def _load(self, key: str) -> dict[str, Array]:
        if self._stored[0] != key:
            path = self._store.folder("cells", key) / RECONSTRUCTIONS
            done = self._store.is_done("cells", key)
            self._stored = (key, load_file(path) if done else {})
        return self._stored[1]

    def _truth(self, cell: CellPlan, patient: str) -> Array:
        one = self._patients[patient]
        if cell.attack.recovers == "masks":
            return np.asarray(_tumours([one])[0][None], dtype=float)
        image: Array = middle_images([one])[0, self._order(cell.recovered)]
        return image

    def _order(self, channels: Sequence[str]) -> list[int]:
        return [self._plan.cohort.modalities.index(modality) for modality in channels]

    def _made_of_others(
        self, channels: tuple[str, ...], auxiliary: tuple[str, ...]
    ) -> dict[str, Array]:
        """The guesses that are made of the auxiliary patients, by name, as they were scored."""
        others = [self._patients[name] for name in auxiliary]
        if channels == (MASK,):
            return {
                one.name: one.mask[None].astype(float) for one in mask_guesses(_tumours(others))
            }
        images = middle_images(others)[:, self._order(channels)]
        return {one.name: one.images for one in blind_guesses(images)}


def _channels(cell: CellPlan) -> tuple[str, ...]:
    return (MASK,) if cell.attack.recovers == "masks" else cell.recovered


def _tumours(patients: Sequence[Patient]) -> npt.NDArray[np.bool_]:
    return np.stack([one.masks[one.middle] > 0 for one in patients])


def _cut(masks: Array) -> Array:
    return (masks > TUMOUR_FROM).astype(float)


def _plane(image: Array) -> Array:
    return image if image.ndim == 2 else image[len(image) // 2]
