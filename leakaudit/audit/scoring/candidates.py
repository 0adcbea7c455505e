"""Where candidates and the truth of who is who meet: the list, its figures, its control."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Literal, final

import numpy as np
import torch

from leakaudit.contracts import Reconstruction
from leakaudit.data import Patient
from leakaudit.errors import CellError
from leakaudit.measure import controls, matching
from leakaudit.randomness import derive_seed
from leakaudit.records import Control, Matching
from leakaudit.types import Images

# What an attack is shown: the candidates as they were released, another slice of each of them, or
# another release of the victims.
View = Literal["as released", "other slice", "other pass"]


@final
class MatchScorer:
    """Holds the list of candidates, and which of them each victim is."""

    def __init__(self, victims: Sequence[Patient], gallery: Iterable[Patient], seed: int) -> None:
        """Draw the order of the candidates.

        Args:
            victims: whose middle slices were released.
            gallery: the candidates, all patients but the auxiliary ones.
            seed: of the cell.

        Raises:
            CellError: a victim is not among the candidates.
        """
        self._names = [patient.id for patient in victims]
        ids, middles, others = [], [], []
        secret = hashlib.sha256()
        for patient in gallery:
            ids.append(patient.id)
            middles.append(patient.images[patient.middle].copy())
            beside = patient.beside_middle
            others.append(None if beside is None else patient.images[beside].copy())
            secret.update(patient.id.encode(errors="surrogateescape") + patient.masks.tobytes())
        missing = sorted(set(self._names) - set(ids))
        if missing:
            raise CellError(f"victims {', '.join(missing)} are not among the candidates")
        # The seed is public, and an attack could draw the same order from it. It holds no masks.
        drawn = np.random.default_rng(derive_seed(seed, "candidates", secret.hexdigest()))
        order = drawn.permutation(len(ids)).tolist()
        places = {ids[number]: place for place, number in enumerate(order)}
        self._own = [places[name] for name in self._names]
        self._middles = _stacked([middles[number] for number in order])
        shown = [each for number in order if (each := others[number]) is not None]
        self._others = _stacked(shown) if len(shown) == len(ids) else None
        self.own_guess: np.ndarray | None = None

    @property
    def views(self) -> tuple[View, ...]:
        """The other views of the candidates that the attack must see, beside their releases."""
        return ("other pass",) if self._others is None else ("other pass", "other slice")

    def candidates(self, view: View) -> Images:
        """The list that the attack is shown, ``(candidates, modalities, *spatial)``.

        Raises:
            CellError: some candidate has one slice alone.
        """
        if view != "other slice":
            return self._middles
        if self._others is None:
            raise CellError("a candidate has no other slice to be shown by")
        return self._others

    def figures(
        self, reconstruction: Reconstruction, others: Sequence[Reconstruction]
    ) -> dict[str, Matching]:
        """The field of the cell's record, and what stands in it.

        Args:
            reconstruction: of the attack on the candidates as they were released.
            others: of the same attack for each of `views`.
        """
        by_view = dict(zip(self.views, others, strict=True))
        slices, passes = by_view.get("other slice"), by_view["other pass"]
        found = matching.matching(
            reconstruction.scores.numpy(),
            self._own,
            self._names,
            other_slice=None if slices is None else slices.scores.numpy(),
            other_pass=passes.scores.numpy(),
        )
        return {"matching": found}

    def negative_control(self, figures: Matching) -> Control:
        """Whether another patient's release picks this patient no more often than chance."""
        wrong = [one.wrong for one in figures.patients if one.wrong is not None]
        chance = np.full(len(figures.patients), figures.chance)
        scores = np.array(wrong) if len(wrong) == len(chance) else None
        return controls.negative_control(scores, chance, "chance", unit="of the patients")


def _stacked(images: Sequence[np.ndarray]) -> Images:
    return torch.from_numpy(np.stack(images).astype(np.float32))
